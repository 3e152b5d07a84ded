"""The story of the demo, scene by scene: nodes, an application with all its workloads, growth, a new image, a
way back, a dead node, figures.

The same script on every host. It only does what a user could do with kubectl and `nestling`, and every
table is read back from the API server after the fact.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from nestling.api.json import JsonObject
from nestling.api.kinds import (
    CLUSTER,
    CRON_JOB,
    DAEMON_SET,
    DEPLOYMENT,
    JOB,
    NODE,
    NODE_POOL,
    POD,
    REPLICA_SET,
    SERVICE,
    STATEFUL_SET,
    Kind,
)
from nestling.cli.demo.examples import IMPATIENCE
from nestling.cli.demo.figures import process_figures, watch_burst, writes_by_kind
from nestling.cli.demo.operator import OperatorProcess
from nestling.cli.demo.stage import Stage, Unsettled

BURST: Final = 400
BURST_WITHIN_S: Final = 120.0
CLUSTER_NAME: Final = "cluster"
FRONT_END: Final = "web.shop"
FRONT_END_LABELS: Final = "app.kubernetes.io/name=web"
BACK_END: Final = "catalog.shop"
BACK_END_LABELS: Final = "app.kubernetes.io/name=catalog"
LEDGER: Final = "ledger.shop"
AGENT: Final = "agent.shop"
IMPORT: Final = "import.shop"
POD_COLUMNS: Final = ("Name", "Ready", "Status", "Restarts", "IP", "Node")


async def tell(
    stage: Stage, operator: OperatorProcess, cluster: Sequence[JsonObject], shop: Sequence[JsonObject]
) -> None:
    """Play every scene in order. Raises Unsettled when the world does not do as it should."""
    await _nodes(stage, cluster)
    await _application(stage, shop)
    await _in_order_everywhere_and_once(stage)
    await _growth(stage)
    await _rollout_and_back(stage)
    await _dead_node(stage)
    await _too_large(stage)
    await _figures(stage, operator)


async def _nodes(stage: Stage, cluster: Sequence[JsonObject]) -> None:
    stage.title("Nodes: a VirtualCluster and its node pools")
    await stage.apply(cluster)
    wanted = sum(one["spec"]["replicas"] for one in cluster if one["kind"] == NODE_POOL.name)
    await stage.until(f"{wanted} nodes are Ready", lambda: stage.nodes_ready(wanted))
    await stage.show(NODE)


async def _application(stage: Stage, shop: Sequence[JsonObject]) -> None:
    stage.title("A shop in native manifests, through `nestling convert`")
    count = await stage.apply(shop)
    stage.say(f"   {count} manifests applied")
    await stage.until("every Deployment is available", stage.deployments_available)
    await stage.show(DEPLOYMENT)
    await stage.show(SERVICE)
    await stage.show(POD, rows=8, columns=POD_COLUMNS)


async def _in_order_everywhere_and_once(stage: Stage) -> None:
    stage.title("In order, on every machine, and once: a StatefulSet, a DaemonSet, a Job and a CronJob")
    await stage.until(
        "three ledgers are ready, one after the other", lambda: _figure(stage, STATEFUL_SET, LEDGER)
    )
    await stage.until("an agent is ready on every machine", lambda: _figure(stage, DAEMON_SET, AGENT))
    await stage.until("each of six indexes has succeeded", lambda: _figure(stage, JOB, IMPORT))
    for kind in (STATEFUL_SET, DAEMON_SET, JOB, CRON_JOB):
        await stage.show(kind)
    await stage.show(POD, selector="app.kubernetes.io/name=ledger", columns=POD_COLUMNS)


async def _figure(stage: Stage, kind: Kind, name: str) -> str:
    """What the object lacks until it is as it should be, or an empty text."""
    found = await stage.client.get(kind, stage.cluster, name)
    spec, status = found["spec"], found.get("status") or {}
    have, want = {
        STATEFUL_SET: (status.get("readyReplicas"), spec.get("replicas")),
        DAEMON_SET: (status.get("numberReady"), status.get("desiredNumberScheduled")),
        JOB: (status.get("succeeded"), spec.get("completions")),
    }[kind]
    return "" if have and have == want else f"{name} has {have or 0} of {want or 'some'}"


async def _growth(stage: Stage) -> None:
    stage.title("Growth: the front end from 3 to 12 replicas, through the scale subresource")
    await stage.patch(DEPLOYMENT, FRONT_END, {"spec": {"replicas": 12}}, subresource="scale")
    await stage.until("12 front ends are available", stage.deployments_available)
    await stage.show(POD, selector=FRONT_END_LABELS, columns=POD_COLUMNS)


async def _rollout_and_back(stage: Stage) -> None:
    stage.title("A new image that cannot be pulled: the rollout stops, the old pods stay")
    before = await _image_of(stage, FRONT_END)
    await _set_image(stage, FRONT_END, "fail/web:2.0")
    await stage.until("a new pod fails to pull", lambda: _some_pod_shows(stage, "Pull"))
    await stage.show(REPLICA_SET, selector=FRONT_END_LABELS)
    await stage.show(POD, selector=FRONT_END_LABELS, columns=POD_COLUMNS, holding="Pull")
    stage.title("The way back: the template of the revision before")
    await _set_image(stage, FRONT_END, before)
    await stage.until("the front end is whole again", stage.deployments_available)
    stage.title("A good new image: a rolling update")
    await _set_image(stage, BACK_END, (await _image_of(stage, BACK_END)).rpartition(":")[0] + ":2.0.1")
    await stage.until("the back end is rolled out", stage.deployments_available)
    await stage.show(REPLICA_SET, selector=BACK_END_LABELS)
    await stage.events_of(BACK_END)


async def _dead_node(stage: Stage) -> None:
    stage.title("A machine dies: its node goes NotReady, its pods move")
    pods = await stage.list(POD, selector=FRONT_END_LABELS)
    victim: str = pods[0]["spec"]["nodeName"]
    stage.say(f"   power off on {victim}, which runs {len(await _pods_on(stage, victim))} pods")
    await stage.patch(NODE, victim, {"metadata": {"annotations": {"sim.nestling.dev/power": "off"}}})
    await stage.until(f"{victim} is NotReady", lambda: _not_ready(stage, victim))
    stage.say("   (this cluster waits 4 s for a silent node and 1 s more for its pods, not 50 s and 5 min)")
    await stage.until("its pods are marked for deletion", lambda: _not_given_up(stage, victim))
    await stage.until("every Deployment is available elsewhere", stage.deployments_available)
    await stage.show(NODE, holding=victim)
    await stage.show(POD, columns=POD_COLUMNS, holding=victim)
    await stage.patch(NODE, victim, {"metadata": {"annotations": {"sim.nestling.dev/power": None}}})
    await stage.until(f"{victim} is back", lambda: _ready_again(stage, victim))
    await stage.patch(CLUSTER, CLUSTER_NAME, {"spec": dict.fromkeys(IMPATIENCE)})


async def _too_large(stage: Stage) -> None:
    stage.title("A pod too large for every node, and why it waits")
    pod = {
        "apiVersion": POD.api_version,
        "kind": POD.name,
        "metadata": {"name": "giant"},
        "spec": {
            "containers": [{"name": "main", "image": "giant:1", "resources": {"requests": {"cpu": "500"}}}]
        },
    }
    await stage.apply([pod])

    async def explained() -> str:
        found = await stage.client.get(POD, stage.cluster, "giant")
        return (
            ""
            if ((found.get("status") or {}).get("scheduling") or {}).get("message")
            else "nothing is said yet"
        )

    await stage.until("the scheduler has said why", explained)
    found = await stage.client.get(POD, stage.cluster, "giant")
    stage.say(f"   {found['status']['scheduling']['message']}")
    await stage.client.delete(POD, stage.cluster, "giant")


async def _figures(stage: Stage, operator: OperatorProcess) -> None:
    stage.title(f"Figures: a burst of {BURST} pods")
    before = await operator.metrics()
    selector = "app=burst"
    started = asyncio.Event()
    watching = asyncio.create_task(watch_burst(stage, selector, BURST, started))
    await started.wait()
    await stage.apply([_burst_deployment()])
    try:
        async with stage.waiting(f"{BURST} pods are Running"), asyncio.timeout(BURST_WITHIN_S):
            burst = await watching
    except TimeoutError:
        raise Unsettled(f"waited {BURST_WITHIN_S:.0f} s until {BURST} pods are Running") from None
    await stage.until("the Deployment is available", stage.deployments_available)
    after = await operator.metrics()
    writes = {
        kind: count - writes_by_kind(before).get(kind, 0.0) for kind, count in writes_by_kind(after).items()
    }
    cpu = "process_cpu_seconds_total"
    used = process_figures(after)[cpu] - process_figures(before)[cpu]
    resident = process_figures(after)["process_resident_memory_bytes"]
    stage.table(
        ("FIGURE", "VALUE"),
        (
            ("pods created to Running", f"{burst.pods_per_s:.0f} pods/s"),
            ("latency created to Running, median", f"{burst.median_s * 1000:.0f} ms"),
            ("latency created to Running, p99", f"{burst.quantile_s(0.99) * 1000:.0f} ms"),
            ("host writes per pod, on the pod itself", f"{writes.get(POD.name, 0) / BURST:.2f}"),
            ("host writes per pod, all objects", f"{sum(writes.values()) / BURST:.2f}"),
            ("operator CPU per pod", f"{used / BURST * 1000:.2f} ms"),
            ("operator memory", f"{resident / 2**20:.0f} MiB"),
        ),
    )


def _burst_deployment() -> JsonObject:
    labels = {"app": "burst"}
    container = {
        "name": "main",
        "image": "pause:3",
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
    }
    return {
        "apiVersion": DEPLOYMENT.api_version,
        "kind": DEPLOYMENT.name,
        "metadata": {"name": "burst"},
        "spec": {
            "replicas": BURST,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


async def _image_of(stage: Stage, deployment: str) -> str:
    found = await stage.client.get(DEPLOYMENT, stage.cluster, deployment)
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"])


async def _set_image(stage: Stage, deployment: str, image: str) -> None:
    """As `kubectl set image`: the first container's image in the template, the rest as it stands."""
    found = await stage.client.get(DEPLOYMENT, stage.cluster, deployment)
    first, *others = found["spec"]["template"]["spec"]["containers"]
    stage.say(f"   image of {deployment}: {image}")
    containers = [{**first, "image": image}, *others]
    await stage.patch(DEPLOYMENT, deployment, {"spec": {"template": {"spec": {"containers": containers}}}})


