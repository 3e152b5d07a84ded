"""What must be true of a virtual cluster, whatever its users do and whenever its operator dies.

The first part is held against the world after every write, the second when it has come to rest. All of it
is read off the server alone, by arithmetic of its own: no loop is asked whether the loops are right.
The numbers (I1...) are those of the reliability targets: fault class, injection, invariant.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from math import ceil, floor
from typing import Any, Final

from nestling.api.json import JsonObject
from nestling.api.kinds import (
    DAEMON_SET,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    NODE,
    NODE_POOL,
    POD,
    POD_DISRUPTION_BUDGET,
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    SERVICE,
    STATEFUL_SET,
    VIRTUAL_KINDS,
    Kind,
)
from nestling.api.quantity import milli
from nestling.machinery.clock import seconds_of
from simulation import World

TERMINAL: Final = {"Succeeded", "Failed"}
POWER: Final = "sim.nestling.dev/power"
RUN_DURATION: Final = "sim.nestling.dev/run-duration"
REPLICATED: Final = (REPLICA_SET, REPLICATION_CONTROLLER)
PHASES: Final = {"": 0, "Pending": 0, "Running": 1, "Succeeded": 2, "Failed": 2}


def name_of(obj: JsonObject) -> str:
    """The name on the host."""
    return obj["metadata"]["name"]


def status_of(obj: JsonObject) -> JsonObject:
    """The status, empty if there is none."""
    return obj.get("status") or {}


def phase_of(pod: JsonObject) -> str:
    """The phase of a pod, empty before anybody wrote one."""
    return status_of(pod).get("phase") or ""


def deleting(obj: JsonObject) -> bool:
    """Whether somebody has deleted it."""
    return "deletionTimestamp" in obj["metadata"]


def active(pod: JsonObject) -> bool:
    """Whether a pod counts for its owner."""
    return not deleting(pod) and phase_of(pod) not in TERMINAL


def controller_of(obj: JsonObject) -> str:
    """UID of the owner that controls it, empty if none does."""
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return owner["uid"]
    return ""


def conditions_of(obj: JsonObject) -> dict[str, str]:
    """Condition types and their status."""
    return {one["type"]: one["status"] for one in status_of(obj).get("conditions") or ()}


def namespace_of(obj: JsonObject) -> str:
    """The virtual namespace, by the rule of names."""
    return name_of(obj).rpartition(".")[2] if "." in name_of(obj) else "default"


def serves(pod: JsonObject, min_ready_s: float = 0.0, now: float = 0.0) -> bool:
    """Whether a pod is ready, and has been so for `min_ready_s` seconds."""
    for one in status_of(pod).get("conditions") or ():
        if one["type"] == "Ready" and one["status"] == "True":
            return active(pod) and (
                not min_ready_s or seconds_of(one["lastTransitionTime"]) + min_ready_s <= now
            )
    return False


def owned(world: World, kind: Kind) -> dict[str, list[JsonObject]]:
    """Objects of a kind by the UID of who controls them."""
    found: dict[str, list[JsonObject]] = defaultdict(list)
    for obj in world.list(kind):
        found[controller_of(obj)].append(obj)
    return found


def healthy_nodes(world: World) -> set[str]:
    """Names of nodes on which nothing happens to pods by itself."""
    return {
        name_of(node)
        for node in world.list(NODE)
        if not deleting(node)
        and conditions_of(node).get("Ready") == "True"
        and (node["metadata"].get("annotations") or {}).get(POWER) != "off"
        and not any(taint["effect"] == "NoExecute" for taint in node["spec"].get("taints") or ())
    }


# After every write


class Binds:
    """I2: a pod is bound once; its node never changes."""

    def __init__(self) -> None:
        self._nodes: dict[str, str] = {}

    def __call__(self, world: World) -> None:
        """Compare with what was seen before."""
        for pod in world.list(POD):
            node = pod["spec"].get("nodeName") or ""
            known = self._nodes.setdefault(pod["metadata"]["uid"], node)
            assert known in {"", node}, f"{name_of(pod)} was bound to {known} and now to {node or 'nothing'}"
            self._nodes[pod["metadata"]["uid"]] = node


def no_overcommit(world: World, *, admitted: bool = False) -> None:
    """I3: per node, the requests, host ports and number of pods that have not ended fit.

    With `admitted`, only of pods that the node has taken on: it refuses what two schedulers gave it at once.
    """
    cpu: Counter[str] = Counter()
    pods: Counter[str] = Counter()
    ports: Counter[tuple[str, int]] = Counter()
    for pod in world.list(POD):
        node = pod["spec"].get("nodeName")
        if node and phase_of(pod) not in TERMINAL and (status_of(pod).get("podIP") or not admitted):
            pods[node] += 1
            for container in pod["spec"]["containers"]:
                cpu[node] += milli(container.get("resources", {}).get("requests", {}).get("cpu", "0"))
                for port in container.get("ports") or ():
                    if port.get("hostPort"):
                        ports[node, port["hostPort"]] += 1
    for node in world.list(NODE):
        name, allocatable = name_of(node), status_of(node).get("allocatable")
        if allocatable:
            assert cpu[name] <= milli(allocatable["cpu"]), f"{name} is promised {cpu[name]}m of CPU"
            assert pods[name] <= int(allocatable["pods"]), f"{name} holds {pods[name]} pods"
    for (node, port), count in ports.items():
        assert count == 1, f"{count} pods hold port {port} of {node}"


def fenceposts(deployment: JsonObject) -> tuple[int, int]:
    """Surge and unavailability of a rolling update, by the words of the API reference."""
    wanted = deployment["spec"]["replicas"]
    rolling = deployment["spec"]["strategy"].get("rollingUpdate") or {}

    def amount(value: Any, rounded: Any) -> int:
        return rounded(int(value[:-1]) * wanted / 100) if isinstance(value, str) else int(value)

    surge = amount(rolling.get("maxSurge", "25%"), ceil)
    unavailable = amount(rolling.get("maxUnavailable", "25%"), floor)
    return surge, unavailable if surge or unavailable else 1


class RolloutBounds:
    """I4: a rolling update asks for replicas + surge pods at most, and spares replicas - unavailable ones.

    Availability is promised against the rollout alone. It counts from the moment it was once complete, and
    starts over when somebody deletes things or a node goes; pods that end by themselves promise nothing.
    """

    def __init__(self) -> None:
        self._reached: dict[str, int] = {}  # deployment -> replicas it has had available once
        self._planned: dict[str, int] = {}
        self._most: dict[str, int] = {}  # what its controller may be going by, as long as it has not looked
        self._restless: set[str] = set()
        self._disturbances = 0
        self._dark: dict[str, float] = {}  # when a node was last seen without power

    def __call__(self, world: World) -> None:
        """Hold every Deployment of strategy RollingUpdate to its bounds."""
        for node in world.list(NODE):
            if (node["metadata"].get("annotations") or {}).get(POWER) == "off":
                self._dark[name_of(node)] = world.clock.now()
        if self._disturbances != world.disturbances:
            self._disturbances = world.disturbances
            self._reached.clear()
        deployments = [one for one in world.list(DEPLOYMENT) if one["spec"]["strategy"]["type"] != "Recreate"]
        if not deployments:
            return
        sets, pods, healthy = owned(world, REPLICA_SET), owned(world, POD), healthy_nodes(world)
        for deployment in deployments:
            uid, spec = deployment["metadata"]["uid"], deployment["spec"]
            wanted = spec["replicas"]
            surge, unavailable = fenceposts(deployment)
            mine = [rs for rs in sets[uid] if not deleting(rs)]
            planned = sum(rs["spec"]["replicas"] for rs in mine)
            before = self._planned.get(uid, 0)
            self._planned[uid] = planned
            fresh = _fresh(deployment)
            self._most[uid] = max(wanted + surge, self._most.get(uid, 0) if fresh else 0)
            assert planned <= max(self._most[uid], before), (
                f"{name_of(deployment)}: {planned} pods are asked for instead of {wanted}, surge {surge}"
            )
            if fresh or deleting(deployment):
                self._reached.pop(uid, None)  # it was scaled perhaps: the count starts over
                continue
            family = [pod for rs in mine for pod in pods[rs["metadata"]["uid"]]]
            if any(RUN_DURATION in (pod["metadata"].get("annotations") or {}) for pod in family):
                self._restless.add(uid)
            bound = {pod["spec"]["nodeName"] for pod in family if pod["spec"].get("nodeName")}
            if uid in self._restless or not bound <= healthy or any(map(self._outlived, family)):
                self._reached.pop(uid, None)
                continue
            min_ready_s = spec.get("minReadySeconds") or 0
            available = sum(serves(pod, min_ready_s, world.clock.now()) for pod in family)
            if available >= wanted:
                self._reached[uid] = wanted
            if self._reached.get(uid) == wanted:
                assert available >= wanted - unavailable, (
                    f"{name_of(deployment)}: only {available} of {wanted} are available"
                )

    def _outlived(self, pod: JsonObject) -> bool:
        """Whether a pod's status tells of containers that its node's loss of power has ended."""
        dark = self._dark.get(pod["spec"].get("nodeName", ""))
        return dark is not None and any(
            seconds_of(running["startedAt"]) <= dark
            for one in status_of(pod).get("containerStatuses") or ()
            if (running := (one.get("state") or {}).get("running"))
        )


def _fresh(obj: JsonObject) -> bool:
    """Whether an object has changed so recently that its controller has not looked at it."""
    return status_of(obj).get("observedGeneration") != obj["metadata"]["generation"]


def recreate_leaves_a_gap(world: World) -> None:
    """Strategy Recreate: pods of two revisions never live at the same time, not even while they terminate."""
    uids = {
        one["metadata"]["uid"]: name_of(one)
        for one in world.list(DEPLOYMENT)
        if one["spec"]["strategy"]["type"] == "Recreate"
    }
    if not uids:
        return
    sets, pods = owned(world, REPLICA_SET), owned(world, POD)
    for uid, name in uids.items():
        alive = [
            name_of(rs)
            for rs in sets[uid]
            if any(phase_of(pod) not in TERMINAL for pod in pods[rs["metadata"]["uid"]])
        ]
        assert len(alive) <= 1, f"pods of several revisions of {name} live together: {alive}"


class NoSurplus:
    """No pod is created that nobody asked for: a ReplicaSet never gains pods beyond its number.

    A stray that it takes in, because it had not known of it when it created its own, is none of these.
    """

    def __init__(self) -> None:
        self._held: dict[str, int] = {}
        self._strays: set[str] = set()

    def __call__(self, world: World) -> None:
        """Compare each ReplicaSet's pods with its number and with how many there were."""
        pods = owned(world, POD)
        taken_in = {controller: self._taken_in(mine) for controller, mine in pods.items() if controller}
        self._strays = {pod["metadata"]["uid"] for pod in pods[""]}
        for rs in (one for kind in REPLICATED for one in world.list(kind)):
            uid = rs["metadata"]["uid"]
            held = sum(map(active, pods[uid]))
            if held > rs["spec"]["replicas"] and not _fresh(rs):
                assert held <= self._held.get(uid, 0) + taken_in.get(uid, 0), (
                    f"{name_of(rs)} has {held} pods instead of {rs['spec']['replicas']}"
                )
            self._held[uid] = held

    def _taken_in(self, pods: Iterable[JsonObject]) -> int:
        return sum(pod["metadata"]["uid"] in self._strays for pod in pods)


