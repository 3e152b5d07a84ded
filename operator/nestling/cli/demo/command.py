"""`nestling demo`: bring up a host, play the story on it, and leave nothing behind.

The operator runs as a child process and the story is told through the API server, so what is shown is
what a user would get. Whatever happens, the operator is stopped, the host namespace is deleted, and a
host that the demo brought up is taken down with its data; on a host that was there before, everything
else is left alone. What a killed demo could not clear away, the next one does.
"""

import asyncio
import contextlib
import signal
import time
from collections.abc import Generator
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from nestling.cli import output
from nestling.cli.host import Kind
from nestling.machinery.errors import NestlingError

if TYPE_CHECKING:
    from nestling.cli.demo.backstage import Backstage
    from nestling.cli.demo.stage import Stage
    from nestling.host.record import Host
    from nestling.machinery.client import Client

CLUSTER: Final = "nestling-demo"


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
    from nestling.cli.demo.backstage import Backstage
    from nestling.host import hosts

    started = time.monotonic()
    name = "current" if host is Kind.current else f"demo-{host.value}"
    backstage = Backstage(name)
    with interrupted_by(signal.SIGTERM, signal.SIGHUP), backstage.alone():
        _clear_leftovers(backstage, name)
        if host is not Kind.current and name not in hosts.names():
            backstage.own_host()
        try:
            with output.progress(f"bringing up a host ({host.value})") as tell:
                found = hosts.up(
                    host.value, name, wishes=hosts.Wishes(context=context, fsync=False), progress=tell
                )
            output.say(f"host: {found.server} ({time.monotonic() - started:.1f} s)")
            asyncio.run(_play(found, backstage, keep=keep))
        except NestlingError:
            _strike(backstage, name, keep=keep)
            if backstage.log.exists():
                output.say(f"the operator's log: {backstage.log}")
            raise
        except BaseException:
            if not _strike(backstage, name, keep=keep):
                output.say("interrupted; all of it is taken down again")
            backstage.forget()
            raise
        stays = _strike(backstage, name, keep=keep)
        backstage.forget()
        if keep:
            output.say(f"kept, without the operator: export KUBECONFIG={found.kubeconfig}")
            output.say(f"go on with: nestling run -n {CLUSTER} & kubectl -n {CLUSTER} get nestling")
        if stays and host is not Kind.current:
            output.say(f"host {name} stays up: `nestling host down {name} --purge` ends it")
    output.say(f"the demo took {time.monotonic() - started:.0f} s")


def _clear_leftovers(backstage: "Backstage", name: str) -> None:
    """Take away what a demo left that was killed."""
    from nestling.host import hosts

    backstage.stop_operator()
    if not backstage.owns_host:
        return
    if name in hosts.names():
        output.say("clearing away what an interrupted demo left")
        hosts.down(name, purge=True)
    backstage.disown_host()


def _strike(backstage: "Backstage", name: str, *, keep: bool) -> bool:
    """Stop what is still running; the host goes if it was brought up for us, unless it is to be kept.

    Returns whether the host stays.
    """
    from nestling.host import hosts

    backstage.stop_operator()
    stays = keep or not backstage.owns_host
    if not stays and name in hosts.names():
        hosts.down(name, purge=True)
    backstage.disown_host()
    return stays


@contextlib.contextmanager
def interrupted_by(*numbers: signal.Signals) -> Generator[None]:
    """Let the end of the terminal or a polite kill clear the stage as Ctrl-C does."""

    def interrupt(_number: int, frame: FrameType | None) -> Any:
        meanwhile = signal.getsignal(signal.SIGINT)  # asyncio has its own while its loop runs
        if not callable(meanwhile):
            raise KeyboardInterrupt
        return meanwhile(signal.SIGINT, frame)

    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def _play(host: "Host", backstage: "Backstage", *, keep: bool) -> None:
    """Install, run the operator, tell the story, clean up."""
    from rich.console import Console

    from nestling.cli.demo import examples, story
    from nestling.cli.demo.operator import OperatorProcess
    from nestling.cli.demo.stage import Stage
    from nestling.machinery.login import connect

    console = Console(soft_wrap=True)
    async with connect(host.kubeconfig, host.context) as client:
        stage = Stage(client, CLUSTER, console)
        stage.title("Install: the kinds, a host namespace, the operator")
        if await stage.has_cluster():
            output.say("   clearing away the host namespace of an earlier demo")
            await _clear(stage, grace_s=0)
        installed = await _install(client)
        operator = OperatorProcess(
            host.kubeconfig, CLUSTER, backstage.log, context=host.context, pid_file=backstage.pid
        )
        told = False
        try:
            async with stage.waiting("the operator is ready"):
                await operator.start()
            await story.tell(stage, operator, examples.cluster(), examples.shop())
            told = True
        finally:
            # A host that goes with everything in it needs no sweeping after an interruption.
            if not keep and (told or not backstage.owns_host):
                stage.title("Clean up: the virtual cluster goes with its host namespace")
                await _part(stage, alive=told)
                if installed and not backstage.owns_host:
                    await _remove_kinds(client)
            await operator.stop()


async def _install(client: "Client") -> bool:
    """Install the kinds; True if none of them was there before."""
    from nestling.cli.install import install_on

    applied = await install_on(client, namespace=CLUSTER, create_namespace=True, timeout_s=60)
    kinds = [one for one in applied if not one.is_namespace]
    created = [one for one in kinds if one.outcome == "created"]
    output.say(f"   {len(kinds)} kinds are served, {len(created)} of them new")
    return len(created) == len(kinds)


async def _part(stage: "Stage", *, alive: bool) -> None:
    """Delete the host namespace: with a living operator that is all there is to do."""
    from nestling.cli.demo.stage import Unsettled

    if alive:
        with contextlib.suppress(Unsettled):
            await stage.drop_cluster()
            return
    await _clear(stage, grace_s=10)


async def _clear(stage: "Stage", *, grace_s: float) -> None:
    """Remove the virtual cluster and its host namespace, with or without a living operator."""
    from nestling.cli.uninstall import uninstall_from

    await uninstall_from(stage.client, spaces=[CLUSTER], removes_kinds=False, grace_s=grace_s, timeout_s=60)
    await stage.drop_cluster()


async def _remove_kinds(client: "Client") -> None:
    """Take the kinds off a host that did not have them before."""
    from nestling.cli.uninstall import uninstall_from

    await uninstall_from(client, spaces=[], removes_kinds=True, grace_s=0, timeout_s=60)
