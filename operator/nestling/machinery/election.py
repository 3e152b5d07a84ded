"""One holder per role: leadership by a Lease, suspended when it cannot be renewed, left when it is lost.

The Lease is not trusted to exclude: a paused holder may wake up after it has expired and write. What keeps
that harmless are the host's own guards (resourceVersions, UIDs, deterministic names, a node name that is set
once). The Lease only saves work, and hands it over within `duration_s` when a holder vanishes. Another's
expiry is judged by our own monotonic clock since we last saw it change, so a jump of the wall clock neither
steals nor loses it. Source: Kubernetes 1.37, client-go tools/leaderelection (15 s lease, 10 s to renew, 2 s
between tries).
"""

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

import structlog

from nestling.api.json import JsonObject
from nestling.api.kinds import LEASE
from nestling.machinery.client import Client
from nestling.machinery.clock import Clock, timestamp_micro
from nestling.machinery.errors import Conflict, HostError, NotFound

log = structlog.get_logger(__name__)

DURATION_S: Final = 15.0
RENEW_DEADLINE_S: Final = 10.0
RETRY_S: Final = 2.0
# client-go renews at every retry. Twice per deadline is enough, and keeps three roles under a write a second.
RENEW_EVERY_S: Final = 5.0


class Election:
    """Takes part in the election for one Lease. `leading` is set while we hold it.

    `lost` is called when we held it and could not renew it in time, or somebody else has it: the process is
    expected to stop at once, without tidying up, because another one may already be at work.
    """

    def __init__(
        self,
        client: Client,
        clock: Clock,
        *,
        namespace: str,
        name: str,
        identity: str,
        lost: Callable[[str], None],
        resumed: Callable[[], None] = lambda: None,
        random: Random | None = None,
    ) -> None:
        self.name = name
        self.leading = asyncio.Event()
        self._client = client
        self._clock = clock
        self._namespace = namespace
        self._identity = identity
        self._lost = lost
        self._resumed = resumed
        self._renewed = 0.0  # monotonic
        self._random = random or Random()
        self._seen = ""  # resourceVersion of the Lease as we last saw it
        self._seen_at = 0.0  # monotonic
        self._awaited = ""  # whom we have said that we wait for

    async def run(self) -> None:
        """Campaign, then renew, until cancelled; on cancellation the Lease is given back."""
        try:
            while not await self._try_to_hold():
                await asyncio.sleep(RETRY_S * (1 + self._random.random() / 5))
            log.info("leadership won", lease=self.name, holder=self._identity)
            self.leading.set()
            await self._keep()
        finally:
            if self.leading.is_set():
                self.leading.clear()
                await self._give_back()

    async def _keep(self) -> None:
        self._renewed = self._clock.monotonic()
        while await self.renew():
            fresh = self._clock.monotonic() - self._renewed < RETRY_S
            await asyncio.sleep(RENEW_EVERY_S if fresh else RETRY_S)

    async def renew(self) -> bool:
        """Try once to renew what we held; False if somebody else has it now.

        Without an answer for too long, leadership is suspended: the loops pause, because another might
        hold the Lease by now. If nobody does when the host answers again, they go on.
        """
        left = RENEW_DEADLINE_S - (self._clock.monotonic() - self._renewed)
        try:
            async with asyncio.timeout(left if left > 0 else RETRY_S):
                held = await self._try_to_hold()
        except TimeoutError:
            held = None
        if held is False:
            self.leading.clear()
            self._lost(self.name)
            return False
        now = self._clock.monotonic()
        if held:
            self._renewed = now
            if not self.leading.is_set():
                log.info("leadership resumed", lease=self.name)
                self._resumed()
                self.leading.set()
        elif self.leading.is_set() and now - self._renewed >= RENEW_DEADLINE_S:
            log.warning("leadership suspended until the host answers", lease=self.name)
            self.leading.clear()
        return True

    async def _try_to_hold(self) -> bool | None:
        """Take or renew the Lease.

        True if we hold it, False if somebody else does, None if it cannot be said: no answer, or a write
        that came between.
        """
        try:
            lease = await self._client.get(LEASE, self._namespace, self.name)
        except NotFound:
            return await self._write(None)
        except HostError as error:
            log.warning("lease not readable, will retry", lease=self.name, why=str(error))
            return None
        spec: JsonObject = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        version = str(lease["metadata"]["resourceVersion"])
        if version != self._seen:
            self._seen, self._seen_at = version, self._clock.monotonic()
        expired = self._clock.monotonic() - self._seen_at > float(
            spec.get("leaseDurationSeconds") or DURATION_S
        )
        if holder in {"", self._identity} or expired or is_dead_neighbour(holder, self._identity):
            return await self._write(lease)
        if not self.leading.is_set() and holder != self._awaited:
            self._awaited = holder
            log.info("another process leads, waiting", lease=self.name, holder=holder)
        return False

    async def _write(self, lease: JsonObject | None) -> bool | None:
        now = timestamp_micro(self._clock.now())
        old: JsonObject = (lease or {}).get("spec") or {}
        same = old.get("holderIdentity") == self._identity
        spec: JsonObject = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(DURATION_S),
            "acquireTime": old.get("acquireTime") if same else now,
            "renewTime": now,
            "leaseTransitions": int(old.get("leaseTransitions") or 0) + (0 if same or not lease else 1),
        }
        meta: JsonObject = {"name": self.name, "namespace": self._namespace}
        body: JsonObject = {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.name,
            "metadata": meta,
            "spec": spec,
        }
        try:
            if lease is None:
                await self._client.create(LEASE, self._namespace, body)
            else:
                meta["resourceVersion"] = lease["metadata"]["resourceVersion"]
                await self._client.replace(LEASE, self._namespace, body)
        except Conflict:
            return None  # somebody was faster, perhaps a renewal of ours that was given up: look again
        except HostError as error:
            if lease is None and self.leading.is_set() and _is_terminating(error):
                # The Lease went with its namespace, and nobody can make another one. Leading on is what lets
                # the rest of the namespace go: the finalizers of its pods are ours to drop.
                return True
            log.warning("lease not writable, will retry", lease=self.name, why=str(error))
            return None
        return True

    async def _give_back(self) -> None:
        try:
            async with asyncio.timeout(RETRY_S):
                await self._client.patch(LEASE, self._namespace, self.name, {"spec": {"holderIdentity": ""}})
        except (HostError, TimeoutError):
            log.info("lease not given back, it will expire", lease=self.name)


def _is_terminating(error: HostError) -> bool:
    """Whether the host refused a new object because its namespace is being deleted."""
    return error.status == 403 and "being terminated" in error.message


def own_identity() -> str:
    """Who we are.

    Host (the Pod's name in a cluster), process id and start time, so that no two processes share it.
    """
    return f"{socket.gethostname()}_{os.getpid()}_{_started(os.getpid())}"


def is_dead_neighbour(holder: str, identity: str) -> bool:
    """Whether `holder` was a process of this same host that runs no more.

    Its Lease need not be waited for.
    """
    host, pid, started = _parts(holder)
    if not pid or host != _parts(identity)[0]:
        return False
    return _started(int(pid)) != started


def _parts(identity: str) -> tuple[str, str, str]:
    host, _, rest = identity.partition("_")
    pid, _, started = rest.partition("_")
    return (host, pid, started) if pid.isdigit() and started else (host, "", "")


def _started(pid: int) -> str:
    """Start time of a process in clock ticks since boot; "" if there is none, "0" without a /proc to tell."""
    if not Path("/proc/self/stat").exists():
        return "0"
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]
