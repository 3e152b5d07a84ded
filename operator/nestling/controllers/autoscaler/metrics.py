"""What is counted of autoscalers, under the native names.

Source: Kubernetes 1.37, pkg/controller/podautoscaler/monitor.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from nestling.machinery.measure import Measurement, Metric, Tally

Action: TypeAlias = Literal["scale_up", "scale_down", "none"]
RECONCILIATIONS: Final = Metric(
    "horizontal_pod_autoscaler_controller_reconciliations_total",
    "Looks at autoscalers, by what came of them.",
    ("action", "error"),
)
RECONCILIATION_SECONDS: Final = Metric(
    "horizontal_pod_autoscaler_controller_reconciliation_duration_seconds",
    "Time from a look at an autoscaler to the answer of its last write.",
    ("action", "error"),
    tuple(0.001 * 2**power for power in range(15)),
)
COMPUTATIONS: Final = Metric(
    "horizontal_pod_autoscaler_controller_metric_computation_total",
    "Metrics of autoscalers that were worked out, by what they ask for.",
    ("action", "error", "metric_type"),
)
METRICS: Final = (RECONCILIATIONS, RECONCILIATION_SECONDS, COMPUTATIONS)


def towards(current: int, wanted: int) -> Action:
    """What a number of replicas asks for."""
    return "scale_up" if wanted > current else "scale_down" if wanted < current else "none"


@dataclass(frozen=True, slots=True)
class Facts:
    """What one look does, and what each metric asked for; None for one that could not be worked out."""

    action: Action
    failed: bool
    asked: Sequence[tuple[str, Action | None]]

    def measure(self, done: int, ok: bool, seconds: float) -> Iterator[Measurement]:  # noqa: FBT001  # see Measure
        """What to count once it is known how the plan went."""
        del done
        labels = (self.action if ok else "none", "internal" if self.failed or not ok else "none")
        yield Tally(RECONCILIATIONS, labels)
        yield Tally(RECONCILIATION_SECONDS, labels, seconds)
        for kind, action in self.asked:
            error = "internal" if action is None else "none"
            yield Tally(COMPUTATIONS, (action or "none", error, kind))
