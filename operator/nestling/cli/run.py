"""`nestling run [ROLE...]`: keep virtual clusters alive, with every role in one process or a chosen few."""

import asyncio
import contextlib
import signal
import socket
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nestling.cli.problem import Problem
from nestling.cli.scheduler_setup import scheduler_setup


class RoleName(StrEnum):
    """Parts that a process can play."""

    SCHEDULER = "scheduler"
    CONTROLLERS = "controllers"
    KUBELET = "kubelet"


class LogLevel(StrEnum):
    """How much is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How log lines look."""

    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


def run(
    roles: Annotated[
        list[RoleName] | None, typer.Argument(help="Roles to play; all of them if none is named.")
    ] = None,
    namespace: Annotated[
        list[str] | None,
        typer.Option(
            "--namespace", "-n", help="Host namespace to serve; may be repeated. Default: all of them."
        ),
    ] = None,
    kubeconfig: Annotated[
        Path | None, typer.Option(help="Kubeconfig of the host.", envvar="KUBECONFIG")
    ] = None,
    context: Annotated[str | None, typer.Option(help="Context of the kubeconfig.")] = None,
    metrics_address: Annotated[
        str,
        typer.Option(
            help="Where to serve /metrics, /livez and /readyz; port 0 picks a free one, empty serves none."
        ),
    ] = "127.0.0.1:8080",
    leader_elect: Annotated[
        bool, typer.Option(help="Take part in the election of a leader per role.")
    ] = True,
    lease_namespace: Annotated[str, typer.Option(help="Host namespace of the leader Leases.")] = "",
    shard: Annotated[int, typer.Option(min=0, help="Which of the kubelet shards this process is.")] = 0,
    shards: Annotated[
        int, typer.Option(min=1, help="Number of kubelet shards that share the virtual nodes.")
    ] = 1,
    scheduler_config: Annotated[
        Path | None,
        typer.Option(help="KubeSchedulerConfiguration: profiles, plugin arguments and extenders."),
    ] = None,
    log_level: Annotated[LogLevel, typer.Option(help="How much to log.")] = LogLevel.INFO,
    log_format: Annotated[
        LogFormat, typer.Option(help="Colour on a terminal, JSON elsewhere, or as told.")
    ] = LogFormat.AUTO,
) -> None:
    """Keep virtual clusters alive until interrupted."""
    import uvloop

    from nestling.operators.lean import import_lean

    import_lean()  # before the modules that use what it loads

    from nestling.machinery.login import log_in
    from nestling.operators.logs import configure_logs
    from nestling.operators.process import Options, Process
    from nestling.operators.roles import ROLES

    if shard >= shards:
        raise typer.BadParameter(
            f"{shard} is none of {shards}: with --shards={shards} they count from 0 to {shards - 1}",
            param_hint="--shard",
        )
    host, port = _address(metrics_address)
    if port:
        _refuse_taken(host, port)
    configure_logs(log_level.value, {LogFormat.JSON: True, LogFormat.CONSOLE: False}.get(log_format))
    options = Options(
        clusters=tuple(namespace or ()),
        metrics_host=host,
        metrics_port=port,
        elect=leader_elect,
        lease_namespace=lease_namespace,
        shard=shard,
        shards=shards,
        scheduler=scheduler_setup(scheduler_config) if scheduler_config is not None else None,
    )
    chosen = [ROLES[name.value] for name in (roles or list(RoleName))]
    login = log_in(kubeconfig, context, long_lived=True)

    async def main() -> None:
        """Run until SIGINT or SIGTERM, then let go of leases and connections."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None

        def take_signals() -> None:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, task.cancel)

        take_signals()
        with contextlib.suppress(asyncio.CancelledError):
            await Process(login, chosen, options, spawned=take_signals).run()
        # A watch that Kopf left half closed may fail once more while the loop ends: nobody waits for it.
        loop.set_exception_handler(lambda _loop, _context: None)

    uvloop.run(main())


def _address(text: str) -> tuple[str, int | None]:
    if not text:
        return "", None
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise typer.BadParameter(
            f"{text!r} is not HOST:PORT, such as 127.0.0.1:8080", param_hint="--metrics-address"
        )
    return host.strip("[]") or "127.0.0.1", int(port)


def _refuse_taken(host: str, port: int) -> None:
    """Raise Problem when nobody can listen there: better before the work than in the middle of it."""
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            return
    except OSError as error:
        why = (error.strerror or str(error)).partition(" (while ")[0]  # the address is told already
        raise Problem(
            f"--metrics-address {host}:{port} cannot be listened on: {why.lower()}",
            next_step="name another one, such as --metrics-address 127.0.0.1:0 for any free port",
        ) from error
