"""The operator of the demo.

`nestling run` as a child process, as a user would start it in a second terminal.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from pathlib import Path

from nestling.host import process
from nestling.machinery.client import Credentials, HttpTransport
from nestling.machinery.errors import NestlingError, Unavailable


class OperatorFailed(NestlingError):
    """The operator did not start, or has ended."""


class OperatorProcess:
    """One `nestling run` that serves one host namespace. Its log goes to `log_file`.

    Whoever comes after us finds it by `pid_file`, should we be killed.
    """

    def __init__(
        self,
        kubeconfig: Path,
        cluster: str,
        log_file: Path,
        *,
        context: str = "",
        pid_file: Path | None = None,
    ) -> None:
        self._context = ["--context", context] if context else []
        self._pid_file = pid_file
        self._kubeconfig = kubeconfig
        self._cluster = cluster
        self._log_file = log_file
        self._process: asyncio.subprocess.Process | None = None
        self._http: HttpTransport | None = None

    async def start(self, *, within_s: float = 30.0) -> None:
        """Start it and wait until it is ready. Raises OperatorFailed with the end of its log."""
        port = _free_port()
        self._http = HttpTransport(Credentials(f"http://127.0.0.1:{port}"))
        with self._log_file.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "nestling",
                "run",
                "--namespace",
                self._cluster,
                "--metrics-address",
                f"127.0.0.1:{port}",
                *self._context,
                env={**os.environ, "KUBECONFIG": str(self._kubeconfig)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if self._pid_file is not None:
            pid = self._process.pid
            process.remember(self._pid_file, process.Process(pid, process.birth(pid) or ""))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self._process.returncode is None:
                    if await self._ready():
                        return
                    await asyncio.sleep(0.1)
        tail = self._log_file.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        await self.stop()
        raise OperatorFailed(f"the operator did not become ready; its last words: {''.join(tail) or 'none'}")

    async def _ready(self) -> bool:
        assert self._http is not None
        try:
            answer = await self._http.send("GET", "/readyz", query={}, body=None, content_type="")
        except Unavailable:
            return False
        return answer.status == 200

    async def metrics(self) -> str:
        """The text of its /metrics."""
        assert self._http is not None
        answer = await self._http.send("GET", "/metrics", query={}, body=None, content_type="")
        return answer.body.decode()

    async def kill(self) -> None:
        """End it without a chance to tidy up, as a lost machine would."""
        await self._hang_up()
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def _hang_up(self) -> None:
        if self._http is not None:
            await self._http.close()

    async def stop(self) -> None:
        """End it as a user's Ctrl-C would; killed if it takes more than five seconds."""
        await self._hang_up()
        if self._process is None or self._process.returncode is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(5):
                await self._process.wait()
        except TimeoutError:
            await self.kill()


def _free_port() -> int:

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