class NoneLost:
    """I1: a pod that nobody owns lives until its user, its node or its namespace ends it."""

    def __init__(self) -> None:
        self._alone: dict[str, str] = {}
        self._excused: set[str] = set()

    def __call__(self, world: World) -> None:
        """Look for pods that are missing or deleted without anybody having said so."""
        healthy = healthy_nodes(world)
        living: set[str] = set()
        for pod in world.list(POD):
            uid, node = pod["metadata"]["uid"], pod["spec"].get("nodeName")
            if node and node not in healthy:
                self._excused.add(uid)
            if not pod["metadata"].get("ownerReferences"):
                self._alone.setdefault(uid, name_of(pod))
            else:
                self._alone.pop(uid, None)  # adopted: its owner may end it
            if not deleting(pod):
                living.add(uid)
        for uid in [uid for uid in self._alone if uid not in living]:
            name = self._alone.pop(uid)
            assert uid in self._excused or world.was_deleted(uid, name), (
                f"pod {name} is gone, and nobody said so"
            )


class Forward:
    """I9: phases go forward, what has ended has ended, generations observed never fall, restarts count one
    by one.
    """

    def __init__(self) -> None:
        self._phases: dict[str, str] = {}
        self._observed: dict[str, int] = {}
        self._restarts: dict[tuple[str, str], int] = {}

    def __call__(self, world: World) -> None:
        """Compare with what was seen before."""
        for pod in world.list(POD):
            uid, phase = pod["metadata"]["uid"], phase_of(pod)
            before = self._phases.get(uid, "")
            if phase != before:
                step = f"{name_of(pod)} went from {before} to {phase or 'nothing'}"
                assert before not in TERMINAL, step
                assert PHASES[phase] >= PHASES[before], step
                self._phases[uid] = phase
            for container in status_of(pod).get("containerStatuses") or ():
                key, count = (uid, container["name"]), container["restartCount"]
                known = self._restarts.get(key, 0)
                assert known <= count <= known + 1, f"restarts of {name_of(pod)} went from {known} to {count}"
                self._restarts[key] = count
        for kind in (DEPLOYMENT, STATEFUL_SET, DAEMON_SET, *REPLICATED, NODE_POOL):
            for obj in world.list(kind):
                uid, observed = obj["metadata"]["uid"], status_of(obj).get("observedGeneration") or 0
                known = self._observed.get(uid, 0)
                assert known <= observed <= obj["metadata"]["generation"], (
                    f"{name_of(obj)}: observed generation {observed} after {known}"
                )
                self._observed[uid] = observed


