"""The two sides of a benchmark on one API server: Nestling's virtual pods, and native ones of kube-scheduler
and KWOK.

Each side makes its nodes once, starts its programs for each round and stops them after it, so that neither
works or holds memory while the other is measured. Both get the same pod and nodes of the same size.

KWOK plays the stages that its project calls fast, from its own Go module; the limits that a user of a shared
server wants (50 requests per second for kube-scheduler, 4 pods at a time for KWOK) are lifted, except in the
arm that is there to show them.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import orjson
import yaml
from load import Generator, until
from meter import cpu_s

from nestling.api.json import JsonObject
from nestling.api.kinds import API_VERSION, LEASE, NODE, NODE_POOL, POD, Kind
from nestling.host import binaries
from nestling.host.record import Host
from nestling.host.release import KWOK_VERSION
from nestling.host.toolchain import find_go, go_environment
from nestling.machinery.client import Client
from nestling.scheduler.podterms import HOSTNAME, ZONE

NATIVE_POD: Final = Kind("Pod", "pods", group="", version="v1")
NATIVE_NODE: Final = Kind("Node", "nodes", group="", version="v1", scoped=False)
NATIVE_NAMESPACE: Final = Kind("Namespace", "namespaces", group="", version="v1", scoped=False)
LEASES: Final = "kube-node-lease"
ROOM: Final[JsonObject] = {"cpu": "32", "memory": "256Gi", "pods": "110"}
ZONES: Final = tuple(f"zone-{i}" for i in range(10))
POD_SPEC: Final[JsonObject] = {
    # Natively, admission would otherwise mount a token volume, which virtual pods do not have.
    "automountServiceAccountToken": False,
    "containers": [
        {
            "name": "main",
            "image": "registry.k8s.io/pause:3.10",
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
        }
    ],
}
FAST_STAGES: Final = ("node/fast", "node/heartbeat-with-lease", "pod/fast")
WORKLOAD_CONTROLLERS: Final = (
    "deployment-controller", "replicaset-controller", "statefulset-controller", "job-controller",
)  # fmt: skip
# A side is quiet when it uses less of a core than this.
QUIET: Final = 0.10
WARM_UP: Final = 64


class Program:
    """A child process. Its output goes to a file, and it ends with us."""

    def __init__(self, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self._command = command
        self._log = log
        self._env = {**os.environ, **(env or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its pid. Raises RuntimeError with its last words when it has ended."""
        if self._process is None or self._process.poll() is not None:
            tail = self._log.read_text(errors="replace").strip().splitlines()[-3:]
            raise RuntimeError(f"{self._command[0]} does not run: {' / '.join(tail)}")
        return self._process.pid

    def start(self) -> None:
        """Start it; returns at once."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # programs of this project or found by it
                self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self._env
            )

    def stop(self) -> None:
        """End it as a user's Ctrl-C would, killed after ten seconds."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


