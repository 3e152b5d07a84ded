"""A real API server for a benchmark: etcd without fsync, kube-apiserver, our CRDs; gone at the end."""

import os
import re
import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from load import until

from nestling.api.crds import load_crds
from nestling.api.kinds import VIRTUAL_KINDS, Kind
from nestling.host import hosts, process
from nestling.host.errors import HostSetupError
from nestling.host.hosts import Wishes
from nestling.host.record import Host
from nestling.machinery.client import Client, HttpTransport
from nestling.machinery.errors import AlreadyExists
from nestling.machinery.login import log_in

CRD: Final = Kind(
    "CustomResourceDefinition", "customresourcedefinitions", group="apiextensions.k8s.io", version="v1"
)
PREFIX: Final = "bench-"


@dataclass(frozen=True, slots=True)
class Arena:
    """The host, a client of it with a connection to spare for a watch, and a folder for logs."""

    host: Host
    transport: HttpTransport
    client: Client
    folder: Path

    @property
    def pids(self) -> list[int]:
        """The host's own processes."""
        return [part.pid for part in hosts.status(self.host.name).components if part.pid is not None]


@asynccontextmanager
async def arena(*, connections: int) -> AsyncGenerator[Arena]:
    """A host of its own, purged at the end, as are those of runs that were killed."""
    _sweep()
    name = f"{PREFIX}{os.getpid()}"
    folder = Path(tempfile.mkdtemp(prefix=f"nestling-{name}-"))
    try:
        host = hosts.up("local", name, wishes=Wishes(fsync=False))
        transport = HttpTransport(
            log_in(host.kubeconfig).credentials(), connections=connections + 2, timeout_s=120
        )
        client = Client(transport)
        try:
            await _install(client)
            yield Arena(host, transport, client, folder)
        finally:
            await client.close()
    finally:
        _purge(name)
        shutil.rmtree(folder, ignore_errors=True)


def _sweep() -> None:
    """Stop and delete the hosts of benchmarks that no longer run."""
    for name in hosts.names():
        match = re.fullmatch(rf"{PREFIX}(\d+)", name)
        if match is not None and process.birth(int(match[1])) is None:
            _purge(name)


def _purge(name: str) -> None:
    try:
        hosts.down(name, purge=True)
    except HostSetupError:
        return  # it never came up


async def _install(client: Client) -> None:
    for crd in load_crds():
        try:
            await client.call("POST", CRD.path(), body=crd)
        except AlreadyExists:
            continue

    async def served() -> bool:
        for kind in VIRTUAL_KINDS:
            await client.list(kind)
        return True

    await until(served, within_s=60)
