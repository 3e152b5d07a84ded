"""Talk to the host from a command: the options every such command has, and one event loop for its work."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from nestling.machinery.client import Client

T = TypeVar("T")

KubeconfigOption = Annotated[
    Path | None, typer.Option(help="Kubeconfig of the host; else $KUBECONFIG, else ~/.kube/config.")
]
ContextOption = Annotated[str | None, typer.Option(help="Context of the kubeconfig; else its current one.")]
NamespaceOption = Annotated[
    str, typer.Option("--namespace", "-n", help="Host namespace; else the context's.", show_default=False)
]


def with_host(work: "Callable[[Client], Awaitable[T]]", *, kubeconfig: Path | None, context: str | None) -> T:
    """Do `work` with a client of the host. Raises NestlingError."""
    from nestling.machinery.login import connect  # the HTTP client is a third of a second of imports

    async def session() -> T:
        async with connect(chosen(kubeconfig), context) as client:
            return await work(client)

    return asyncio.run(session())


def namespace_of(namespace: str, *, kubeconfig: Path | None, context: str | None) -> str:
    """The host namespace to look at: the given one, or the context's."""
    if namespace:
        return namespace
    from nestling.machinery.login import log_in

    return log_in(chosen(kubeconfig), context).namespace


def chosen(kubeconfig: Path | None) -> Path | None:
    """The kubeconfig that is asked for: by the option, or by the environment of this moment.

    The library looks at the environment only once, when it is imported.
    """
    named = os.environ.get("KUBECONFIG")
    return kubeconfig if kubeconfig is not None or not named else Path(named)
