"""The judge: a real kube-scheduler on a real API server, asked about one pod after the other.

A pod is created and watched until kube-scheduler has bound it or has said why not. Pods come and go on one
watch, in order, so that the scheduler has seen all of them before the next one; nodes and the rest come on
watches of their own, so a cluster counts as seen when a probe meets its last node and some time has passed.
"""

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from differential.scheduler.clusters import NAMESPACES, Cluster, fixed
from nestling.api.json import JsonObject
from nestling.api.kinds import Kind
from nestling.machinery.client import Client, HttpTransport
from nestling.machinery.errors import AlreadyExists, HostError, NotFound
from nestling.machinery.login import log_in
from realhost import SCHEDULER, RealHost

POD: Final = Kind("Pod", "pods", group="", version="v1")
NODE: Final = Kind("Node", "nodes", group="", version="v1")
BUDGET: Final = Kind("PodDisruptionBudget", "poddisruptionbudgets", group="policy", version="v1")
KINDS: Final = {
    kind.name: kind
    for kind in (
        POD,
        NODE,
        BUDGET,
        Kind("Namespace", "namespaces", group="", version="v1"),
        Kind("PriorityClass", "priorityclasses", group="scheduling.k8s.io", version="v1"),
        Kind("RuntimeClass", "runtimeclasses", group="node.k8s.io", version="v1"),
        Kind("Service", "services", group="", version="v1"),
        Kind("ReplicationController", "replicationcontrollers", group="", version="v1"),
        Kind("ReplicaSet", "replicasets", group="apps", version="v1"),
        Kind("StatefulSet", "statefulsets", group="apps", version="v1"),
    )
}
OWNERS: Final = ("Service", "ReplicationController", "ReplicaSet", "StatefulSet")
# Nodes come without the taint of a node that is not ready, pods without a token and extra tolerations.
APISERVER_ARGS: Final = (
    "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition,DefaultTolerationSeconds",
    "--delete-collection-workers=16",
)
# It shall log the score that each plugin gave each node (prioritizeNodes in schedule_one.go), for every pod:
# batching uses scores of an equal pod again, though no pod is equal while spread and affinity are judged.
SCHEDULER_ARGS: Final = ("--vmodule=schedule_one=10", "--feature-gates=OpportunisticBatching=false")
MERGE: Final = "application/merge-patch+json"
EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
PATIENCE_S: Final = 60.0
SETTLING_S: Final = 0.3
_SCORE: Final = re.compile(
    rb'"Plugin scored node for pod" pod="(\S+)" plugin="(\w+)" node="(\S+)" score=(-?\d+)'
)
_ELSEWHERE: Final = re.compile(r"0/(\d+) nodes .* (\d+) node\(s\) didn't satisfy plugin")
_AT_ONCE: Final = 16
_NOW: Final = {"gracePeriodSeconds": 0, "propagationPolicy": "Background"}


def configuration(without: Collection[str]) -> JsonObject:
    """kube-scheduler's defaults, but all nodes are looked at, without limits on requests or some plugins."""
    profile: JsonObject = {"schedulerName": "default-scheduler", "percentageOfNodesToScore": 100}
    if without:
        profile["plugins"] = {"multiPoint": {"disabled": [{"name": name} for name in sorted(without)]}}
    return {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "leaderElection": {"leaderElect": False},
        "clientConnection": {"qps": 5000, "burst": 10000},
        "profiles": [profile],
    }


@dataclass(frozen=True, slots=True)
class Outcome:
    """What kube-scheduler made of a pod: the pod `bound`, or the `message` of its condition.

    With preemption there are both, and the `victims` as they were, and the node it was `nominated` for.
    `scores` by node and plugin, times the plugin's weight; empty when only one node would do.
    """

    bound: JsonObject | None = None
    reason: str = ""
    message: str = ""
    nominated: str = ""
    victims: tuple[JsonObject, ...] = ()
    scores: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])

    @property
    def node(self) -> str:
        """The node it went to, or nothing."""
        return self.bound["spec"]["nodeName"] if self.bound is not None else ""