def numbers_are_unique(world: World) -> None:
    """No two nodes hold the same block of pod addresses, no two services the same address or node port."""
    blocks = [node["spec"]["podCIDR"] for node in world.list(NODE) if node["spec"].get("podCIDR")]
    specs = [service["spec"] for service in world.list(SERVICE)]
    addresses = [spec["clusterIP"] for spec in specs if spec.get("clusterIP") not in {None, "", "None"}]
    ports = [port["nodePort"] for spec in specs for port in spec.get("ports") or () if port.get("nodePort")]
    for numbers in (blocks, addresses, ports):
        assert len(numbers) == len(set(numbers)), numbers


def addresses_are_unique(world: World) -> None:
    """No two pods that run on nodes of this cluster share an address."""
    nodes = {name_of(node) for node in world.list(NODE)}
    found = Counter(
        status_of(pod)["podIP"]
        for pod in world.list(POD)
        if status_of(pod).get("podIP")
        and phase_of(pod) not in TERMINAL
        and pod["spec"].get("nodeName") in nodes
    )
    assert all(count == 1 for count in found.values()), found.most_common(3)


def watch_over(world: World) -> None:
    """Hold a world with one operator to everything that must always be true."""
    for check in (Binds(), RolloutBounds(), NoSurplus(), NoneLost(), Forward()):
        world.always(check)
    for plain in (no_overcommit, recreate_leaves_a_gap, numbers_are_unique, addresses_are_unique):
        world.always(plain)


