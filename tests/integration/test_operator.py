"""The whole operator on a real kube-apiserver: it works, and it survives what happens to operators.

The operator is a child process, started as a user would; what it did is read back from the API server.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cut import CuttableProxy

from nestling.api.crds import load_crds
from nestling.api.kinds import (
    DEPLOYMENT,
    ENDPOINT_SLICE,
    NODE,
    NODE_POOL,
    POD,
    REPLICA_SET,
    SERVICE,
    Kind,
    Uid,
)
from nestling.cli.demo.figures import writes_by_kind
from nestling.cli.demo.operator import OperatorProcess
from nestling.machinery.client import Client
from nestling.machinery.errors import AlreadyExists, NotFound
from nestling.machinery.login import connect
from realhost import RealHost

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


@dataclass
class Tenant:
    """One host namespace, a client of the host, and where the operator of this namespace finds the host."""

    client: Client
    cluster: str
    kubeconfig: Path
    log: Path

    async def create(self, kind: Kind, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        """Create an object as a user would."""
        meta = {"name": name, "namespace": self.cluster}
        body = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": meta, "spec": spec}
        return await self.client.create(kind, self.cluster, body)

    async def patch(self, kind: Kind, name: str, body: dict[str, Any]) -> None:
        """Merge-patch an object as a user would."""
        await self.client.patch(kind, self.cluster, name, body)

    async def list(self, kind: Kind) -> list[dict[str, Any]]:
        """All objects of a kind."""
        return (await self.client.list(kind, self.cluster)).items

    async def until(self, what: str, holds: Callable[[], Awaitable[object]], *, within_s: float = 60) -> None:
        """Wait until `holds` answers with something false, and fail with its last answer."""
        deadline = time.monotonic() + within_s
        while missing := await holds():
            assert time.monotonic() < deadline, f"waited {within_s} s until {what}: {missing}"
            await asyncio.sleep(0.1)

    async def not_rolled_out(self, name: str) -> str:
        """What keeps a Deployment from being rolled out, or an empty text."""
        found = await self.client.get(DEPLOYMENT, self.cluster, name)
        wanted, status = found["spec"]["replicas"], found.get("status") or {}
        counts = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")]
        current = status.get("observedGeneration") == found["metadata"]["generation"]
        return "" if current and counts == [wanted] * 3 else f"{counts} of {wanted}"

    async def nodes_missing(self, wanted: int) -> str:
        """How many of the wanted nodes are ready, or an empty text if all are."""
        ready = sum(
            {"type": "Ready", "status": "True"}.items() <= condition.items()
            for node in await self.list(NODE)
            for condition in node.get("status", {}).get("conditions", ())
        )
        return "" if ready == wanted else f"{ready} of {wanted} nodes are ready"

    def operator(self) -> OperatorProcess:
        """An operator of this namespace, not yet started."""
        return OperatorProcess(self.kubeconfig, self.cluster, self.log)


@asynccontextmanager
async def tenant(host: RealHost, name: str, tmp_path: Path, *, port: int = 0) -> AsyncGenerator[Tenant]:
    """A namespace of its own with our kinds installed; `port` leads the operator through a proxy."""
    async with connect(host.kubeconfig) as client:
        for crd in load_crds():
            try:
                await client.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", body=crd)
            except AlreadyExists:
                continue
        deadline = time.monotonic() + 30
        while True:
            try:
                served = await client.call("GET", POD.root)
                if len({r["name"].partition("/")[0] for r in served["resources"]}) >= len(load_crds()):
                    break
            except NotFound:
                pass
            assert time.monotonic() < deadline, "our kinds are not served"
            await asyncio.sleep(0.1)
        await client.call("POST", "/api/v1/namespaces", body={"metadata": {"name": name}})
        kubeconfig = host.kubeconfig
        if port:
            content = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
            content["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
            kubeconfig = tmp_path / "kubeconfig"
            kubeconfig.write_text(yaml.safe_dump(content), encoding="utf-8")
        yield Tenant(client, name, kubeconfig, tmp_path / "operator.log")


def web(replicas: int, image: str = "web:1") -> dict[str, Any]:
    """The spec of a Deployment."""
    container = {"name": "main", "image": image, "resources": {"requests": {"cpu": "10m"}}}
    return {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}},
    }


async def test_a_deployment_runs_and_its_service_finds_it(local_host: RealHost, tmp_path: Path) -> None:
    async with tenant(local_host, "chain", tmp_path) as t:
        operator = t.operator()
        await operator.start()
        try:
            await t.create(NODE_POOL, "pool", {"replicas": 3})
            # A pod that is looked at before there is a node costs a write more, to say so.
            await t.until("3 nodes are ready", lambda: t.nodes_missing(3))
            await t.create(SERVICE, "web", {"selector": {"app": "web"}, "ports": [{"port": 80}]})
            await t.create(DEPLOYMENT, "web", web(5))
            await t.until("the Deployment is available", lambda: t.not_rolled_out("web"))

            async def endpoints_missing() -> str:
                ready = [
                    endpoint
                    for found in await t.list(ENDPOINT_SLICE)
                    for endpoint in found.get("endpoints") or ()
                    if endpoint["conditions"]["ready"]
                ]
                return "" if len(ready) == 5 else f"{len(ready)} endpoints"

            await t.until("the Service has 5 endpoints", endpoints_missing)
            [service] = await t.list(SERVICE)
            assert service["spec"]["clusterIP"].startswith("10.96.")
            pods = await t.list(POD)
            assert len({pod["status"]["podIP"] for pod in pods}) == 5
            assert {pod["status"]["display"]["status"] for pod in pods} == {"Running"}
            writes = writes_by_kind(await operator.metrics())
            assert writes["VirtualPod"] <= 3 * 5 + 2, "create, bind, status"
        finally:
            await operator.stop()


async def test_an_operator_that_is_told_to_stop_leaves_without_a_complaint(
    local_host: RealHost, tmp_path: Path
) -> None:
    async with tenant(local_host, "leaving", tmp_path) as t:
        for turn in range(1, 6):
            # Without leases to give back, what Kopf leaves behind has the least time to go.
            with t.log.open("wb") as log:
                operator = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "nestling", "run", "--no-leader-elect", "--metrics-address", ""),
                    env={**os.environ, "KUBECONFIG": str(t.kubeconfig)},
                    stdout=log,
                    stderr=log,
                )
            try:
                while "caught up" not in t.log.read_text():
                    assert operator.returncode is None, t.log.read_text()
                    await asyncio.sleep(0.05)
                await asyncio.sleep(0.3)
                before = len(t.log.read_text())
                operator.terminate()
                assert await operator.wait() == 0, turn
                said = [json.loads(line) for line in t.log.read_text()[before:].splitlines()]
                assert [line for line in said if line["level"] != "info"] == [], turn
            finally:
                if operator.returncode is None:
                    operator.kill()
                    await operator.wait()


async def test_a_kill_in_the_middle_of_a_rollout_of_300_pods_loses_and_doubles_nothing(
    local_host: RealHost, tmp_path: Path
) -> None:
    async with tenant(local_host, "killed", tmp_path) as t:
        operator = t.operator()
        await operator.start()
        nodes: dict[str, str] = {}
        most = 0

        async def rolled_out() -> str:
            nonlocal most
            pods = await t.list(POD)
            most = max(most, sum(not pod["metadata"].get("deletionTimestamp") for pod in pods))
            for pod in pods:
                if node := pod["spec"].get("nodeName"):
                    assert nodes.setdefault(pod["metadata"]["uid"], node) == node, "bound twice"
            return await t.not_rolled_out("web")

        try:
            await t.create(NODE_POOL, "pool", {"replicas": 5})
            await t.create(DEPLOYMENT, "web", web(300))
            await t.until("300 pods are available", rolled_out, within_s=90)
            await t.patch(DEPLOYMENT, "web", {"spec": web(300, "web:2")})
            for _ in range(3):
                await asyncio.sleep(1.5)
                await operator.kill()
                operator = t.operator()
                await operator.start()
            await t.until("the new template is rolled out", rolled_out, within_s=120)
        finally:
            await operator.stop()
        assert most <= 375, "300 and a quarter of surge"
        pods = await t.list(POD)
        assert len(pods) == 300
        assert {pod["spec"]["containers"][0]["image"] for pod in pods} == {"web:2"}
        [old, new] = sorted(await t.list(REPLICA_SET), key=lambda rs: rs["spec"]["replicas"])
        assert (old["spec"]["replicas"], new["spec"]["replicas"]) == (0, 300)


async def test_cut_connections_and_a_restarted_api_server_are_survived(
    real_server: Callable[..., RealHost], tmp_path: Path
) -> None:
    host = real_server()
    async with (
        CuttableProxy("127.0.0.1", int(host.server.rpartition(":")[2])) as proxy,
        tenant(host, "cut", tmp_path, port=proxy.port) as t,
    ):
        operator = t.operator()
        await operator.start()
        try:
            await t.create(NODE_POOL, "pool", {"replicas": 3})
            await t.create(DEPLOYMENT, "web", web(20))
            await t.until("the Deployment is available", lambda: t.not_rolled_out("web"))
            for size in (25, 15, 30):
                proxy.cut()
                await t.patch(DEPLOYMENT, "web", {"spec": {"replicas": size}})
                await asyncio.sleep(0.3)
                proxy.cut()
                await t.until(f"{size} pods are available", lambda: t.not_rolled_out("web"))
            await asyncio.to_thread(host.restart_apiserver)
            await t.patch(DEPLOYMENT, "web", {"spec": {"replicas": 22}})
            await t.until("22 pods are available", lambda: t.not_rolled_out("web"), within_s=60)
        finally:
            await operator.stop()


async def test_a_deletion_missed_behind_a_410_leaves_no_ghost(
    real_server: Callable[..., RealHost], tmp_path: Path
) -> None:
    host = real_server()
    async with (
        CuttableProxy("127.0.0.1", int(host.server.rpartition(":")[2])) as proxy,
        tenant(host, "ghosts", tmp_path, port=proxy.port) as t,
    ):
        operator = t.operator()
        await operator.start()
        try:
            await t.create(NODE_POOL, "pool", {"replicas": 3})
            await t.create(DEPLOYMENT, "web", web(12))
            await t.until("the Deployment is available", lambda: t.not_rolled_out("web"))
            proxy.blocked = True
            proxy.cut()
            gone: set[Uid] = set()
            for pod in (await t.list(POD))[:5]:
                name = pod["metadata"]["name"]
                gone.add(pod["metadata"]["uid"])
                await t.patch(POD, name, {"metadata": {"finalizers": None}})
                await t.client.delete(POD, t.cluster, name)
            await asyncio.to_thread(host.compact)
            await asyncio.to_thread(host.restart_apiserver)
            await asyncio.to_thread(host.compact)
            proxy.blocked = False

            async def wrong() -> str:
                pods = await t.list(POD)
                nodes = await t.list(NODE)
                cached = cached_objects(await operator.metrics())
                same = cached["VirtualPod"] == len(pods) == 12 and cached["VirtualNode"] == len(nodes)
                return "" if same else f"the cache has {cached}, the host {len(pods)} pods"

            await t.until("the five pods are replaced and no ghost is counted", wrong, within_s=60)
            assert not gone & {pod["metadata"]["uid"] for pod in await t.list(POD)}
        finally:
            await operator.stop()


def cached_objects(metrics: str) -> dict[str, float]:
    """Objects in the operator's cache per kind."""
    found: dict[str, float] = {}
    for line in metrics.splitlines():
        if line.startswith("nestling_cache_objects{"):
            name, value = line.rsplit(" ", 1)
            found[name.split('"')[1]] = float(value)
    return found
