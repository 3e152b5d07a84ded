"""What users do with Jobs, step by step; what must always hold for these, and how their ends compare."""

from collections import Counter
from typing import Any

from invariants import TERMINAL, active, controller_of, deleting, name_of, phase_of, status_of
from scenarios import Scenario, with_nodes

from nestling.api.json import JsonObject
from nestling.api.kinds import JOB, POD
from nestling.machinery.records.pod import COMPLETION_INDEX, JOB_TRACKING
from simulation import World

RUN: str = "sim.nestling.dev/run-duration"
EXIT: str = "sim.nestling.dev/exit-code"


def work(run_s: int = 2, *, code: int = 0, restart: str = "Never", **spec: Any) -> JsonObject:
    """The spec of a Job whose pods run for so long and end with this code."""
    container = {"name": "main", "image": "web:1", "resources": {"requests": {"cpu": "100m"}}}
    template = {
        "metadata": {"annotations": {RUN: f"{run_s}s", EXIT: str(code)}},
        "spec": {"restartPolicy": restart, "containers": [container]},
    }
    return {"template": template, **spec}


def start(world: World, spec: JsonObject) -> None:
    """Nodes, and a Job on them."""
    with_nodes(world)
    world.create(JOB, "pi", spec)


def fixed_count(world: World) -> None:
    """Five successes, two at a time."""
    start(world, work(completions=5, parallelism=2))


def work_queue(world: World) -> None:
    """Three workers that empty a queue."""
    start(world, work(parallelism=3))


def nothing_to_do(world: World) -> None:
    """A Job that wants no success at all."""
    start(world, work(completions=0, parallelism=2))


def indexed(world: World) -> None:
    """Five numbered pods, three at a time."""
    start(world, work(completions=5, parallelism=3, completionMode="Indexed"))


def failures(world: World) -> None:
    """Pods that fail until the limit is reached, with waits between.

    One at a time, here and below: of two that fail together the second would count, or be stopped before.
    """
    start(world, work(code=3, backoffLimit=2, completions=2))
    world.run_for(120)


def restarts(world: World) -> None:
    """Containers that fail and are restarted in their pod until the limit is reached."""
    start(world, work(code=3, restart="OnFailure", backoffLimit=2))
    world.run_for(120)


def failures_per_index(world: World) -> None:
    """Every index fails twice, then for good."""
    spec = work(code=3, completions=3, parallelism=2, completionMode="Indexed", backoffLimitPerIndex=1)
    start(world, spec)
    world.run_for(60)


def most_indexes_fail(world: World) -> None:
    """The Job ends with the second failed index, while others run."""
    spec = work(code=3, completions=6, completionMode="Indexed", backoffLimitPerIndex=0)
    start(world, {**spec, "maxFailedIndexes": 1})


def policy_fails_job(world: World) -> None:
    """One exit code ends the Job, although it might have gone on."""
    rule = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [3]}}
    spec = work(code=3, completions=4, podFailurePolicy={"rules": [rule]})
    start(world, spec)


def policy_ignores(world: World) -> None:
    """Pods that users delete do not count, and are replaced when they have ended."""
    rule = {"action": "Ignore", "onExitCodes": {"operator": "NotIn", "values": [0]}}
    spec = work(30, completions=2, parallelism=2, backoffLimit=0, podFailurePolicy={"rules": [rule]})
    start(world, spec)
    world.run_for(10)
    delete_pods(world, 1)


def success_policy(world: World) -> None:
    """Two of five are enough; the one that runs then is stopped."""
    rules = [{"succeededIndexes": "0,1"}]
    spec = work(3, completions=5, parallelism=1, completionMode="Indexed", successPolicy={"rules": rules})
    start(world, spec)


def deadline(world: World) -> None:
    """The Job is stopped in the middle of its work."""
    start(world, work(60, completions=3, parallelism=2, activeDeadlineSeconds=5))


def suspended(world: World) -> None:
    """A Job is stopped, and goes on later."""
    start(world, work(20, completions=3, parallelism=2, completionMode="Indexed"))
    world.run_for(10)
    world.patch(JOB, "pi", {"spec": {"suspend": True}})
    world.run_for(20)
    world.patch(JOB, "pi", {"spec": {"suspend": False}})


def narrower(world: World) -> None:
    """Parallelism is lowered under running pods, then raised."""
    start(world, work(20, completions=4, parallelism=4))
    world.run_for(10)
    world.patch(JOB, "pi", {"spec": {"parallelism": 1}})
    world.run_for(15)
    world.patch(JOB, "pi", {"spec": {"parallelism": 3}})


def elastic(world: World) -> None:
    """An indexed Job grows and shrinks with all its pods."""
    start(world, work(30, completions=3, parallelism=3, completionMode="Indexed"))
    world.run_for(10)
    world.patch(JOB, "pi", {"spec": {"completions": 5, "parallelism": 5}})
    world.run_for(10)
    world.patch(JOB, "pi", {"spec": {"completions": 2, "parallelism": 2}})


def pods_deleted(world: World) -> None:
    """A user deletes a pod at work: it has failed, and its successor waits."""
    start(world, work(20, completions=2, parallelism=2))
    world.run_for(10)
    delete_pods(world, 1)
    world.run_for(5)
    delete_pods(world, 1)


