"""Which host a command means, what it prints, and with which exit status it ends."""

import os
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from typer.testing import CliRunner

from nestling.cli import exit_codes
from nestling.cli.host import app
from nestling.host import hosts, launch, process, record
from nestling.host.component import CONTROLLERS, LOOPBACK, Ports, marks
from nestling.host.errors import HostNotReadyError, HostSetupError
from nestling.host.folder import Folder
from nestling.host.local import LocalHost, LocalSettings
from nestling.host.process import Process
from nestling.host.record import silent

PORTS = Ports(apiserver=20001, etcd=20002, etcd_peer=20003)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty state directory, and a PATH and a cache without any program."""
    monkeypatch.setenv("NESTLING_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("NESTLING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KUBEBUILDER_ASSETS", "KUBECONFIG", "NESTLING_KIND_IMAGE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "state"


def a_local_host(name: str = "local", **changes: Any) -> LocalHost:
    """A local host that has been up, and of which nothing runs."""
    root = record.host_dir(name)
    host = LocalHost(LocalSettings(name, root, root / "data"), {}, version="v1.37.2")
    host.files.claim()
    document = {
        "name": name,
        "kind": "local",
        "data_dir": str(root / "data"),
        "controllers": list(CONTROLLERS),
        "version": "v1.37.2",
        "ports": {"apiserver": PORTS.apiserver, "etcd": PORTS.etcd, "etcd_peer": PORTS.etcd_peer},
    }
    host.files.remember({**document, **changes})
    return host


def run(*arguments: str) -> tuple[int, str, str]:
    """Exit status, standard output, standard error."""
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        pytest.param(["status"], exit_codes.NOT_FOUND, "no host has been up; start one", id="status of none"),
        pytest.param(
            ["status", "x"], exit_codes.NOT_FOUND, "there is no host x, nor any other", id="unknown"
        ),
        pytest.param(["down"], exit_codes.NOT_FOUND, "no host is up; start one", id="down of none"),
        pytest.param(["down", "x"], exit_codes.NOT_FOUND, "there is no host x", id="down of an unknown one"),
        pytest.param(
            ["up", "kind"], exit_codes.ERROR, "needs `docker`, which is not in PATH", id="no Docker"
        ),
        pytest.param(
            ["up", "current"], exit_codes.NOT_FOUND, "no kubeconfig in KUBECONFIG", id="no kubeconfig"
        ),
        pytest.param(["up", "--name", "../x"], exit_codes.ERROR, "'../x' is no name of a host", id="a path"),
        pytest.param(["up", "--name", "a" * 41], exit_codes.ERROR, "is no name of a host", id="a long name"),
        pytest.param(["up", "minikube"], exit_codes.USAGE, "minikube", id="unknown kind"),
    ],
)
def test_errors_are_a_sentence_and_a_stable_exit_status(
    arguments: list[str], code: int, sentence: str, state: Path
) -> None:
    exit_code, out, err = run(*arguments)
    assert (exit_code, out) == (code, "")
    assert sentence in err
    assert "Traceback" not in err
    if state.exists():
        assert hosts.names() == []


def test_local_without_programs_go_and_pip_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lonely = tmp_path / "python"
    lonely.write_text("#!/bin/sh\nexit 1\n")
    lonely.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(lonely))
    code, _, err = run("up", "local")
    assert code == exit_codes.ERROR
    assert "neither Go nor pip is available" in err
    assert "https://go.dev/dl" in err


def test_a_host_is_of_one_kind() -> None:
    a_local_host("mine")
    code, _, err = run("up", "embedded", "--name", "mine")
    assert code == exit_codes.ERROR
    assert "host mine is of kind local, not embedded; choose another --name" in err


def test_a_host_does_not_move_its_data(tmp_path: Path) -> None:
    a_local_host()
    code, _, err = run("up", "local", "--data-dir", str(tmp_path / "elsewhere"))
    assert code == exit_codes.ERROR
    assert "host local keeps its data in" in err
    assert not (tmp_path / "elsewhere").exists()


def test_a_stopped_host_is_shown_as_stopped() -> None:
    a_local_host()
    code, out, _ = run("status")
    assert code == exit_codes.NOT_FOUND
    assert [line.split() for line in out.splitlines()] == [
        ["NAME", "KIND", "STATE", "VERSION", "SERVER"],
        ["local", "local", "stopped", "v1.37.2", "https://127.0.0.1:20001"],
    ]
    assert run("status", "--no-headers")[1].startswith("local ")
    assert run("status", "-o", "name")[1] == "host/local\n"
    assert orjson.loads(run("status", "-o", "json")[1])["items"][0]["state"] == "stopped"
    one = yaml.safe_load(run("status", "local", "-o", "yaml")[1])
    assert [part["running"] for part in one["components"]] == [False, False, False]


def test_pid_files_of_a_crash_and_of_strangers_do_not_count_as_running() -> None:
    host = a_local_host()
    process.remember(host.files.pid("etcd"), Process(os.getpid(), "somebody who had our pid"))
    host.files.pid("kube-apiserver").write_bytes(b"half a fi")
    process.remember(host.files.pid("kube-controller-manager"), Process(2**22 + 1, "gone"))
    assert host.status().state == "stopped"
    host.down()
    assert list((host.files.root / "run").iterdir()) == []
    assert process.birth(os.getpid()) is not None


def test_purge_takes_the_only_host_and_refuses_to_guess() -> None:
    a_local_host("one")
    a_local_host("two")
    code, _, err = run("down", "--purge")
    assert code == exit_codes.ERROR
    assert "there are several hosts: one, two; name the one you mean" in err
    assert run("down", "two", "--purge", "-o", "name")[:2] == (0, "host/two\n")
    assert hosts.names() == ["one"]
    assert run("down", "--purge")[0] == 0
    assert hosts.names() == []
    assert not record.host_dir("one").exists()


def test_a_host_whose_record_is_damaged_says_so() -> None:
    a_local_host()
    (record.host_dir("local") / "host.json").write_bytes(b"{")
    code, _, err = run("status")
    assert code == exit_codes.ERROR
    assert "host.json is damaged; move it away" in err


# -- components as processes


def a_folder(tmp_path: Path) -> Folder:
    """Directories of a host of its own."""
    folder = Folder(tmp_path / "host", tmp_path / "host" / "data", ())
    folder.claim()
    return folder


def start(folder: Folder, script: str, *, ready: bool = True, timeout_s: float = 5) -> None:
    """Launch a shell script as component `x`."""
    command = ["/bin/sh", "-c", script, f"--mark={folder.root}"]
    launch.launch(folder, "x", command, ready=lambda: ready, timeout_s=timeout_s, progress=silent)


def test_a_component_is_started_once_and_found_again(tmp_path: Path) -> None:
    folder = a_folder(tmp_path)
    try:
        start(folder, "exec /bin/sleep 600")
        first = launch.running(folder, "x")
        start(folder, "exit 1")
        assert launch.running(folder, "x") == first is not None
        assert launch.look(folder, "x").running
    finally:
        assert launch.halt(folder, "x", grace_s=5) == "terminated"
    assert launch.running(folder, "x") is None
    assert not folder.pid("x").exists()


def test_a_component_whose_pid_file_was_never_written_is_found_by_its_mark(tmp_path: Path) -> None:
    folder = a_folder(tmp_path)
    try:
        # Not exec: the shell keeps its own arguments, among them the mark.
        start(folder, "while :; do /bin/sleep 600; done")
        first = launch.running(folder, "x")
        folder.pid("x").unlink()
        launch.adopt(folder, "x", f"--mark={tmp_path}/of-another-host")
        assert launch.running(folder, "x") is None
        launch.adopt(folder, "x", f"--mark={folder.root}")
        assert launch.running(folder, "x") == first is not None
    finally:
        launch.halt(folder, "x", grace_s=0)


def test_one_that_ends_at_once_is_reported_with_its_last_words(tmp_path: Path) -> None:
    folder = a_folder(tmp_path)
    with pytest.raises(
        HostNotReadyError, match=r"x ended right after its start \(port is taken\); read .*x.log"
    ):
        start(folder, "echo starting; echo port is taken >&2; exit 1", ready=False)
    assert not folder.pid("x").exists()


def test_one_that_is_not_ready_in_time_is_left_running_to_look_at(tmp_path: Path) -> None:
    folder = a_folder(tmp_path)
    try:
        with pytest.raises(HostSetupError, match="x is not ready after 0 s; read "):
            start(folder, "exec /bin/sleep 600", ready=False, timeout_s=0)
        assert launch.look(folder, "x").running
    finally:
        launch.halt(folder, "x", grace_s=5)


def test_every_component_carries_its_mark_and_listens_on_loopback_alone(tmp_path: Path) -> None:
    settings = LocalSettings("local", tmp_path / "host", tmp_path / "host" / "data")
    programs = {name: Path("/bin") / name for name in ("etcd", "kube-apiserver", "kube-controller-manager")}
    host = LocalHost(settings, programs)
    for component in settings.components:
        command = host.command(component, PORTS)
        assert marks(host.files)[component] in command
        for argument in command:
            name, _, value = argument.partition("=")
            if name.endswith(("-urls", "address", "-servers")):
                assert LOOPBACK in value, argument
    assert "--anonymous-auth=false" in host.command("kube-apiserver", PORTS)
    assert "--client-cert-auth" in host.command("etcd", PORTS)


@pytest.mark.parametrize(("fsync", "expected"), [(True, False), (False, True)])
def test_only_tests_go_without_fsync(tmp_path: Path, fsync: bool, expected: bool) -> None:
    settings = LocalSettings("local", tmp_path, tmp_path / "data", fsync=fsync)
    command = LocalHost(settings, {"etcd": Path("/bin/etcd")}).command("etcd", PORTS)
    assert ("--unsafe-no-fsync" in command) is expected
    assert LocalSettings("local", tmp_path, tmp_path).fsync