class Side(ABC):
    """One way to run pods: its kinds, its nodes, its programs."""

    name: str
    pod: Kind
    node: Kind
    namespace: str

    def __init__(self, host: Host, client: Client, folder: Path, *, connections: int = 32) -> None:
        self._host = host
        self._client = client
        self._folder = folder
        self._nodes = 0
        self._programs: list[Program] = []
        self.load = Generator(client, self.pod, self.namespace, connections)

    @property
    def pids(self) -> list[int]:
        """The processes whose cost is this side's."""
        return [program.pid for program in self._programs]

    def manifest(self, name: str) -> JsonObject:
        """One pod without a controller."""
        return {
            "apiVersion": self.pod.api_version,
            "kind": self.pod.name,
            "metadata": {"name": name, "labels": {"app": "bench"}},
            "spec": POD_SPEC,
        }

    async def prepare(self, nodes: int) -> None:
        """Make the namespace and the nodes, once for all rounds."""
        self._nodes = nodes
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}
        await self._client.call("POST", NATIVE_NAMESPACE.path(), body=body)
        await self._make_nodes(nodes)

    @abstractmethod
    async def _make_nodes(self, nodes: int) -> None: ...

    @abstractmethod
    def _commands(self) -> list[tuple[Sequence[str], Mapping[str, str]]]: ...

    async def start(self) -> float:
        """Start the programs; return the seconds until every node is Ready. Some first pods run and go."""
        started = time.monotonic()
        for command, env in self._commands():
            program = Program(command, self._folder / f"{self.name}.log", env)
            self._programs.append(program)
            program.start()
        await until(self._nodes_ready, within_s=300, every_s=0.5)
        ready = time.monotonic() - started
        await self.load.run([self.manifest(f"first-{i}") for i in range(WARM_UP)])
        await self.load.clear()
        await self.quiet()
        return ready

    async def _nodes_ready(self) -> bool:
        assert self.pids  # says so at once when a program has died
        found = (await self._client.list(self.node, self.namespace if self.node is NODE else None)).items
        return len(found) == self._nodes and all(map(_is_ready, found))

    async def quiet(self, *, within_s: float = 30.0) -> None:
        """Wait until the programs have nothing more to do, at most so long."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            before = cpu_s(self.pids)
            await asyncio.sleep(1.0)
            if cpu_s(self.pids) - before < QUIET:
                return

    def stop(self) -> None:
        """Stop the programs, the last started first."""
        while self._programs:
            self._programs.pop().stop()


def _is_ready(node: JsonObject) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


class Ours(Side):
    """`nestling run` with all roles, and a VirtualNodePool in each zone."""

    name = "nestling"
    pod = POD
    node = NODE
    namespace = "bench-virtual"

    async def _make_nodes(self, nodes: int) -> None:
        for index, zone in enumerate(ZONES):
            template = {"metadata": {"labels": {ZONE: zone}}, "spec": {"capacity": ROOM}}
            pool = {
                "apiVersion": API_VERSION,
                "kind": NODE_POOL.name,
                "metadata": {"name": zone},
                "spec": {"replicas": len(range(index, nodes, len(ZONES))), "template": template},
            }
            await self._client.create(NODE_POOL, self.namespace, pool)

    def _commands(self) -> list[tuple[Sequence[str], Mapping[str, str]]]:
        command = [sys.executable, "-m", "nestling", "run", "--namespace", self.namespace]
        return [([*command, "--metrics-address", "127.0.0.1:0"], {"KUBECONFIG": str(self._host.kubeconfig)})]


class Rival(Side):
    """kube-scheduler and KWOK, and native nodes; limits of their clients lifted."""

    name = "kwok"
    pod = NATIVE_POD
    node = NATIVE_NODE
    namespace = "bench-native"
    requests_per_s = 5000
    stage_parallelism = 16

    async def _make_nodes(self, nodes: int) -> None:
        await until(self._has_service_account, within_s=30)
        known = {node["metadata"]["name"] for node in (await self._client.list(NATIVE_NODE)).items}
        await asyncio.gather(
            *(self._make_node(f"n{i}", ZONES[i % len(ZONES)]) for i in range(nodes) if f"n{i}" not in known)
        )

    async def start(self) -> float:
        """As above. A KWOK that was stopped leaves its Leases, and the next would wait for their end."""
        await self._client.call("DELETE", LEASE.path(LEASES))
        return await super().start()

    async def _nodes_ready(self) -> bool:
        held = (await self._client.list(LEASE, LEASES, metadata_only=True)).items
        return len(held) >= self._nodes and await super()._nodes_ready()

    async def _has_service_account(self) -> bool:
        path = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/default"
        return bool(await self._client.call("GET", path))

    async def _make_node(self, name: str, zone: str) -> None:
        labels = {HOSTNAME: name, ZONE: zone, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
        body = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}},
            "status": {"capacity": ROOM, "allocatable": ROOM},
        }
        await self._client.call("POST", NATIVE_NODE.path(), body=body)
        # Admission taints a new node, and the controller that takes the taint off does not run here.
        await self._client.call(
            "PATCH",
            NATIVE_NODE.path(None, name),
            body={"spec": {"taints": None}},
            content_type="application/merge-patch+json",
        )

    def _commands(self) -> list[tuple[Sequence[str], Mapping[str, str]]]:
        programs = binaries.paths(binaries.ensure(["kube-scheduler", "kwok"]))
        scheduler = [programs["kube-scheduler"], f"--config={self._scheduler_config()}", "--secure-port=0"]
        kwok = [programs["kwok"], f"--kubeconfig={self._host.kubeconfig}", f"--config={self._kwok_config()}"]
        return [(list(map(str, scheduler)), {}), (list(map(str, kwok)), {})]

    def _scheduler_config(self) -> Path:
        path = self._folder / f"{self.name}-scheduler.yaml"
        config: JsonObject = {
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "leaderElection": {"leaderElect": False},
            "clientConnection": {
                "kubeconfig": str(self._host.kubeconfig),
                "qps": self.requests_per_s,
                "burst": 2 * self.requests_per_s,
            },
        }
        path.write_text(yaml.safe_dump(config))
        return path

    def _kwok_config(self) -> Path:
        """KWOK's settings as its own deployment has them, and its fast stages."""
        path = self._folder / f"{self.name}-kwok.yaml"
        config: JsonObject = {
            "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
            "kind": "KwokConfiguration",
            "options": {
                "enableProfilingHandler": False,
                "enablePodsOnNodeSyncListPager": False,
                "enablePodsOnNodeSyncStreamWatch": True,
                "nodeLeaseParallelism": self.stage_parallelism,
                "podPlayStageParallelism": self.stage_parallelism,
                "nodePlayStageParallelism": self.stage_parallelism,
                "manageAllNodes": True,
                "nodeLeaseDurationSeconds": 40,
            },
        }
        path.write_text("\n---\n".join([yaml.safe_dump(config), *fast_stages()]))
        return path


