"""What one look at a Job sees: its pods, sorted once by how far they are, and what is known of each.

Most pods of a large Job have been counted and are only kept: they are passed over once and then forgotten. A
pod's body is parsed at most once per look, and only where its end has to be judged.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from nestling.api.json import JsonObject
from nestling.controllers.job.backoff import finished_at
from nestling.controllers.job.pod_failure_policy import PLAIN, Verdict, judge
from nestling.machinery.conditions import conditions_of, find_condition
from nestling.machinery.records.job import Job
from nestling.machinery.records.pod import NO_INDEX, Pod


@dataclass(frozen=True, slots=True)
class Look:
    """One look. `tracked` are the pods whose end is not counted yet, in order of their completion index."""

    job: Job
    body: JsonObject
    now: float
    active: Sequence[Pod]
    terminating: Sequence[Pod]
    tracked: Sequence[Pod]
    _bodies: dict[str, JsonObject] = field(default_factory=dict[str, JsonObject])
    _verdicts: dict[str, Verdict] = field(default_factory=dict[str, Verdict])

    @classmethod
    def at(cls, job: Job, body: JsonObject, pods: Iterable[Pod], now: float) -> "Look":
        """Sort the pods that belong to the Job."""
        active: list[Pod] = []
        terminating: list[Pod] = []
        tracked: list[Pod] = []
        for pod in pods:
            if pod.tracked:
                tracked.append(pod)
            if pod.terminal:
                continue
            (terminating if pod.deleting else active).append(pod)
        if job.indexed:
            tracked.sort(key=lambda pod: pod.completion_index)
        return cls(job, body, now, active, terminating, tracked)

    @property
    def spec(self) -> JsonObject:
        """The Job's spec."""
        return self.body.get("spec") or {}

    @property
    def status(self) -> JsonObject:
        """The status as it stands."""
        return self.body.get("status") or {}

    @property
    def completions(self) -> int:
        """How many completions an indexed Job has; never asked of a queue of work."""
        return self.job.completions or 0

    def condition(self, kind: str) -> JsonObject | None:
        """The condition of this type, if it is True."""
        found = find_condition(conditions_of(self.body), kind)
        return found if found is not None and found.get("status") == "True" else None

    def has_index(self, pod: Pod) -> bool:
        """Whether the pod has one of the indexes that this indexed Job has now."""
        return NO_INDEX < pod.completion_index < self.completions

    def is_valid(self, pod: Pod) -> bool:
        """Whether the pod's end can be counted."""
        return not self.job.indexed or self.has_index(pod)

    def is_failed(self, pod: Pod) -> bool:
        """Whether the pod counts as failed: it is, or it is on its way out and will be replaced now."""
        if pod.terminal:
            return pod.phase == "Failed"
        return pod.deleting and not self.job.only_failed

    def body_of(self, pod: Pod) -> JsonObject:
        """The whole pod."""
        found = self._bodies.get(pod.uid)
        if found is None:
            found = self._bodies[pod.uid] = pod.body
        return found

    def verdict(self, pod: Pod) -> Verdict:
        """What the failure of a pod means by the Job's pod failure policy."""
        policy: JsonObject | None = self.spec.get("podFailurePolicy")
        if not policy:
            return PLAIN
        found = self._verdicts.get(pod.uid)
        if found is None:
            found = self._verdicts[pod.uid] = judge(policy, pod.key, self.body_of(pod))
        return found

    def finished_at(self, pod: Pod) -> float:
        """When the pod finished, seconds since 1970."""
        return finished_at(self.body_of(pod))
