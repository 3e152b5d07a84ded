"""What a pod's failure means: the rules of `spec.podFailurePolicy`, the first that matches decides.

A rule looks at exit codes (those of containers before those of init containers, never 0) or at conditions of
the pod. Without a match the failure counts.
Source: Kubernetes 1.37, pkg/controller/job/pod_failure_policy.go.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from nestling.api.json import JsonObject
from nestling.machinery.conditions import conditions_of
from nestling.machinery.names import Key

Action: TypeAlias = Literal["", "FailJob", "FailIndex", "Ignore", "Count"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`counts` towards the limits, `action` of the rule that matched (empty if none did).

    `message` says why the whole Job fails; it is empty for every action but FailJob.
    """

    counts: bool = True
    action: Action = ""
    message: str = ""


PLAIN: Final = Verdict()


def judge(policy: JsonObject | None, key: Key, body: JsonObject) -> Verdict:
    """What the failure of the pod `key` means; `body` is the whole pod."""
    for number, rule in enumerate((policy or {}).get("rules") or ()):
        cause = _cause(rule, key, body)
        if cause is None:
            continue
        action: Action = rule.get("action") or ""
        if action == "FailJob":
            return Verdict(action=action, message=f"{cause} matching FailJob rule at index {number}")
        if action in {"FailIndex", "Ignore", "Count"}:
            return Verdict(counts=action != "Ignore", action=action)
    return PLAIN


def _cause(rule: JsonObject, key: Key, body: JsonObject) -> str | None:
    """What of the pod the rule matches, in words; None if it does not."""
    if rule.get("onExitCodes") is not None:
        found = _matching_container(body.get("status") or {}, rule["onExitCodes"])
        return None if found is None else _container_cause(found, key)
    if rule.get("onPodConditions") is not None:
        kind = _matching_condition(conditions_of(body), rule["onPodConditions"])
        return None if kind is None else f"Pod {key.namespace}/{key.name} has condition {kind}"
    return None


def _container_cause(status: JsonObject, key: Key) -> str:
    code = status["state"]["terminated"]["exitCode"]
    return f"Container {status['name']} for pod {key.namespace}/{key.name} failed with exit code {code}"


def _matching_container(status: JsonObject, wanted: JsonObject) -> JsonObject | None:
    for group in ("containerStatuses", "initContainerStatuses"):
        for entry in status.get(group) or ():
            ended: JsonObject | None = (entry.get("state") or {}).get("terminated")
            name = wanted.get("containerName")
            if ended is None or name not in {None, entry.get("name")}:
                continue
            code = ended.get("exitCode") or 0
            if code != 0 and (code in (wanted.get("values") or ())) == (wanted.get("operator") == "In"):
                return entry
    return None


def _matching_condition(conditions: Iterable[JsonObject], patterns: Iterable[JsonObject]) -> str | None:
    wanted = [(pattern.get("type"), pattern.get("status") or "True") for pattern in patterns]
    for condition in conditions:
        if (condition.get("type"), condition.get("status")) in wanted:
            return condition["type"]
    return None