class RivalByDefault(Rival):
    """The same with the limits that kube-scheduler and KWOK have when nobody lifts them."""

    name = "kwok-default"
    namespace = "bench-native-default"
    requests_per_s = 50
    stage_parallelism = 4


class Native(Rival):
    """kube-controller-manager's workload controllers besides; limits of their clients lifted."""

    name = "native"
    namespace = "bench-workloads"
    manager_requests_per_s = 5000

    def _commands(self) -> list[tuple[Sequence[str], Mapping[str, str]]]:
        name = "kube-controller-manager"
        program = binaries.paths(binaries.ensure([name]))[name]
        manager = [
            str(program),
            f"--kubeconfig={self._host.kubeconfig}",
            f"--controllers={','.join(WORKLOAD_CONTROLLERS)}",
            f"--kube-api-qps={self.manager_requests_per_s}",
            f"--kube-api-burst={int(1.5 * self.manager_requests_per_s)}",
            "--leader-elect=false",
            "--secure-port=0",
        ]
        return [*super()._commands(), (manager, {})]


class NativeByDefault(Native):
    """The same with the limits that the three have when nobody lifts them."""

    name = "native-default"
    namespace = "bench-workloads-default"
    requests_per_s = RivalByDefault.requests_per_s
    stage_parallelism = RivalByDefault.stage_parallelism
    manager_requests_per_s = 20


SIDES: Final[Mapping[str, type[Side]]] = {"ours": Ours, "kwok": Rival, "kwok-default": RivalByDefault}


def fast_stages() -> list[str]:
    """The YAML of KWOK's fast stages, out of the Go module that its program was built from."""
    env = go_environment(os.environ)
    go = find_go(env, lambda _line: None)
    command = [go, "mod", "download", "-json", f"sigs.k8s.io/kwok@{KWOK_VERSION}"]
    answer = subprocess.run(command, capture_output=True, check=True, env=env)
    root = Path(orjson.loads(answer.stdout)["Dir"]) / "kustomize" / "stage"
    found = [
        path.read_text()
        for folder in FAST_STAGES
        for path in sorted((root / folder).glob("*.yaml"))
        if path.name != "kustomization.yaml"
    ]
    assert found, f"no stages in {root}"
    return found
