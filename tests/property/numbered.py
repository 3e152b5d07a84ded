"""Lives of StatefulSets: what their users do, and what must be true of numbered pods after every write."""

from collections.abc import Callable
from typing import Any

from invariants import TERMINAL, controller_of, deleting, name_of, owned, phase_of, serves, status_of
from scenarios import Scenario, template, with_nodes, workload

from nestling.api.json import JsonObject
from nestling.api.kinds import NODE, POD, STATEFUL_SET
from simulation import World

ROLLING: JsonObject = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}


def numbered(replicas: int, image: str = "web:1", **spec: Any) -> JsonObject:
    """The spec of a StatefulSet."""
    return workload("web", replicas, image, serviceName="web", **spec)


def ordinal(pod: JsonObject) -> int:
    """The number in a pod's name."""
    return int(name_of(pod).partition(".")[0].rpartition("-")[2])


def set_image(world: World, image: str) -> None:
    """Change the template."""
    world.patch(STATEFUL_SET, "web", {"spec": {"template": template("web", image)}})


# What must be true


class Numbered:
    """A StatefulSet's pods have its names and no others, and who comes, comes in turn.

    In order, nobody comes while one before is missing or does not serve. A pod below the partition is of the
    current revision. With OnDelete, nobody goes because of a template. Who acts on old views keeps only what
    the host itself holds him to: names, and one pod of each.
    """

    def __init__(self, *, old_views: bool = False) -> None:
        self._old_views = old_views
        self._born: set[str] = set()

    def __call__(self, world: World) -> None:
        """Look at whoever is new, and at whoever is on the way out."""
        pods = owned(world, POD)
        for sts in world.list(STATEFUL_SET):
            mine = pods[sts["metadata"]["uid"]]
            numbers = [ordinal(pod) for pod in mine]
            stem = name_of(sts).partition(".")[0]
            assert all(name_of(pod).startswith(f"{stem}-") for pod in mine), "a pod of another name"
            assert len(numbers) == len(set(numbers)), f"{name_of(sts)} has two pods of one number: {numbers}"
            for pod in mine:
                if pod["metadata"]["uid"] not in self._born and not self._old_views:
                    self._born.add(pod["metadata"]["uid"])
                    self._is_in_turn(world, sts, pod, mine)
                    self._is_of_its_revision(sts, pod)
            self._only_users_delete(world, sts, mine)

    def _is_in_turn(self, world: World, sts: JsonObject, pod: JsonObject, mine: list[JsonObject]) -> None:
        spec = sts["spec"]
        if spec["podManagementPolicy"] == "Parallel":
            return
        first = (spec.get("ordinals") or {}).get("start") or 0
        ready_s, now = spec.get("minReadySeconds") or 0, world.clock.now()
        serving = {ordinal(other) for other in mine if serves(other, ready_s, now)}
        before = set(range(first, ordinal(pod)))
        assert before <= serving, f"{name_of(pod)} came before {sorted(before - serving)} served"

    def _is_of_its_revision(self, sts: JsonObject, pod: JsonObject) -> None:
        spec, status = sts["spec"], status_of(sts)
        revision = pod["metadata"]["labels"]["controller-revision-hash"]
        assert revision in {status["currentRevision"], status["updateRevision"]}, (
            f"{name_of(pod)} is of {revision}, which the status of {name_of(sts)} does not name"
        )
        first = (spec.get("ordinals") or {}).get("start") or 0
        bounds = spec["updateStrategy"].get("rollingUpdate")
        if bounds is not None:
            behind = ordinal(pod) < first + bounds["partition"]
            expected = status["currentRevision" if behind else "updateRevision"]
            assert revision == expected, f"{name_of(pod)} is of {revision} instead of {expected}"

    def _only_users_delete(self, world: World, sts: JsonObject, mine: list[JsonObject]) -> None:
        spec = sts["spec"]
        if spec["updateStrategy"]["type"] != "OnDelete" or deleting(sts):
            return
        for pod in mine:
            if deleting(pod) and ordinal(pod) < spec["replicas"] and phase_of(pod) not in TERMINAL:
                assert world.was_deleted(pod["metadata"]["uid"], name_of(pod)), f"{name_of(pod)} was deleted"


def spares(sts: JsonObject) -> int:
    """How many pods a rolling update may take at once."""
    value = (sts["spec"]["updateStrategy"].get("rollingUpdate") or {}).get("maxUnavailable", 1)
    if isinstance(value, str):
        return max(int(value[:-1]) * sts["spec"]["replicas"] // 100, 1)
    return int(value)


class Spared:
    """A rolling update leaves all pods but a few available, from the moment that all once were.

    The count starts over when a user does something to the number, or to pods and nodes.
    """

    def __init__(self) -> None:
        self._reached: dict[str, int] = {}
        self._disturbances = 0

    def __call__(self, world: World) -> None:
        """Count those that serve."""
        if self._disturbances != world.disturbances:
            self._disturbances = world.disturbances
            self._reached.clear()
        now = world.clock.now()
        for sts in world.list(STATEFUL_SET):
            uid, wanted = sts["metadata"]["uid"], sts["spec"]["replicas"]
            ready_s = sts["spec"].get("minReadySeconds") or 0
            mine = [pod for pod in world.list(POD) if controller_of(pod) == uid]
            serving = sum(serves(pod, ready_s, now) for pod in mine)
            if deleting(sts) or wanted != self._reached.get(uid, wanted):
                self._reached.pop(uid, None)
            if serving >= wanted:
                self._reached[uid] = wanted
            if uid in self._reached:
                assert serving >= wanted - spares(sts), f"only {serving} of {wanted} serve"


# What users do


def come_and_go(world: World) -> None:
    """Three in order, then five, then two."""
    with_nodes(world)
    world.create(STATEFUL_SET, "web", numbered(3))
    world.run_for(20)
    world.patch(STATEFUL_SET, "web", {"spec": {"replicas": 5}})
    world.run_for(20)
    world.patch(STATEFUL_SET, "web", {"spec": {"replicas": 2}})


def all_at_once(world: World) -> None:
    """In parallel: four, an update of two at a time, then two."""
    with_nodes(world)
    bounds = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 2}}
    world.create(STATEFUL_SET, "web", numbered(4, podManagementPolicy="Parallel", updateStrategy=bounds))
    world.run_for(20)
    set_image(world, "web:2")
    world.run_for(30)
    world.patch(STATEFUL_SET, "web", {"spec": {"replicas": 2}})