# At rest


def at_rest(world: World) -> None:
    """Hold a world that has come to rest to the truth: every figure counted anew, nothing forgotten."""
    assert not world.bugs, f"loops raised: {world.bugs}"
    for complaint in complaints(world):
        raise AssertionError(complaint)


def complaints(world: World) -> Iterator[str]:
    """Everything that is not as it should be."""
    yield from _owners(world)
    yield from _pods(world)
    yield from _workloads(world)
    yield from _stateful_sets(world)
    yield from _daemon_sets(world)
    yield from _endpoints(world)
    yield from _budgets(world)
    yield from _nodes(world)
    for operator in world.operators:
        for plural, lag_s in operator.echo.lags_s().items():
            if lag_s:
                yield f"the watch of {plural} never told of a write {lag_s} s ago"


def _owners(world: World) -> Iterator[str]:
    """I8: no orphan, and nothing left in a namespace that was deleted."""
    everything = {kind: world.list(kind) for kind in VIRTUAL_KINDS}
    uids = {obj["metadata"]["uid"] for objects in everything.values() for obj in objects}
    for kind, objects in everything.items():
        for obj in objects:
            if deleting(obj):
                continue  # on its way out, and perhaps held on a dead node: `_pods` knows
            for owner in obj["metadata"].get("ownerReferences") or ():
                if owner["uid"] not in uids:
                    yield f"{kind.name} {name_of(obj)} is an orphan of {owner['name']}"


