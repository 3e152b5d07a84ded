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

import aiohttp
import kopf
import structlog

from nestling.machinery.echo import Echo
from nestling.machinery.election import own_identity
from nestling.machinery.login import Login
from nestling.operators.settings import EndlessBackoff, kopf_settings
from nestling.operators.sockets import Sockets

log = structlog.get_logger(__name__)

CHECK_EVERY_S: Final = 5.0
# An operator that has lived that long has begun well.
STEADY_S: Final = 10.0
# A request that has failed for that long is worth a word.
HICCUP_S: Final = 30.0
FAILING_LONG_S: Final = 300.0
# A leader renews its Lease every few seconds.
ANSWERED_LATELY_S: Final = 30.0
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


def long_failing(failing_s: float, unanswered_s: float) -> str:
    """What a new process may cure: no lasting watch for long, although the host answers our own requests.

    `unanswered_s` is the time since it last did. While it answers nobody, a new process would only be one
    more that waits.
    """
    if failing_s < FAILING_LONG_S or unanswered_s > ANSWERED_LATELY_S:
        return ""
    return f"a list or watch has been failing for {failing_s:.0f} s, though the host answers"


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
        self._sockets = Sockets()
        self._spawned = spawned
        self._fell = ""  # why the operator before this one ended early
        self._begun = 0.0  # monotonic
        self._unsteady_since = (
            0.0  # monotonic; when the first of a row of operators that fell early had begun
        )
        self._backoffs = EndlessBackoff(time.monotonic)
        self.restarts = 0

    async def run(self) -> None:
        """Start and restart Kopf until cancelled."""
        while True:
            self._begun = time.monotonic()
            if not self._fell:
                self._unsteady_since = self._begun
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
        """Why there is no lasting watch, if there is none.

        The last operator fell soon and this one has not lived long, or its requests keep failing.
        """
        if self._falls():
            return f"watching keeps ending: {self._fell}"
        failing_s = self._backoffs.failing_s()
        return "" if failing_s < HICCUP_S else f"a list or watch has been failing for {failing_s:.0f} s"

    def failing_s(self) -> float:
        """For how long there has been no lasting watch; 0 if there is one."""
        falling_s = time.monotonic() - self._unsteady_since if self._falls() else 0.0
        return max(falling_s, self._backoffs.failing_s())

    def _falls(self) -> bool:
        return bool(self._fell) and time.monotonic() - self._begun < STEADY_S

    async def _once(self) -> None:
        self._backoffs = EndlessBackoff(time.monotonic)  # none of an operator that is gone fails any more
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(self._connect)
        self._register(registry)
        stop = asyncio.Event()
        tasks = await kopf.spawn_tasks(
            registry=registry,
            settings=kopf_settings(self._backoffs, clusterwide=not self._clusters),
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
            await self._sockets.end()

    async def _watch(self, stop: asyncio.Event) -> None:
        """End the operator when one of its watches has stopped telling us of our own writes."""
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            if stale := self._echo.stale():
                log.warning("watch has fallen silent", kinds=stale)
                stop.set()
                return

    async def _connect(self, **_: Any) -> kopf.AiohttpSession:
        """Kopf's login.

        The same identity as the client's, over sockets that we end. Async: Kopf would run a plain function in
        a thread.
        """
        authorization = await self._login.authorization()
        connector = aiohttp.TCPConnector(limit=0, ssl=self._login.tls() or True, socket_factory=self._sockets)
        session = aiohttp.ClientSession(
            connector=connector, headers={"Authorization": authorization} if authorization else None
        )
        return kopf.AiohttpSession(
            server=self._login.server, aiohttp_session=session, default_namespace=self._login.namespace
        )
