"""State and secrets lie where they should, for this user only, and nothing of anybody else's is deleted."""

import datetime as dt
import ssl
import threading
from pathlib import Path

import pytest
import yaml

from nestling.host import kubeconfig, paths, pki, port, record
from nestling.host.errors import HostSetupError
from nestling.host.folder import MARKER, Folder

NOW = dt.datetime(2027, 1, 15, 8, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


# -- directories


@pytest.mark.parametrize(
    ("env", "state", "cache"),
    [
        pytest.param(
            {"HOME": "/h"}, "/h/.local/state/nestling", "/h/.cache/nestling", id="only a home directory"
        ),
        pytest.param(
            {"HOME": "/h", "XDG_STATE_HOME": "/s", "XDG_CACHE_HOME": "/c"},
            "/s/nestling",
            "/c/nestling",
            id="XDG",
        ),
        pytest.param(
            {"HOME": "/h", "XDG_STATE_HOME": "s", "XDG_CACHE_HOME": ""},
            "/h/.local/state/nestling",
            "/h/.cache/nestling",
            id="relative or empty XDG is ignored",
        ),
        pytest.param(
            {"HOME": "/h", "XDG_STATE_HOME": "/s", "NESTLING_STATE": "/n", "NESTLING_CACHE": "/m"},
            "/n",
            "/m",
            id="our own variables win",
        ),
    ],
)
def test_files_follow_the_environment(env: dict[str, str], state: str, cache: str) -> None:
    assert (str(paths.state_home(env)), str(paths.cache_home(env))) == (state, cache)


def test_a_private_file_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("old, and open to all")
    file.chmod(0o644)
    paths.write_private(file, b"new")
    assert file.read_bytes() == b"new"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def folder(tmp_path: Path, data: str = "data") -> Folder:
    """A host's directories."""
    return Folder(tmp_path / "state", tmp_path / data, ("db",))


def test_a_claimed_folder_is_purged_whole(tmp_path: Path) -> None:
    ours = folder(tmp_path)
    ours.claim()
    ours.claim()
    (ours.data / "db").mkdir()
    (ours.data / "db" / "file").touch()
    ours.purge()
    assert list(tmp_path.iterdir()) == []


def test_purge_spares_what_others_put_into_the_data_directory(tmp_path: Path) -> None:
    ours = folder(tmp_path)
    ours.claim()
    (ours.data / "db").touch()
    (ours.data / "diary").touch()
    ours.purge()
    assert [path.name for path in ours.data.iterdir()] == ["diary"]


def test_a_directory_with_files_of_others_is_not_claimed(tmp_path: Path) -> None:
    ours = folder(tmp_path)
    ours.data.mkdir()
    (ours.data / "diary").touch()
    with pytest.raises(HostSetupError, match="is not empty and holds no data of Nestling; name another"):
        ours.claim()
    ours.purge()
    assert (ours.data / "diary").exists()


def test_two_hosts_do_not_share_a_data_directory(tmp_path: Path) -> None:
    ours, other = folder(tmp_path), Folder(tmp_path / "other", tmp_path / "data", ("db",))
    other.claim()
    (other.data / "db").touch()
    with pytest.raises(HostSetupError, match="holds the data of another host"):
        ours.claim()
    ours.purge()
    assert (other.data / "db").exists()


def test_data_whose_host_is_gone_may_be_taken_over(tmp_path: Path) -> None:
    ours = folder(tmp_path)
    ours.data.mkdir()
    (ours.data / MARKER).write_text(str(tmp_path / "purged"))
    (ours.data / "db").touch()
    ours.claim()
    assert (ours.data / MARKER).read_text() == str(ours.root)
    assert (ours.data / "db").exists()


def test_one_command_at_a_time_even_over_a_purge(tmp_path: Path) -> None:
    ours, order = folder(tmp_path), list[str]()
    entered = threading.Event()

    def second() -> None:
        entered.set()
        with ours.alone():
            order.append("second")

    thread = threading.Thread(target=second)
    with ours.alone():
        thread.start()
        assert entered.wait(10)
        order.append("first")
        ours.purge()  # the last thing under the lock: the file that the second waits for is gone
    thread.join(10)
    assert order == ["first", "second"]
    assert (ours.root / "lock").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"], ids=["empty", "half", "a list", "no text"])
def test_a_damaged_record_is_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "host.json").write_bytes(content)
    with pytest.raises(HostSetupError, match=r"host.json is damaged; move it away"):
        record.load(tmp_path / "host.json")


