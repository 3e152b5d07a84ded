"""`nestling trial`: does it work? Bring a node and a pod up in a virtual cluster, and take them away."""

import asyncio
import time
import uuid
from typing import TYPE_CHECKING, Annotated, Final

import typer

from nestling.api.kinds import API_VERSION, NODE, POD, Kind
from nestling.cli import exit_codes, output, session
from nestling.cli.problem import Problem

if TYPE_CHECKING:
    from nestling.api.json import JsonObject
    from nestling.cli.output import Progress
    from nestling.machinery.client import Client

MARK: Final = "nestling.dev/trial"
POLL_S: Final = 0.2
# What the whole way of a pod takes when all is well is a second or two; to leave takes less.
_LEAVING_S: Final = 30.0


def trial(
    namespace: session.NamespaceOption = "",
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that the pod may take to run.")] = 60.0,
    kubeconfig: session.KubeconfigOption = None,
    context: session.ContextOption = None,
) -> None:
    """Run one pod on a node of its own, and remove both.

    The node is tainted, so that no other pod lands on it; the pod goes through scheduler and kubelet.
    """
    space = session.namespace_of(namespace, kubeconfig=kubeconfig, context=context)

    async def work(client: "Client") -> float:
        return await try_out(client, space, timeout_s=timeout)

    took = session.with_host(work, kubeconfig=kubeconfig, context=context)
    output.say(f"a pod ran on a node of its own in host namespace {space} after {took:.1f} s")


async def try_out(client: "Client", space: str, *, timeout_s: float) -> float:
    """Seconds from nothing to Running. Raises Problem when it takes too long, and says what is missing."""
    name = f"trial-{uuid.uuid4().hex[:8]}"
    started = time.monotonic()
    with output.progress("bringing up a node and a pod") as tell:
        try:
            await client.create(NODE, space, a_node(name))
            await client.create(POD, space, a_pod(name))
            await _running(client, space, name, deadline=started + timeout_s, tell=tell)
            took = time.monotonic() - started
        finally:
            for kind in (POD, NODE):
                await _remove(client, kind, space, name)
        tell("waiting for the pod to go")
        await _gone(client, space, name, deadline=time.monotonic() + _LEAVING_S)
    return took


def a_node(name: str) -> "JsonObject":
    """A node for one pod."""
    return {
        "apiVersion": API_VERSION,
        "kind": NODE.name,
        "metadata": {"name": name, "labels": {MARK: name}},
        "spec": {"taints": [{"key": MARK, "value": name, "effect": "NoSchedule"}]},
    }


def a_pod(name: str) -> "JsonObject":
    """The pod for that node."""
    spec = {
        "nodeSelector": {MARK: name},
        "tolerations": [{"key": MARK, "operator": "Equal", "value": name, "effect": "NoSchedule"}],
        "terminationGracePeriodSeconds": 1,
        "restartPolicy": "Never",
        "containers": [{"name": "trial", "image": "trial"}],
    }
    return {"apiVersion": API_VERSION, "kind": POD.name, "metadata": {"name": name}, "spec": spec}


async def _running(client: "Client", space: str, name: str, *, deadline: float, tell: "Progress") -> None:
    while True:
        pod = await client.get(POD, space, name)
        phase = (pod.get("status") or {}).get("phase")
        if phase == "Running":
            return
        tell(f"waiting for the pod: {_whereabouts(pod)}")
        if time.monotonic() > deadline:
            raise Problem(
                f"the pod {name} in host namespace {space} does not run: {_whereabouts(pod)}",
                next_step=f"see why: `nestling doctor -n {space}`",
                exit_code=exit_codes.UNAVAILABLE,
            )
        await asyncio.sleep(POLL_S)


def _whereabouts(pod: "JsonObject") -> str:
    """How far a pod has come, and what holds it up."""
    status: JsonObject = pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return str(condition.get("message") or condition.get("reason"))
    if not (pod.get("spec") or {}).get("nodeName"):
        return "no scheduler has looked at it"
    phase = status.get("phase")
    return f"it is {phase}" if phase not in {None, "Pending"} else "no kubelet has started it"


async def _remove(client: "Client", kind: Kind, space: str, name: str) -> None:
    from nestling.machinery.errors import NotFound

    try:
        await client.delete(kind, space, name)
    except NotFound:
        return


async def _gone(client: "Client", space: str, name: str, *, deadline: float) -> None:
    from nestling.machinery.errors import NotFound

    while True:
        try:
            await client.get(POD, space, name)
        except NotFound:
            return
        if time.monotonic() > deadline:
            raise Problem(
                f"the pod {name} in host namespace {space} ran and does not go",
                next_step="look at the kubelet's log, and remove it with `nestling uninstall`",
                exit_code=exit_codes.UNAVAILABLE,
            )
        await asyncio.sleep(POLL_S)