class Made(NamedTuple):
    """What a cluster became on the API server."""

    nodes: list[JsonObject]
    budgets: list[JsonObject]
    bound: list[JsonObject]


@dataclass(slots=True)
class ScoreLog:
    """The scores in kube-scheduler's log."""

    path: Path
    offset: int = 0

    def take(self, namespace: str, name: str) -> dict[str, dict[str, int]]:
        """Scores of the pod's last attempt by node and plugin; what was read once is not read again."""
        with self.path.open("rb") as log:
            log.seek(self.offset)
            text = log.read()
            self.offset = log.tell()
        found: dict[str, dict[str, int]] = {}
        wanted = f"{namespace}/{name}".encode()
        for pod, plugin, node, score in _SCORE.findall(text):
            if pod == wanted:
                found.setdefault(node.decode(), {})[plugin.decode()] = int(score)
        return found

    def clear(self) -> None:
        """Forget what was written so far, for it is much."""
        os.truncate(self.path, 0)
        self.offset = 0


@dataclass(slots=True)
class Judge:
    """Makes clusters and asks about pods. `pods` is the watch's present view, by namespace and name."""

    client: Client
    log: ScoreLog
    pods: dict[tuple[str, str], JsonObject] = field(default_factory=dict[tuple[str, str], JsonObject])
    _refused: dict[str, JsonObject] = field(default_factory=dict[str, JsonObject])
    _left: list[JsonObject] = field(default_factory=list[JsonObject])
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _probes: int = 0
    _begun: int = 0

    # -- clusters --

    async def make_fixed(self) -> None:
        """Make what all clusters share."""
        for body in fixed():
            with contextlib.suppress(AlreadyExists):
                await self.client.call("POST", _collection(body), body=body)

    async def make(self, cluster: Cluster) -> Made:
        """Make a cluster; returns what of it the API server has filled in."""
        await self._all(self._create(body) for body in cluster.owners)
        budgets = await self._all(self._create(body) for body in cluster.budgets)
        nodes = await self._all(self._create(body) for body in cluster.nodes[:-1])
        if cluster.nodes:
            nodes.append(await self._create(cluster.nodes[-1]))  # whoever knows it knows them all
        bound = await self._all(self._create(body) for body in cluster.bound)
        for pod in bound:
            if pod["metadata"].get("finalizers"):
                await self._delete(pod)
        bound = await self._all(self.begin(pod) for pod in bound)
        await self.settle()
        if cluster.nodes:
            await self._met(cluster.nodes[-1]["metadata"]["name"])
        return Made(nodes, budgets, bound)

    async def clear(self) -> None:
        """Delete everything that is not shared by all clusters."""
        self.log.clear()
        # Asks, for the watch may not show yet what a broken-off attempt has made.
        while found := (await self.client.list(POD)).items:
            await self._all(self._let_go(pod) for pod in found if pod["metadata"].get("finalizers"))
            await self._all(self._delete(pod) for pod in found)
        for namespace in NAMESPACES:
            for kind in (BUDGET, *(KINDS[name] for name in OWNERS if name != "Service")):
                await self.client.call("DELETE", kind.path(namespace), body=_NOW)
            services = await self.client.list(KINDS["Service"], namespace)
            await self._all(self._delete({**one, "kind": "Service"}) for one in services.items)
        await self.until(lambda: not self.pods, "no pods")
        await self.client.call("DELETE", NODE.path(), body=_NOW)

    async def settle(self) -> None:
        """Give kube-scheduler's slower watches some time."""
        await asyncio.sleep(SETTLING_S)

    async def _met(self, node: str) -> None:
        """Wait until kube-scheduler knows a node: a probe that may go nowhere else says so."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                self._probes += 1
                outcome = await self.ask(await self._create(_probe(f"probe-{self._probes}", node)))
                if outcome.bound is not None:
                    await self.drop(outcome.bound)
                    return
                # It would be elsewhere if all nodes that there are were "elsewhere".
                elsewhere = _ELSEWHERE.search(outcome.message)
                if "no nodes" not in outcome.message and (elsewhere is None or elsewhere[1] != elsewhere[2]):
                    return
                await asyncio.sleep(0.1)

    # -- pods --

    async def create(self, pod: JsonObject) -> JsonObject:
        """Create a pod and return it as the API server keeps it. Raises Refused for one that is not valid."""
        self._left.clear()  # first: victims may be gone before the answer is here
        return await self._create(pod)

    async def ask(self, pod: JsonObject) -> Outcome:
        """Wait for the verdict on a pod just created. One that nobody wants is deleted again."""
        key, uid = _key(pod), pod["metadata"]["uid"]

        def now() -> JsonObject:
            found = self.pods.get(key)
            return found if found is not None and found["metadata"]["uid"] == uid else pod

        await self.until(lambda: _decided(now()), f"a verdict on {key}")
        seen = self._refused.pop(uid, None) or now()
        if seen["spec"].get("nodeName"):
            return Outcome(seen, scores=self.log.take(*key))
        refusal = _refusal(seen)
        nominated = (seen.get("status") or {}).get("nominatedNodeName") or ""
        if not nominated:
            await self._delete(seen)  # whoever watches pods sees that before the next one comes
            return Outcome(None, refusal["reason"], refusal["message"])

        def placed() -> bool:
            return bool(now()["spec"].get("nodeName"))

        try:
            await self.until(placed, "a quick end", within_s=0.5)
        except TimeoutError:  # a victim that was on its way out before is waited for, and nobody lets it go
            for other in list(self.pods.values()):
                if other["metadata"].get("deletionTimestamp") and other["spec"].get("nodeName") == nominated:
                    await self._let_go(other)
            await self.until(placed, f"{key} on its nominated node {nominated}")
        left = tuple(one for one in self._left if one["spec"].get("nodeName"))
        return Outcome(now(), refusal["reason"], refusal["message"], nominated, left)

    async def lift_gates(self, pod: JsonObject) -> JsonObject:
        """Let a gated pod go to the scheduler, after making sure that it has not gone there by itself."""
        await asyncio.sleep(0.05)
        seen = self.pods.get(_key(pod), pod)
        assert not seen["spec"].get("nodeName"), "a gated pod was bound"
        assert _refusal(seen)["reason"] == "SchedulingGated", seen["status"]
        self._left.clear()
        return await self._patch(pod, {"spec": {"schedulingGates": None}})

    async def begin(self, pod: JsonObject) -> JsonObject:
        """Let a bound pod have started, each a second after the one before: preemption asks for that."""
        self._begun += 1
        at = (EPOCH + timedelta(seconds=self._begun)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return await self._patch(pod, {"status": {"startTime": at}}, "status")

    async def drop(self, pod: JsonObject) -> None:
        """Delete a pod at once."""
        await self._delete(pod)
        await self.until(lambda: _key(pod) not in self.pods, f"{_key(pod)} gone")

    # -- underneath --

    async def until(self, true: Callable[[], bool], what: str, *, within_s: float = PATIENCE_S) -> None:
        """Wait until the watch shows it. Raises TimeoutError that says what was waited for."""
        try:
            async with asyncio.timeout(within_s):
                while not true():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError as error:
            raise TimeoutError(f"waited {within_s:.0f} s for {what}") from error

    async def follow(self) -> None:
        """Keep `pods` up to date, for ever."""
        listing = await self.client.list(POD)
        version = listing.version
        while True:
            async for event in self.client.watch(POD, version=version):
                found: JsonObject = event["object"]
                assert event["type"] != "ERROR", found
                version = int(found["metadata"]["resourceVersion"])
                if event["type"] == "DELETED":
                    self.pods.pop(_key(found), None)
                    self._left.append(found)
                elif event["type"] != "BOOKMARK":
                    self.pods[_key(found)] = found
                    if _decided(found) and not found["spec"].get("nodeName"):
                        # Kept, for room may have been made and the pod bound before anybody looks.
                        self._refused.setdefault(found["metadata"]["uid"], found)
                self._news.set()

    async def _create(self, body: JsonObject) -> JsonObject:
        found = await self.client.call("POST", _collection(body), body=body)
        if body["kind"] == BUDGET.name:
            path = f"{_collection(body)}/{body['metadata']['name']}/status"
            patch = {"status": body["status"]}
            return await self.client.call("PATCH", path, body=patch, content_type=MERGE)
        return found

    async def _delete(self, body: JsonObject) -> None:
        kind, meta = KINDS[body.get("kind", POD.name)], body["metadata"]
        with contextlib.suppress(NotFound):
            await self.client.call("DELETE", kind.path(meta["namespace"], meta["name"]), body=_NOW)

    async def _let_go(self, pod: JsonObject) -> None:
        with contextlib.suppress(NotFound):
            await self._patch(pod, {"metadata": {"finalizers": None}})

    async def _patch(self, pod: JsonObject, patch: JsonObject, subresource: str = "") -> JsonObject:
        path = POD.path(pod["metadata"]["namespace"], pod["metadata"]["name"], subresource)
        return await self.client.call("PATCH", path, body=patch, content_type=MERGE)

    async def _all(self, jobs: Iterable[Awaitable[JsonObject | None]]) -> list[JsonObject]:
        """Do all of them, some at once; results in order, or the first failure when all have ended."""
        slots = asyncio.Semaphore(_AT_ONCE)

        async def one(job: Awaitable[JsonObject | None]) -> JsonObject:
            async with slots:
                return await job or {}

        ended = await asyncio.gather(*map(one, jobs), return_exceptions=True)
        for result in ended:
            if isinstance(result, BaseException):
                raise result
        return [result for result in ended if not isinstance(result, BaseException)]


@asynccontextmanager
async def judge(host: RealHost) -> AsyncGenerator[Judge]:
    """A judge whose kube-scheduler runs already; leaves no pods and nodes behind."""
    login = log_in(host.kubeconfig)
    client = Client(HttpTransport(login.credentials(), connections=_AT_ONCE + 2))
    found = Judge(client, ScoreLog(host.local.files.log(SCHEDULER)))
    await found.make_fixed()
    follower = asyncio.create_task(found.follow())
    try:
        yield found
        await found.clear()
    finally:
        follower.cancel()
        with contextlib.suppress(asyncio.CancelledError, HostError):
            await follower
        await client.close()
        await asyncio.sleep(0.25)  # TLS connections take their leave after that; the loop must still run


def _collection(body: JsonObject) -> str:
    return KINDS[body["kind"]].path(body["metadata"].get("namespace"))


def _key(pod: JsonObject) -> tuple[str, str]:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]


def _refusal(pod: JsonObject) -> JsonObject:
    for one in (pod.get("status") or {}).get("conditions") or ():
        if one["type"] == "PodScheduled" and one["status"] == "False":
            return one
    return {}


def _decided(pod: JsonObject) -> bool:
    return bool(pod["spec"].get("nodeName")) or _refusal(pod).get("reason") in {
        "Unschedulable",
        "SchedulerError",
    }


def _probe(name: str, node: str) -> JsonObject:
    """A pod that wants one node and nothing else, and drives nobody out."""
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "containers": [{"name": "c", "image": "x"}],
            "priorityClassName": "probe",
            "terminationGracePeriodSeconds": 0,
            "tolerations": [{"operator": "Exists"}],
            "affinity": {"nodeAffinity": required},
        },
    }