def _pods(world: World) -> Iterator[str]:
    """I1: every pod runs, has ended, or waits for a reason that it names; none terminates for ever."""
    nodes = {name_of(node) for node in world.list(NODE)}
    healthy = healthy_nodes(world)
    for pod in world.list(POD):
        name, node = name_of(pod), pod["spec"].get("nodeName")
        if node and node not in nodes:
            yield f"{name} is bound to {node}, which does not exist"
        elif node and node not in healthy:
            continue  # nobody can speak for it
        elif deleting(pod):
            yield f"{name} is still terminating"
        elif not node and phase_of(pod) not in TERMINAL:
            said = [one for one in status_of(pod).get("conditions") or () if one["type"] == "PodScheduled"]
            if not said or said[0]["status"] != "False" or not said[0].get("message"):
                yield f"{name} waits for a node without a reason"
        elif phase_of(pod) == "Pending" and not _is_stuck(pod):
            yield f"{name} is on {node} and does not start"


def _is_stuck(pod: JsonObject) -> bool:
    return any(container["image"].startswith("fail/") for container in pod["spec"]["containers"])


def _workloads(world: World) -> Iterator[str]:
    """Statuses tell what is, counted pod by pod."""
    pods, sets, now = owned(world, POD), owned(world, REPLICA_SET), world.clock.now()
    for rs in (one for kind in REPLICATED for one in world.list(kind)):
        mine = [pod for pod in pods[rs["metadata"]["uid"]] if active(pod)]
        min_ready_s = rs["spec"].get("minReadySeconds") or 0
        true = {
            "replicas": len(mine),
            "readyReplicas": sum(map(serves, mine)),
            "availableReplicas": sum(serves(pod, min_ready_s, now) for pod in mine),
        }
        yield from _differences(rs, true)
        if len(mine) != rs["spec"]["replicas"]:
            yield f"{name_of(rs)} has {len(mine)} pods instead of {rs['spec']['replicas']}"
    for deployment in world.list(DEPLOYMENT):
        mine = [
            pod
            for rs in sets[deployment["metadata"]["uid"]]
            for pod in pods[rs["metadata"]["uid"]]
            if active(pod)
        ]
        min_ready_s = deployment["spec"].get("minReadySeconds") or 0
        true = {
            "replicas": len(mine),
            "readyReplicas": sum(map(serves, mine)),
            "availableReplicas": sum(serves(pod, min_ready_s, now) for pod in mine),
        }
        yield from _differences(deployment, true)
        if not deployment["spec"].get("paused") and not any(map(_is_stuck, mine)):
            images = {_image(pod["spec"]) for pod in mine}
            template = _image(deployment["spec"]["template"]["spec"])
            rolled = all(serves(pod) for pod in mine)
            if rolled and (images - {template} or len(mine) != deployment["spec"]["replicas"]):
                yield f"{name_of(deployment)} is not rolled out: {len(mine)} pods of {images}"


def _stateful_sets(world: World) -> Iterator[str]:
    """Numbered pods are those that are wanted, and the figures are theirs."""
    pods, now = owned(world, POD), world.clock.now()
    for sts in world.list(STATEFUL_SET):
        name, spec, status = name_of(sts), sts["spec"], status_of(sts)
        mine = pods[sts["metadata"]["uid"]]
        label = "controller-revision-hash"
        true = {
            "replicas": len(mine),
            "readyReplicas": sum(map(serves, mine)),
            "availableReplicas": sum(serves(pod, spec.get("minReadySeconds") or 0, now) for pod in mine),
            "currentReplicas": sum(
                pod["metadata"]["labels"][label] == status["currentRevision"] for pod in mine
            ),
            "updatedReplicas": sum(
                pod["metadata"]["labels"][label] == status["updateRevision"] for pod in mine
            ),
        }
        yield from _differences(sts, true)
        if not any(map(_is_stuck, mine)):
            first = (spec.get("ordinals") or {}).get("start") or 0
            wanted = {f"{name.partition('.')[0]}-{n}" for n in range(first, first + spec["replicas"])}
            there = {name_of(pod).partition(".")[0] for pod in mine}
            if there != wanted:
                yield f"{name} has {sorted(there)} instead of {sorted(wanted)}"


