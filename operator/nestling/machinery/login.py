"""Find the host and prove who we are: by the kubeconfig, or as the Pod's service account.

Reads files and runs exec plugins, as kubectl would; keeps tokens fresh. Used by the client and by Kopf's
login.
"""

import asyncio
import os
import re
import ssl
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nestling.machinery.client import Client, Credentials, HttpTransport
from nestling.machinery.errors import NestlingError

REMEMBERED_S: Final = 10.0
_PREAMBLE: Final = re.compile(r"^Invalid kube-config(?: file)?\. (?=.)")


class NoHost(NestlingError):
    """There is no cluster to talk to, or its configuration cannot be used."""


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


@dataclass(frozen=True, slots=True)
class Login:
    """One identity at one host.

    `configuration` is the kubernetes client's own, which refreshes its tokens.
    """

    configuration: Any
    context: str
    namespace: str

    @property
    def server(self) -> str:
        """Base URL of the API server."""
        return str(self.configuration.host)

    def tls(self) -> ssl.SSLContext | None:
        """TLS settings of the connection, None for a plain one."""
        if not self.server.startswith("https"):
            return None
        found = self.configuration
        context = ssl.create_default_context(cafile=found.ssl_ca_cert or None)
        if not found.verify_ssl:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if found.cert_file:
            context.load_cert_chain(found.cert_file, found.key_file)
        return context

    def authorization(self) -> str | None:
        """The Authorization header of the moment.

        May read a file or run an exec plugin when a token has expired.
        """
        found = self.configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        if not found and self.configuration.username:
            found = self.configuration.get_basic_auth_token()
        return str(found) if found else None

    async def authorization_off_loop(self) -> str | None:
        """The same, without holding up the event loop when a refresh is due."""
        if self.configuration.refresh_api_key_hook is None:
            return self.authorization()
        return await asyncio.to_thread(self.authorization)

    def credentials(self) -> Credentials:
        """What the HTTP transport needs."""
        return Credentials(self.server, self.tls(), Remembered(self.authorization_off_loop))


def log_in(kubeconfig: Path | None = None, context: str | None = None) -> Login:
    """Log in with a kubeconfig, or as the Pod's service account if there is no kubeconfig but a Pod.

    Raises NoHost with one sentence when neither can be used.
    """
    from kubernetes import client, config  # noqa: PLC0415  # half a second, and not every command needs it
    from yaml import YAMLError  # noqa: PLC0415  # comes with it

    settings: Any = client.Configuration()
    try:
        if kubeconfig is None and not _has_kubeconfig():
            config.load_incluster_config(client_configuration=settings)
            namespace = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace").read_text(
                encoding="utf-8"
            )
            return Login(settings, "in-cluster", namespace.strip())
        path = str(kubeconfig) if kubeconfig is not None else None
        if kubeconfig is not None and not kubeconfig.exists():
            raise FileNotFoundError("there is no such file")
        config.load_kube_config(config_file=path, context=context, client_configuration=settings)
        chosen = _context(config, path, context)
    except (config.ConfigException, YAMLError, OSError, ValueError, TypeError, KeyError) as error:
        where = f"kubeconfig {kubeconfig}" if kubeconfig is not None else "kubeconfig"
        raise NoHost(
            f"no usable {where}: {_sentence(error)}. Start a host with `nestling host up`, or set KUBECONFIG."
        ) from error
    return Login(
        settings, str(chosen.get("name", "")), str(chosen.get("context", {}).get("namespace") or "default")
    )


def _context(config: Any, path: str | None, wanted: str | None) -> Any:
    contexts, active = config.list_kube_config_contexts(config_file=path)
    if wanted is None:
        return active
    return next(found for found in contexts if found["name"] == wanted)


def _has_kubeconfig() -> bool:
    if not Path("/var/run/secrets/kubernetes.io/serviceaccount/token").exists():
        return True  # not in a Pod: let the kubeconfig loader say what it misses
    return bool(os.environ.get("KUBECONFIG")) or Path("~/.kube/config").expanduser().exists()


def _sentence(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    # The library begins every complaint with the same words, and then says what is the matter.
    return _PREAMBLE.sub("", text).rstrip(".")


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
