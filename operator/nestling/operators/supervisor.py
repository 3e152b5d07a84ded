"""Keep Kopf running: start its operator, and start it again with jitter when it ends, whatever ended it.

Kopf exits on a cut watch line, on some error events and on HTTP-level 410s; a restart in the same process
costs about a second and keeps the cache. A watch that has fallen silent is ended from here for the same cure.
The loops go on meanwhile: what they decide on is old, and the host refuses what has been overtaken.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final, cast

import kopf
import structlog

from nestling.machinery.echo import Echo
from nestling.machinery.election import own_identity
from nestling.machinery.login import Login
from nestling.operators.settings import kopf_settings

log = structlog.get_logger(__name__)

CHECK_EVERY_S: Final = 5.0
# An operator that has lived that long has begun well.
STEADY_S: Final = 10.0
KOPF_HOME: Final = str(Path(kopf.__file__).parent)


class NotKopfs(Collection[asyncio.Task[Any]]):
    """The tasks of this loop that Kopf has to leave alone when it ends.

    Kopf takes every task that was born after it for its own and cancels it at its end. Ours are told apart by
    where their coroutine is written.
    """

    def __contains__(self, task: object) -> bool:
        coroutine = task.get_coro() if isinstance(task, asyncio.Task) else None
        code = getattr(coroutine, "cr_code", None)
        return code is None or not code.co_filename.startswith(KOPF_HOME)

    def __iter__(self) -> Iterator[asyncio.Task[Any]]:
        return (task for task in asyncio.all_tasks() if task in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Supervisor:
    """Runs `kopf.operator` for as long as the process lives.

    `restarts` counts how often it had to begin anew.
    """

    def __init__(
        self,
        login: Login,
        register: Callable[[kopf.OperatorRegistry], None],
        echo: Echo,
        *,
        clusters: Sequence[str],
        spawned: Callable[[], None],
    ) -> None:
        self._login = login
        self._register = register
        self._echo = echo
        self._clusters = clusters
        self._random = Random()
        self._spawned = spawned
        self._fell = ""  # why the operator before this one ended early
        self._begun = 0.0  # monotonic
        self.restarts = 0

    async def run(self) -> None:
        """Start and restart Kopf until cancelled."""
        while True:
            self._begun = time.monotonic()
            try:
                await self._once()
                why = "it ended"
            except Exception as error:
                why = f"{type(error).__name__}: {error}"
            self._fell = why if time.monotonic() - self._begun < STEADY_S else ""
            self.restarts += 1
            pause = 0.2 + self._random.random()
            log.warning("watching begins anew", why=why, restarts=self.restarts, delay_s=round(pause, 2))
            await asyncio.sleep(pause)

    def trouble(self) -> str:
        """Why there is no lasting watch: the last operator fell soon, and this one has not lived long."""
        steady = time.monotonic() - self._begun >= STEADY_S
        return "" if steady or not self._fell else f"watching keeps ending: {self._fell}"

    async def _once(self) -> None:
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(self._connect)
        self._register(registry)
        stop = asyncio.Event()
        tasks = await kopf.spawn_tasks(
            registry=registry,
            settings=kopf_settings(clusterwide=not self._clusters),
            # Kopf would ask for the name of our user, which a numeric user of an image has not.
            identity=cast("Any", own_identity()),
            standalone=True,
            clusterwide=not self._clusters,
            namespaces=self._clusters,
            stop_flag=stop,
        )
        self._spawned()
        watchdog = asyncio.create_task(self._watch(stop))
        try:
            await kopf.run_tasks(tasks, ignored=NotKopfs())
        finally:
            watchdog.cancel()

    async def _watch(self, stop: asyncio.Event) -> None:
        """End the operator when one of its watches has stopped telling us of our own writes."""
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            if stale := self._echo.stale():
                log.warning("watch has fallen silent", kinds=stale)
                stop.set()
                return

    async def _connect(self, **_: Any) -> kopf.ConnectionInfo:
        """Kopf's login.

        The same identity as the client's. Async: Kopf would run a plain function in a thread.
        """
        authorization = await self._login.authorization()
        found = self._login.identity
        scheme, _space, token = (authorization or "").partition(" ")
        return kopf.ConnectionInfo(
            server=found.server,
            ca_data=found.ca or None,
            insecure=not found.verify,
            scheme=scheme or None,
            token=token or None,
            certificate_data=found.certificate or None,
            private_key_data=found.key or None,
            default_namespace=found.namespace,
        )