def _daemon_sets(world: World) -> Iterator[str]:
    """A pod on every node that should have one, none elsewhere, and the figures are theirs.

    Which nodes should is told by the plain node selector and by taints that nobody tolerates.
    """
    pods, now = owned(world, POD), world.clock.now()
    for ds in world.list(DAEMON_SET):
        spec, template = ds["spec"], ds["spec"]["template"]["spec"]
        selector = template.get("nodeSelector") or {}
        tolerated = {one.get("key") for one in template.get("tolerations") or ()}
        wanted = {
            name_of(node)
            for node in world.list(NODE)
            if selector.items() <= (node["metadata"].get("labels") or {}).items()
            and not any(
                taint["key"] == "chore" and taint["key"] not in tolerated
                for taint in node["spec"].get("taints") or ()
            )
        }
        mine = {pod["spec"].get("nodeName"): pod for pod in pods[ds["metadata"]["uid"]]}
        placed = [pod for node, pod in mine.items() if node in wanted]
        ready = [pod for pod in placed if serves(pod)]
        available = sum(serves(pod, spec.get("minReadySeconds") or 0, now) for pod in placed)
        true = {
            "desiredNumberScheduled": len(wanted),
            "currentNumberScheduled": len(placed),
            "numberMisscheduled": len(mine) - len(placed),
            "numberReady": len(ready),
            "numberAvailable": available,
            "numberUnavailable": len(wanted) - available,
        }
        yield from _differences(ds, true)
        if not wanted <= mine.keys():
            yield f"{name_of(ds)} has no pod on {sorted(wanted - mine.keys())}"
        if len(mine) != len(pods[ds["metadata"]["uid"]]):
            yield f"{name_of(ds)} has two pods on a node"


def _image(spec: JsonObject) -> str:
    return spec["containers"][0]["image"]


def _differences(obj: JsonObject, true: dict[str, int]) -> Iterator[str]:
    if _fresh(obj):
        yield f"nobody has looked at {name_of(obj)}"
    for field, count in true.items():
        if (status_of(obj).get(field) or 0) != count:
            yield f"{name_of(obj)} says {field}={status_of(obj).get(field)}, and it is {count}"


def _endpoints(world: World) -> Iterator[str]:
    """I10: the ready endpoints of a service are the addresses of the ready pods it selects."""
    for service in world.list(SERVICE):
        selector = service["spec"].get("selector")
        if not selector:
            continue
        expected = sorted(
            status_of(pod)["podIP"]
            for pod in world.list(POD)
            if namespace_of(pod) == namespace_of(service)
            and serves(pod)
            and selector.items() <= (pod["metadata"].get("labels") or {}).items()
        )
        found = sorted(
            endpoint["addresses"][0]
            for piece in world.list(ENDPOINT_SLICE)
            if any(
                owner["uid"] == service["metadata"]["uid"]
                for owner in piece["metadata"].get("ownerReferences") or ()
            )
            for endpoint in piece.get("endpoints") or ()
            if endpoint["conditions"]["ready"]
        )
        if found != expected:
            yield f"service {name_of(service)} has endpoints {found} instead of {expected}"


def _budgets(world: World) -> Iterator[str]:
    """A budget counts the ready pods that it selects, and never allows more than it can spare."""
    for budget in world.list(POD_DISRUPTION_BUDGET):
        labels = (budget["spec"].get("selector") or {}).get("matchLabels") or {}
        ready = sum(
            namespace_of(pod) == namespace_of(budget)
            and serves(pod)
            and labels.items() <= (pod["metadata"].get("labels") or {}).items()
            for pod in world.list(POD)
        )
        said = status_of(budget)
        spare = max(ready - said["desiredHealthy"], 0) if said["expectedPods"] else 0
        yield from _differences(budget, {"currentHealthy": ready, "disruptionsAllowed": spare})
        if said.get("disruptedPods"):
            yield f"{name_of(budget)} still waits for {said['disruptedPods']}"


def _nodes(world: World) -> Iterator[str]:
    """Nodes are ready exactly when they have power, and pools have the nodes they ask for."""
    nodes = owned(world, NODE)
    for node in world.list(NODE):
        powered = (node["metadata"].get("annotations") or {}).get(POWER) != "off"
        if (conditions_of(node).get("Ready") == "True") != powered:
            yield f"{name_of(node)} has {conditions_of(node)}, power {'on' if powered else 'off'}"
    for pool in world.list(NODE_POOL):
        mine = nodes[pool["metadata"]["uid"]]
        ready = sum(conditions_of(node).get("Ready") == "True" for node in mine)
        if len(mine) != pool["spec"]["replicas"]:
            yield f"{name_of(pool)} has {len(mine)} nodes instead of {pool['spec']['replicas']}"
        yield from _differences(pool, {"replicas": len(mine), "readyReplicas": ready})