def deleted(world: World) -> None:
    """A Job is deleted in the middle of its work; nothing of it stays."""
    start(world, work(20, completions=3, parallelism=2))
    world.run_for(10)
    world.delete(JOB, "pi")


def deleted_with_its_pods_first(world: World) -> None:
    """A Job is deleted in the foreground."""
    start(world, work(20, completions=3, parallelism=2))
    world.run_for(10)
    world.delete(JOB, "pi", propagation="Foreground")


def delete_pods(world: World, count: int) -> None:
    """Delete the first few pods that work, in order of their index or name."""
    pods = sorted(filter(active, world.list(POD)), key=lambda pod: (index_of(pod) or "", name_of(pod)))
    for pod in pods[:count]:
        world.delete(POD, name_of(pod))


SCENARIOS: list[Scenario] = [
    fixed_count,
    work_queue,
    nothing_to_do,
    indexed,
    failures,
    restarts,
    failures_per_index,
    most_indexes_fail,
    policy_fails_job,
    policy_ignores,
    success_policy,
    deadline,
    suspended,
    narrower,
    elastic,
    pods_deleted,
    deleted,
    deleted_with_its_pods_first,
]


# What must always hold


def index_of(pod: JsonObject) -> str | None:
    """The completion index of a pod."""
    return (pod["metadata"].get("annotations") or {}).get(COMPLETION_INDEX)


def is_tracked(pod: JsonObject) -> bool:
    """Whether the pod's end is still to be counted."""
    return JOB_TRACKING in (pod["metadata"].get("finalizers") or ())


class ExactCounts:
    """Counters never fall and never run ahead of the pods that have ended; each index succeeds once.

    Only pods that ended under the tracking finalizer count: the others were let go before.
    """

    def __init__(self) -> None:
        self._ends: dict[str, str] = {}
        self._owners: dict[str, str] = {}
        self._indexes: dict[str, str] = {}
        self._counters: dict[tuple[str, str], int] = {}
        self._deleted: set[str] = set()

    def __call__(self, world: World) -> None:
        """Take note of pods that have ended, and compare."""
        for pod in world.list(POD):
            uid, owner = pod["metadata"]["uid"], controller_of(pod)
            if is_tracked(pod):
                self._owners[uid] = owner
                if deleting(pod):
                    self._deleted.add(uid)
                if phase_of(pod) in TERMINAL:
                    self._ends[uid] = phase_of(pod)
            if phase_of(pod) == "Succeeded" and (index := index_of(pod)) is not None:
                known = self._indexes.setdefault(f"{owner}/{index}", uid)
                assert known == uid, f"index {index} has succeeded in two pods"
        for job in world.list(JOB):
            self._compare(job)

    def _compare(self, job: JsonObject) -> None:
        uid, status = job["metadata"]["uid"], status_of(job)
        mine = [pod for pod, owner in self._owners.items() if owner == uid]
        succeeded = sum(self._ends.get(pod) == "Succeeded" for pod in mine)
        # Deleted before it ended, or stopped with the Job: a failure all the same.
        failed = len(mine) - succeeded
        for field, most in (("succeeded", succeeded), ("failed", failed)):
            count = status.get(field) or 0
            assert count <= most, f"{name_of(job)} counts {count} {field}, and there are {most}"
            before = self._counters.get((uid, field), 0)
            assert count >= before or job["spec"].get("completionMode") == "Indexed", (
                f"{field} fell from {before}"
            )
            self._counters[uid, field] = count


class NoSurplus:
    """A Job never gains pods at work beyond its parallelism."""

    def __init__(self) -> None:
        self._held: dict[str, int] = {}

    def __call__(self, world: World) -> None:
        """Compare each Job's pods with its number and with how many there were."""
        held = Counter(controller_of(pod) for pod in world.list(POD) if active(pod))
        for job in world.list(JOB):
            uid, wanted = job["metadata"]["uid"], job["spec"].get("parallelism", 1)
            if held[uid] > wanted:
                assert held[uid] <= self._held.get(uid, 0), f"{held[uid]} pods work for {name_of(job)}"
            self._held[uid] = held[uid]


def at_rest(world: World) -> None:
    """Finished Jobs hold no pod, and say what there is."""
    for job in world.list(JOB):
        status = status_of(job)
        mine = [pod for pod in world.list(POD) if controller_of(pod) == job["metadata"]["uid"]]
        assert (status.get("active") or 0) == sum(map(active, mine)), name_of(job)
        assert not status.get("uncountedTerminatedPods"), name_of(job)
        assert not any(is_tracked(pod) for pod in mine if phase_of(pod) in TERMINAL), name_of(job)


# The end


def end_state(world: World) -> dict[str, Any]:
    """Jobs and their pods, with everything left out that may differ: names, UIDs, times."""
    jobs = {}
    for job in world.list(JOB):
        status = status_of(job)
        counts = {name: value for name, value in status.items() if isinstance(value, int | str) and value}
        for time in ("startTime", "completionTime"):
            counts[time] = time in status
        conditions = [
            (c["type"], c["status"], c["reason"], c["message"]) for c in status.get("conditions") or ()
        ]
        jobs[name_of(job)] = (counts, [(*one[:3], "pod" in one[3]) for one in conditions])
    pods = Counter((index_of(pod), phase_of(pod), deleting(pod), is_tracked(pod)) for pod in world.list(POD))
    return {"jobs": jobs, "pods": pods}