async def _pods_on(stage: Stage, node: str) -> list[JsonObject]:
    return [pod for pod in await stage.list(POD) if pod["spec"].get("nodeName") == node]


async def _not_given_up(stage: Stage, node: str) -> str:
    # A DaemonSet's pod stays with its machine, and a Job's that has succeeded has nothing left to move.
    left = [
        pod
        for pod in await _pods_on(stage, node)
        if not pod["metadata"].get("deletionTimestamp")
        and (pod.get("status") or {}).get("phase") != "Succeeded"
        and all(owner["kind"] != DAEMON_SET.name for owner in pod["metadata"].get("ownerReferences") or ())
    ]
    return f"{len(left)} pods still count there" if left else ""


async def _some_pod_shows(stage: Stage, text: str) -> str:
    for pod in await stage.list(POD, selector=FRONT_END_LABELS):
        if text in str(((pod.get("status") or {}).get("display") or {}).get("status")):
            return ""
    return f"no pod shows {text}"


async def _not_ready(stage: Stage, node: str) -> str:
    found = await stage.client.get(NODE, stage.cluster, node)
    taints = {taint["key"] for taint in found["spec"].get("taints") or ()}
    return "" if "node.kubernetes.io/unreachable" in taints else "it is not tainted as unreachable"


async def _ready_again(stage: Stage, node: str) -> str:
    found = await stage.client.get(NODE, stage.cluster, node)
    ready = any(
        one["type"] == "Ready" and one["status"] == "True" for one in found["status"].get("conditions") or ()
    )
    return "" if ready else "it is not Ready"
