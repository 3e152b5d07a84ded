"""Who we are, by token, certificate or Pod; and a token is asked for anew when its time is up, not before."""

import ssl
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nestling.host import pki
from nestling.machinery.clock import ManualClock
from nestling.machinery.kubeconfig import Identity, NoHost
from nestling.machinery.login import EXPIRES_WITHIN_S, REMEMBERED_S, Login, Remembered, service_account


class Tokens:
    """Gives a new header each time it is asked, or fails as an exec plugin may."""

    def __init__(self) -> None:
        self.asked = 0
        self.broken = False

    async def ask(self) -> str | None:
        """The next header."""
        self.asked += 1
        if self.broken:
            raise OSError("no such plugin")
        return f"Bearer {self.asked}"


@pytest.mark.parametrize(
    ("moments", "headers"),
    [
        pytest.param([0.0], ["Bearer 1"], id="the first request asks"),
        pytest.param([0.0, 1.0, REMEMBERED_S - 0.1], ["Bearer 1"] * 3, id="the next ones do not"),
        pytest.param([0.0, REMEMBERED_S], ["Bearer 1", "Bearer 2"], id="a renewed token is found"),
        pytest.param([0.0, 3600.0, 3601.0], ["Bearer 1", "Bearer 2", "Bearer 2"], id="after a long pause"),
    ],
)
async def test_header_is_remembered(moments: list[float], headers: list[str]) -> None:
    clock, tokens = iter(moments), Tokens()
    remembered = Remembered(tokens.ask, monotonic=lambda: 5000.0 + next(clock))
    assert [await remembered() for _ in moments] == headers


async def test_failure_is_not_remembered() -> None:
    tokens = Tokens()
    remembered = Remembered(tokens.ask, monotonic=lambda: 0.0)
    tokens.broken = True
    with pytest.raises(OSError, match="plugin"):
        await remembered()
    tokens.broken = False
    assert await remembered() == "Bearer 2"


class Identities:
    """Gives identities whose tokens are numbered and live for an hour; fails when told to."""

    def __init__(self, now: ManualClock) -> None:
        self.given = 0
        self.broken = False
        self._now = now

    def __call__(self) -> Identity:
        """The next identity."""
        if self.broken:
            raise NoHost("the exec plugin is gone")
        self.given += 1
        return Identity(
            server="http://127.0.0.1:1",
            context="lab",
            namespace="default",
            verify=True,
            ca="",
            certificate="",
            key="",
            authorization=f"Bearer {self.given}",
            expires_at=self._now.now() + 3600,
        )


async def test_token_is_renewed_a_minute_before_its_end_and_kept_if_that_fails() -> None:
    clock = ManualClock()
    renew = Identities(clock)
    login = Login(renew(), renew, clock.now)
    clock.advance(3600 - EXPIRES_WITHIN_S - 1)
    assert await login.authorization() == "Bearer 1"
    clock.advance(1)
    renew.broken = True
    assert await login.authorization() == "Bearer 1"
    renew.broken = False
    assert await login.authorization() == "Bearer 2"


def test_pod_logs_in_as_its_service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("token", "abc\n"), ("ca.crt", "the ca"), ("namespace", "team-a")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    found = service_account(tmp_path, now=lambda: 0.0)
    assert (found.server, found.namespace, found.ca) == ("https://[fd00::1]:443", "team-a", "the ca")
    assert found.authorization == "Bearer abc"
    assert found.expires_at is not None


def test_pod_without_a_service_account_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(NoHost, match="KUBERNETES_SERVICE_HOST"):
        service_account(tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    with pytest.raises(NoHost, match="service account cannot be read"):
        service_account(tmp_path)


def test_client_certificate_is_presented(tmp_path: Path) -> None:
    made = pki.authority(tmp_path, "ca", datetime.now(UTC))
    identity = Identity(
        server="https://127.0.0.1:1",
        context="lab",
        namespace="default",
        verify=False,
        ca=made.cert.read_text(encoding="utf-8"),
        certificate=made.cert.read_text(encoding="utf-8"),
        key=made.key.read_text(encoding="utf-8"),
        authorization="",
        expires_at=None,
    )
    context = Login(identity, lambda: identity).tls()
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)
    assert context.get_ca_certs()


def test_operator_process_does_without_kubernetes_clients_and_rich() -> None:
    look = (
        "from nestling.operators.lean import import_lean; import_lean();"
        "import nestling.operators.process, nestling.machinery.login, sys;"
        "print([name for name in sys.modules if name.split('.')[0] in ('kubernetes', 'pykube', 'rich')])"
    )
    asked = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert asked.stdout.strip() == "[]"
