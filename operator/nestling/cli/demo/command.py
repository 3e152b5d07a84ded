"""`nestling demo`: bring up a host, play the story on it, and leave nothing behind.

The operator runs as a child process and the story is told through the API server, so what is shown is
what a user would get. Whatever happens, the operator is stopped, the host namespace is deleted, and a
host that the demo brought up is taken down with its data; on a host that was there before, everything
else is left alone.
"""

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from nestling.cli import output
from nestling.cli.host import Kind

if TYPE_CHECKING:
    from nestling.cli.demo.stage import Stage
    from nestling.host.record import Host
    from nestling.machinery.client import Client

CLUSTER: Final = "nestling-demo"
HOST_NAME: Final = "demo"


def demo(
    host: Annotated[
        Kind, typer.Option(help="Where to play: the host is brought up if need be.")
    ] = Kind.embedded,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the host and the virtual cluster as they are.")
    ] = False,
    context: Annotated[str, typer.Option(help="Context of the kubeconfig (host current).")] = "",
) -> None:
    """Watch a virtual cluster come alive: nodes, an application, rollouts, a dead machine, figures."""
    from nestling.host import hosts

    started = time.monotonic()
    name = HOST_NAME if host is not Kind.current else ""
    fresh = bool(name) and name not in hosts.names()
    with output.progress(f"bringing up a host ({host.value})") as tell:
        found = hosts.up(host.value, name, wishes=hosts.Wishes(context=context, fsync=False), progress=tell)
    output.say(f"host: {found.server} ({time.monotonic() - started:.1f} s)")
    try:
        asyncio.run(_play(found, keep=keep))
    finally:
        if keep:
            output.say(f"kept: export KUBECONFIG={found.kubeconfig}; kubectl -n {CLUSTER} get nestling")
        elif fresh:
            hosts.down(found.name, purge=True)
    output.say(f"the demo took {time.monotonic() - started:.0f} s")


async def _play(host: "Host", *, keep: bool) -> None:
    """Install, run the operator, tell the story, clean up."""
    from rich.console import Console

    from nestling.cli.demo import examples, story
    from nestling.cli.demo.operator import OperatorProcess
    from nestling.cli.demo.stage import Stage
    from nestling.machinery.login import connect

    console = Console(soft_wrap=True)
    log_file = Path(host.kubeconfig).with_name("operator.log")
    async with connect(Path(host.kubeconfig)) as client:
        stage = Stage(client, CLUSTER, console)
        stage.title("Install: the kinds, a host namespace, the operator")
        await _clear(stage, grace_s=0)  # what an interrupted demo may have left
        installed = await _install(client)
        operator = OperatorProcess(Path(host.kubeconfig), CLUSTER, log_file)
        try:
            async with stage.waiting("the operator is ready"):
                await operator.start()
            await story.tell(stage, operator, examples.cluster(), examples.shop())
        finally:
            if not keep:
                stage.title("Clean up: the virtual cluster goes with its host namespace")
                await _clear(stage, grace_s=10)
                if installed:
                    await _remove_kinds(client)
            await operator.stop()


async def _install(client: "Client") -> bool:
    """Install the kinds; True if none of them was there before."""
    from nestling.cli.install import install_on

    applied = await install_on(client, namespace=CLUSTER, create_namespace=True, timeout_s=60)
    kinds = [one for one in applied if not one.name.startswith("namespace/")]
    created = [one for one in kinds if one.outcome == "created"]
    output.say(f"   {len(kinds)} kinds are served, {len(created)} of them new")
    return len(created) == len(kinds)


async def _clear(stage: "Stage", *, grace_s: float) -> None:
    """Remove the virtual cluster and its host namespace, with or without a living operator."""
    from nestling.cli.uninstall import uninstall_from

    await uninstall_from(stage.client, spaces=[CLUSTER], removes_kinds=False, grace_s=grace_s, timeout_s=60)
    await stage.drop_cluster()


async def _remove_kinds(client: "Client") -> None:
    """Take the kinds off a host that did not have them before."""
    from nestling.cli.uninstall import uninstall_from

    await uninstall_from(client, spaces=[], removes_kinds=True, grace_s=0, timeout_s=60)
