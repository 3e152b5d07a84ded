"""Find the host and prove who we are: by the kubeconfig, or as the Pod's service account.

Keeps tokens fresh: an expired one is asked for anew, a Pod's is read from its file again. Used by the client
and by Kopf's login.
"""

import asyncio
import os
import ssl
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import structlog

from nestling.machinery.client import Client, Credentials, HttpTransport
from nestling.machinery.kubeconfig import Identity, NoHost, identify

log = structlog.get_logger(__name__)

REMEMBERED_S: Final = 10.0
EXPIRES_WITHIN_S: Final = 60.0  # a token with less life than this is renewed
SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class Remembered:
    """The Authorization header, asked for anew only every ten seconds.

    Asking may need a thread, and a thread for each request cost as much as sending it. A header that is so
    much older does no harm: tokens are renewed minutes before they expire.
    """

    def __init__(
        self, ask: Callable[[], Awaitable[str | None]], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._monotonic = monotonic
        self._header: str | None = None
        self._good_until = float("-inf")

    async def __call__(self) -> str | None:
        """The header of the moment."""
        now = self._monotonic()
        if now >= self._good_until:
            self._header = await self._ask()
            self._good_until = now + REMEMBERED_S
        return self._header


class Renewal(Protocol):
    """Gives the identity of the moment: may read a file or run an exec plugin, so it may take a while."""

    def __call__(self) -> Identity:
        """The identity with a token that is still good."""
        ...


@dataclass(slots=True)
class Login:
    """One identity at one host; `renew` is asked for another when the token's time is up."""

    identity: Identity
    renew: Renewal
    now: Callable[[], float] = time.time

    @property
    def server(self) -> str:
        """Base URL of the API server."""
        return self.identity.server

    @property
    def context(self) -> str:
        """The kubeconfig's context, or `in-cluster`."""
        return self.identity.context

    @property
    def namespace(self) -> str:
        """The namespace that commands mean without `-n`."""
        return self.identity.namespace

    def tls(self) -> ssl.SSLContext | None:
        """TLS settings of the connection, None for a plain one."""
        found = self.identity
        if not found.server.startswith("https"):
            return None
        context = ssl.create_default_context(cadata=found.ca or None)
        if not found.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if found.certificate:
            _present(context, found.certificate, found.key)
        return context

    async def authorization(self) -> str | None:
        """The Authorization header of the moment, renewed off the event loop when its time is up."""
        expires_at = self.identity.expires_at
        if expires_at is not None and self.now() >= expires_at - EXPIRES_WITHIN_S:
            try:
                self.identity = await asyncio.to_thread(self.renew)
            except NoHost as error:  # the old token may have a minute left, and the host will say if not
                log.warning("login not renewed", why=str(error))
        return self.identity.authorization or None

    def credentials(self) -> Credentials:
        """What the HTTP transport needs."""
        return Credentials(self.server, self.tls(), Remembered(self.authorization))


def log_in(kubeconfig: Path | None = None, context: str | None = None, *, long_lived: bool = False) -> Login:
    """Log in with a kubeconfig, or as the Pod's service account if there is no kubeconfig but a Pod.

    `long_lived`: this process is to stay lean (see `kubeconfig`).
    Raises NoHost with one sentence when neither can be used.
    """

    def renew() -> Identity:
        return service_account() if in_pod else identify(kubeconfig, context, apart=long_lived)

    in_pod = kubeconfig is None and not _has_kubeconfig()
    return Login(renew(), renew)


def service_account(folder: Path = SERVICE_ACCOUNT, now: Callable[[], float] = time.time) -> Identity:
    """Who this Pod is. Its token file is written anew long before it expires: read it every few minutes.

    Raises NoHost when something of it is missing. Source: Kubernetes 1.37, client-go rest.InClusterConfig.
    """
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT")
    if not host or not port:
        raise NoHost("no host: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set in this Pod.")
    try:
        token, ca, namespace = (
            (folder / name).read_text(encoding="utf-8").strip() for name in ("token", "ca.crt", "namespace")
        )
    except OSError as error:
        raise NoHost(f"no host: the Pod's service account cannot be read: {error}.") from error
    return Identity(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        context="in-cluster",
        namespace=namespace,
        verify=True,
        ca=ca,
        certificate="",
        key="",
        authorization=f"Bearer {token}",
        expires_at=now() + 2 * EXPIRES_WITHIN_S,
    )


def _has_kubeconfig() -> bool:
    if not (SERVICE_ACCOUNT / "token").exists():
        return True  # not in a Pod: let the kubeconfig reader say what it misses
    return bool(os.environ.get("KUBECONFIG")) or Path("~/.kube/config").expanduser().exists()


def _present(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Have the connection present this certificate, which OpenSSL takes from a file only."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem", encoding="utf-8") as pem:  # mode 0600
        pem.write(f"{certificate}\n{key}\n")
        pem.flush()
        context.load_cert_chain(pem.name)


@asynccontextmanager
async def connect(
    kubeconfig: Path | None = None, context: str | None = None, *, connections: int = 32
) -> AsyncGenerator[Client]:
    """A client of the host, closed at the end. Raises NoHost."""
    client = Client(HttpTransport(log_in(kubeconfig, context).credentials(), connections=connections))
    try:
        yield client
    finally:
        await client.close()
