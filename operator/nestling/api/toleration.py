"""Tolerations: which taints a pod can live with, and for how long.

Built from JSON once, then asked. The scheduler, the kubelet and the eviction by taints ask the same question.
Source: Kubernetes 1.37, k8s.io/api/core/v1/toleration.go.
"""

from dataclasses import dataclass

from nestling.api.json import JsonObject


@dataclass(frozen=True, slots=True)
class Toleration:
    """One toleration; an empty `key` stands for every taint, an empty `effect` for every effect.

    `seconds` is how long an evicting taint is tolerated, None for ever.
    """

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""
    seconds: float | None = None

    @classmethod
    def from_json(cls, toleration: JsonObject) -> "Toleration":
        """Build from one entry of `spec.tolerations`; what is no number of seconds counts as none."""
        seconds = toleration.get("tolerationSeconds")
        return cls(
            toleration.get("key") or "",
            toleration.get("operator") or "Equal",
            toleration.get("value") or "",
            toleration.get("effect") or "",
            seconds if isinstance(seconds, int | float) else None,
        )

    def tolerates(self, key: str, value: str, effect: str) -> bool:
        """Whether a pod with this toleration may live with that taint."""
        if self.effect and self.effect != effect:
            return False
        if self.key and self.key != key:
            return False
        if self.operator == "Exists":
            return True
        # Lt and Gt are an alpha of 1.37 that is off by default: they tolerate nothing.
        return self.operator == "Equal" and self.value == value


def tolerations_of(spec: JsonObject) -> tuple[Toleration, ...]:
    """The tolerations of a pod spec, in order."""
    return tuple(map(Toleration.from_json, spec.get("tolerations") or ()))