def updated(world: World) -> None:
    """A rolling update from the highest number down, in another namespace, from number 3 on."""
    with_nodes(world)
    world.create(STATEFUL_SET, "web.shop", numbered(3, ordinals={"start": 3}))
    world.run_for(20)
    world.patch(STATEFUL_SET, "web.shop", {"spec": {"template": template("web", "web:2")}})


def updated_without_bounds(world: World) -> None:
    """A rolling update that says nothing of its bounds: how far it has come is in the status alone."""
    with_nodes(world)
    world.create(STATEFUL_SET, "web", numbered(3, updateStrategy={"type": "RollingUpdate"}))
    world.run_for(20)
    set_image(world, "web:2")


def canary(world: World) -> None:
    """An update of one number only; pods below are deleted and come back as they were; then all."""
    with_nodes(world)
    world.create(STATEFUL_SET, "web", numbered(3))
    world.run_for(20)
    world.patch(STATEFUL_SET, "web", {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 2}}}})
    set_image(world, "web:2")
    world.run_for(20)
    world.delete(POD, "web-0")
    world.run_for(20)
    world.patch(STATEFUL_SET, "web", {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}})


def on_delete(world: World) -> None:
    """Pods change when their user deletes them, and not before."""
    with_nodes(world)
    world.create(STATEFUL_SET, "web", numbered(3, updateStrategy={"type": "OnDelete"}))
    world.run_for(20)
    set_image(world, "web:2")
    world.run_for(20)
    world.delete(POD, "web-1")


def back_and_forth(world: World) -> None:
    """Templates come and come back; only so many old revisions are kept."""
    with_nodes(world, 1)
    world.create(STATEFUL_SET, "web", numbered(1, revisionHistoryLimit=1))
    for image in ("web:2", "web:3", "web:1", "web:2", "web:4"):
        world.run_for(20)
        set_image(world, image)


def stuck(world: World) -> None:
    """An image that cannot be pulled blocks an ordered update until its user deletes the pod."""
    with_nodes(world)
    world.create(STATEFUL_SET, "web", numbered(3))
    world.run_for(20)
    set_image(world, "fail/web:2")
    world.run_for(20)
    set_image(world, "web:1")
    world.run_for(20)
    world.delete(POD, "web-2")


def slowly(world: World) -> None:
    """Each pod has to have been ready for a while before the next is touched."""
    with_nodes(world)
    world.create(STATEFUL_SET, "web", numbered(2, minReadySeconds=5))
    world.run_for(30)
    set_image(world, "web:2")


def replaced(world: World) -> None:
    """Pods that end are replaced under their own name, and so are those of a machine that is gone."""
    with_nodes(world)
    world.create(STATEFUL_SET, "web", numbered(3))
    world.run_for(20)
    pod = next(pod for pod in world.list(POD) if name_of(pod) == "web-1")
    over = {"status": {"phase": "Failed", "reason": "Evicted"}}
    world.request("PATCH", POD.path("team-a", "web-1", "status"), over)
    world.disturbances += 1
    world.run_for(20)
    world.delete(NODE, pod["spec"]["nodeName"])


def given_up(world: World) -> None:
    """Deleted in the middle of an update: nothing is left, no revision either."""
    with_nodes(world)
    world.create(STATEFUL_SET, "web", numbered(3))
    world.run_for(20)
    set_image(world, "web:2")
    world.run_for(1)
    world.delete(STATEFUL_SET, "web")


def given_away(world: World) -> None:
    """Deleted without its pods, and made anew: it takes in pods and revisions."""
    with_nodes(world)
    world.create(STATEFUL_SET, "web", numbered(2))
    world.run_for(20)
    world.delete(STATEFUL_SET, "web", propagation="Orphan")
    world.run_for(5)
    world.create(STATEFUL_SET, "web", numbered(3))


NUMBERED: list[Scenario] = [
    come_and_go,
    all_at_once,
    updated,
    updated_without_bounds,
    canary,
    on_delete,
    back_and_forth,
    stuck,
    slowly,
    replaced,
    given_up,
    given_away,
]


def watch_numbers(world: World) -> None:
    """Hold a world to what must always be true of numbered pods."""
    checks: tuple[Callable[[World], None], ...] = (Numbered(), Spared())
    for check in checks:
        world.always(check)
