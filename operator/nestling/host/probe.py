"""One question to an API server: does it answer, and what. Waits for nothing by itself."""

import http.client
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from nestling.host.errors import HostSetupError


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; `status` 0 says that nothing did, and `body` then why."""

    status: int
    body: str

    @property
    def ok(self) -> bool:
        """Whether the server said yes."""
        return self.status == 200


def ask(
    server: str, path: str, *, token: str = "", ca: Path | None = None, cert: tuple[Path, Path] | None = None,
    method: str = "GET", body: bytes | None = None, timeout_s: float = 2.0,
) -> Answer:  # fmt: skip
    """Send one request and read the answer; never raises for a server that is not there."""
    url = urlsplit(server)
    assert url.hostname is not None
    try:
        if url.scheme == "https":
            context = ssl.create_default_context(cafile=None if ca is None else str(ca))
            if cert is not None:
                context.load_cert_chain(*cert)
            connection = http.client.HTTPSConnection(
                url.hostname, url.port, timeout=timeout_s, context=context
            )
        else:
            connection = http.client.HTTPConnection(url.hostname, url.port, timeout=timeout_s)
    except (OSError, ssl.SSLError) as error:
        return Answer(0, f"no trust in {ca}: {error}")
    try:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connection.request(method, url.path.rstrip("/") + path, body=body, headers=headers)
        response = connection.getresponse()
        return Answer(response.status, response.read().decode(errors="replace"))
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, str(error) or type(error).__name__)
    finally:
        connection.close()


def wait_for(condition: Callable[[], bool], *, timeout_s: float, every_s: float = 0.05) -> bool:
    """Poll until the condition holds; False when `timeout_s` seconds have gone by."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every_s)
    return True


def last_lines(log: Path, count: int = 1) -> str:
    """The last lines of a log that say something, for an error that has nothing better to tell."""
    try:
        lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    except FileNotFoundError:
        return ""
    return "\n".join(lines[-count:])


def login_of(kubeconfig: Path) -> tuple[str, str]:
    """Server and token of a kubeconfig that we wrote ourselves.

    Raises HostSetupError when it is not readable.
    """
    try:
        document = yaml.safe_load(kubeconfig.read_bytes())
        return document["clusters"][0]["cluster"]["server"], document["users"][0]["user"]["token"]
    except (OSError, yaml.YAMLError, KeyError, IndexError, TypeError) as error:
        raise HostSetupError(
            f"{kubeconfig} is not a kubeconfig of ours", next_step="run `nestling host up` again"
        ) from error