# -- ports


@pytest.mark.parametrize(
    ("known", "ours", "busy", "kept"),
    [
        pytest.param({}, set[str](), set[int](), set[str](), id="first time"),
        pytest.param({"a": 1, "b": 2}, set[str](), set[int](), {"a", "b"}, id="remembered and free"),
        pytest.param({"a": 1, "b": 2}, {"a", "b"}, {1, 2}, {"a", "b"}, id="we listen there ourselves"),
        pytest.param({"a": 1, "b": 2}, set[str](), {1}, {"b"}, id="a stranger took one"),
        pytest.param({"a": 1}, set[str](), set[int](), {"a"}, id="a role is new"),
    ],
)
def test_ports_stay_unless_a_stranger_took_them(
    known: dict[str, int], ours: set[str], busy: set[int], kept: set[str]
) -> None:
    settled = port.settle(("a", "b"), known, ours=ours.__contains__, free=lambda number: number not in busy)
    assert {role for role in settled if settled[role] == known.get(role)} == kept
    assert len(set(settled.values())) == 2
    assert all(settled[role] in port.RANGE for role in settled if role not in kept)


# -- certificates and kubeconfigs


def test_certificates_last_and_are_renewed_before_they_end(tmp_path: Path) -> None:
    ca = pki.authority(tmp_path, "x", NOW)
    cert, key = pki.leaf(ca, tmp_path, "server", NOW, hosts=("127.0.0.1", "localhost"))
    first = [path.read_bytes() for path in (ca.cert, ca.key, cert, key)]

    def remade(now: dt.datetime) -> list[bool]:
        pki.leaf(pki.authority(tmp_path, "x", now), tmp_path, "server", now, hosts=("127.0.0.1",))
        return [
            path.read_bytes() != old for path, old in zip((ca.cert, ca.key, cert, key), first, strict=True)
        ]

    assert remade(NOW + 334 * DAY) == [False, False, False, False]
    assert remade(NOW + 336 * DAY) == [False, False, True, True]
    assert remade(NOW + 3630 * DAY) == [True, True, True, True]


def test_a_leaf_of_another_authority_is_made_anew(tmp_path: Path) -> None:
    ca = pki.authority(tmp_path, "x", NOW)
    cert, _ = pki.leaf(ca, tmp_path, "client", NOW)
    before = cert.read_bytes()
    ca.key.unlink()
    pki.leaf(pki.authority(tmp_path, "x", NOW), tmp_path, "client", NOW)
    assert cert.read_bytes() != before


def test_python_accepts_the_chain_strictly(tmp_path: Path) -> None:
    now = dt.datetime.now(dt.UTC)
    ca = pki.authority(tmp_path, "x", now)
    pair = pki.leaf(ca, tmp_path, "server", now, hosts=("127.0.0.1",))
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=str(ca.cert))
    server.load_cert_chain(*pair)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    far = server.wrap_bio(to_server, to_client, server_side=True)
    near = client.wrap_bio(to_client, to_server, server_hostname="127.0.0.1")
    for _ in range(3):
        for side in (near, far):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert near.version() == "TLSv1.3"


def test_a_kubeconfig_stands_alone(tmp_path: Path) -> None:
    file = kubeconfig.write(tmp_path / "k", name="n", server="https://127.0.0.1:1", token="t", ca=b"PEM")
    assert file.stat().st_mode & 0o777 == 0o600
    assert yaml.safe_load(file.read_text()) == {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "n", "cluster": {"server": "https://127.0.0.1:1", "certificate-authority-data": "UEVN"}}
        ],
        "users": [{"name": "n", "user": {"token": "t"}}],
        "contexts": [{"name": "n", "context": {"cluster": "n", "user": "n", "namespace": "default"}}],
        "current-context": "n",
    }


def test_two_tokens_differ() -> None:
    assert pki.token() != pki.token()
    assert len(pki.token()) == 64
