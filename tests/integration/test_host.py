"""The local host on real processes: up, use, crash, up again, down."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nestling.cli import exit_codes
from nestling.cli.host import app
from nestling.host import hosts, probe, process
from nestling.host.component import controller_kubeconfig, tokens
from nestling.host.local import STARTING_ORDER
from realhost import RealHost

pytestmark = pytest.mark.integration


def config_map(name: str, **data: str) -> dict[str, Any]:
    """A ConfigMap of the default namespace."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def eventually(check: Callable[[], Any], *, within_s: float = 30) -> Any:
    """Await a true answer with a deadline; the failure shows the last answer."""
    deadline = time.monotonic() + within_s
    while not (last := check()):
        assert time.monotonic() < deadline, last
        time.sleep(0.1)
    return last


CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


def test_what_was_acknowledged_survives_a_crash_of_every_process(
    real_server: Callable[..., RealHost],
) -> None:
    host = real_server()
    status, made = host.request("POST", CONFIG_MAPS, config_map("kept", a="1"))
    assert status == 201, made
    before = [host.pid(component) for component in STARTING_ORDER]

    host.kill()
    assert host.local.status().state == "stopped"
    host.up()

    status, found = host.request("GET", f"{CONFIG_MAPS}/kept")
    assert (status, found["data"], found["metadata"]["uid"]) == (200, {"a": "1"}, made["metadata"]["uid"])
    assert {host.pid(component) for component in STARTING_ORDER}.isdisjoint(before)
    assert host.local.status().state == "running"

    host.local.down()
    stopped = host.local.status()
    assert (stopped.state, [part.running for part in stopped.components]) == (
        "stopped",
        [False, False, False],
    )
    assert host.request("GET", "/readyz")[0] == 0

    host.up()
    assert host.request("GET", f"{CONFIG_MAPS}/kept")[0] == 200
    host.local.down(purge=True)
    assert not host.local.files.root.exists()


def test_up_again_changes_nothing(local_host: RealHost) -> None:
    pids = [local_host.pid(component) for component in STARTING_ORDER]
    kubeconfig = local_host.kubeconfig.read_bytes()
    local_host.up()
    assert [local_host.pid(component) for component in STARTING_ORDER] == pids
    assert local_host.kubeconfig.read_bytes() == kubeconfig


@pytest.mark.parametrize("path", ["/readyz", "/version", "/api/v1/namespaces", "/openapi/v3", "/metrics"])
@pytest.mark.parametrize("token", [pytest.param("", id="none"), pytest.param("f" * 64, id="wrong")])
def test_nobody_gets_in_without_the_token(local_host: RealHost, path: str, token: str) -> None:
    status, _ = local_host.request("GET", path, token=token)
    assert status == 401


def test_etcd_refuses_a_client_without_a_certificate(local_host: RealHost) -> None:
    local = local_host.local
    refused = local.ask_etcd("/health", with_certificate=False)
    assert refused.status == 0, refused
    assert local.ask_etcd("/health").ok


def test_secrets_are_for_this_user_only(local_host: RealHost) -> None:
    files = local_host.local.files
    secret = [
        local_host.kubeconfig,
        tokens(files),
        controller_kubeconfig(files),
        *(files.root / "pki").glob("*.key"),
    ]
    assert {path.name: path.stat().st_mode & 0o777 for path in secret} == {
        path.name: 0o600 for path in secret
    }
    assert files.root.stat().st_mode & 0o777 == 0o700


def test_a_deleted_namespace_goes_away_with_what_is_in_it(local_host: RealHost) -> None:
    name = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "leaving"}}
    assert local_host.request("POST", "/api/v1/namespaces", name)[0] == 201
    inside = "/api/v1/namespaces/leaving/configmaps"
    assert local_host.request("POST", inside, config_map("inside"))[0] == 201
    assert local_host.request("DELETE", "/api/v1/namespaces/leaving")[0] == 200
    eventually(lambda: local_host.request("GET", "/api/v1/namespaces/leaving")[0] == 404)


def test_etcd_that_died_alone_comes_back_under_the_running_api_server(
    real_server: Callable[..., RealHost],
) -> None:
    host = real_server(controllers=())
    assert host.request("POST", CONFIG_MAPS, config_map("kept"))[0] == 201
    apiserver = host.pid("kube-apiserver")
    host.kill("etcd")
    status = host.local.status()
    assert (status.state, status.note) == ("degraded", "etcd not running")
    host.up()
    assert host.pid("kube-apiserver") == apiserver
    assert host.request("GET", f"{CONFIG_MAPS}/kept")[0] == 200

    host.kill("etcd")
    assert host.local.stop("kube-apiserver") == "killed"  # without etcd it would hang in its shutdown
    assert host.local.status().state == "stopped"


def test_an_owner_takes_its_dependants_along(local_host: RealHost) -> None:
    _, owner = local_host.request("POST", CONFIG_MAPS, config_map("owner"))
    dependant = config_map("dependant")
    dependant["metadata"]["ownerReferences"] = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    ]
    assert local_host.request("POST", CONFIG_MAPS, dependant)[0] == 201
    assert local_host.request("DELETE", f"{CONFIG_MAPS}/owner")[0] == 200
    eventually(lambda: local_host.request("GET", f"{CONFIG_MAPS}/dependant")[0] == 404)


def test_a_watch_from_before_compaction_and_restart_is_gone(real_server: Callable[..., RealHost]) -> None:
    host = real_server(controllers=())
    _, made = host.request("POST", CONFIG_MAPS, config_map("old"))
    since = made["metadata"]["resourceVersion"]
    assert host.request("DELETE", f"{CONFIG_MAPS}/old")[0] == 200
    host.compact()
    host.restart_apiserver()
    status, answer = host.request("GET", f"{CONFIG_MAPS}?watch=1&timeoutSeconds=2&resourceVersion={since}")
    code = status if status != 200 else answer["object"]["code"]
    assert code == 410, answer


def test_a_host_without_controllers_has_two_processes(real_server: Callable[..., RealHost]) -> None:
    host = real_server(controllers=())
    assert [part.name for part in host.local.status().components] == ["etcd", "kube-apiserver"]


def test_the_next_run_sweeps_what_a_killed_run_left(real_server: Callable[..., RealHost]) -> None:
    from realhost import sweep  # noqa: PLC0415  beside the one test that is about it

    host = real_server(controllers=())
    owner = host.local.files.root.parent / "owner.json"
    pid = os.posix_spawn("/bin/true", ["true"], os.environ)
    dead = process.Process(pid, process.birth(pid) or "")
    os.waitpid(pid, 0)
    process.remember(owner, dead)
    etcd = process.recall(host.local.files.pid("etcd"))
    sweep()
    assert not process.alive(etcd)
    assert not owner.exists()


# -- the command, as a shell sees it


@pytest.fixture
def nestling_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., tuple[int, str]]]:
    """Run `nestling host ...` with an empty state directory: exit status and standard output."""
    monkeypatch.setenv("NESTLING_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("KUBECONFIG", raising=False)

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, list(arguments))
        return result.exit_code, result.stdout

    yield run
    for name in hosts.names():
        hosts.down(name, purge=True)


def in_a_shell(*arguments: str) -> tuple[int, str]:
    """The same in a process of its own, which the host must outlive."""
    program = "from nestling.cli.host import app; app()"
    command = [sys.executable, "-c", program, *arguments]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, timeout=100)
    return answer.returncode, answer.stdout


def test_a_local_host_by_command(nestling_host: Callable[..., tuple[int, str]], local_host: RealHost) -> None:
    del local_host  # where it cannot be had, this test cannot either
    code, out = in_a_shell("up", "local", "--no-controllers")
    assert code == 0
    kubeconfig = out.removeprefix("export KUBECONFIG=").strip()
    server, token = probe.login_of(Path(kubeconfig))
    ca = Path(kubeconfig).parent / "pki" / "kubernetes-ca.crt"
    assert probe.ask(server, "/readyz", token=token, ca=ca).ok
    assert nestling_host("up", "local", "--no-controllers", "-o", "name") == (0, "host/local\n")
    code, out = nestling_host("status", "local", "-o", "json")
    status = json.loads(out)
    assert (code, status["state"], status["server"], status["version"]) == (0, "running", server, "v1.37.2")
    assert all(part["rss_bytes"] > 1 << 20 for part in status["components"])

    # A crash between the start of a process and the writing of its pid file.
    files = Path(kubeconfig).parent
    (files / "run" / "etcd.json").unlink()
    (files / "run" / "kube-apiserver.json").unlink()
    assert nestling_host("status", "local")[0] == exit_codes.NOT_FOUND
    assert nestling_host("up", "local", "--no-controllers", "-o", "name")[0] == 0
    again = json.loads(nestling_host("status", "local", "-o", "json")[1])
    assert [part["pid"] for part in again["components"]] == [part["pid"] for part in status["components"]]

    assert in_a_shell("down")[0] == 0
    assert nestling_host("status", "local")[0] == exit_codes.NOT_FOUND
    assert nestling_host("down", "--purge", "-o", "name") == (0, "host/local\n")
    assert nestling_host("status")[0] == exit_codes.NOT_FOUND
    assert not files.exists()


def test_an_embedded_host_by_command(nestling_host: Callable[..., tuple[int, str]]) -> None:
    started = time.monotonic()
    code, out = in_a_shell("up")
    took = time.monotonic() - started
    assert code == 0
    kubeconfig = Path(out.removeprefix("export KUBECONFIG=").strip())
    server, token = probe.login_of(kubeconfig)
    ca = kubeconfig.parent / "pki" / "kubernetes-ca.crt"

    def ask(
        method: str, path: str, body: dict[str, Any] | None = None, *, login: str = token
    ) -> probe.Answer:
        content = None if body is None else json.dumps(body).encode()
        return probe.ask(server, path, token=login, ca=ca, method=method, body=content)

    assert ask("GET", "/api/v1/namespaces", login="").status == 401
    assert ask("GET", "/api/v1/namespaces", login="f" * 64).status == 401
    assert ask("POST", CONFIG_MAPS, config_map("kept", a="1")).status == 201

    os.kill(json.loads((kubeconfig.parent / "run" / "nestling-apiserver.json").read_bytes())["pid"], 9)
    eventually(lambda: nestling_host("status")[0] == exit_codes.NOT_FOUND)
    assert nestling_host("up", "embedded", "-o", "name") == (0, "host/embedded\n")
    server, token = probe.login_of(kubeconfig)  # its port may have been taken while it was down
    found = ask("GET", f"{CONFIG_MAPS}/kept")
    assert (found.status, json.loads(found.body)["data"]) == (200, {"a": "1"})
    assert nestling_host("down", "--purge")[0] == 0
    assert not kubeconfig.exists()
    assert took < 10, "about one second on an idle machine"


def test_a_current_host_by_command(
    nestling_host: Callable[..., tuple[int, str]], local_host: RealHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(local_host.kubeconfig))
    assert nestling_host("up", "current") == (0, f"export KUBECONFIG={local_host.kubeconfig}\n")
    status = json.loads(nestling_host("status", "current", "-o", "json")[1])
    assert (status["state"], status["server"], status["context"]) == (
        "running",
        local_host.server,
        "nestling-test",
    )
    assert nestling_host("down", "current")[0] == 0
    assert hosts.names() == []
    assert local_host.request("GET", "/readyz")[0] == 200


# kind and Docker, as far as their answers matter here: the cluster is a file, its API server is the
# fixture's.
FAKE_KIND = """#!/bin/sh
echo "kind $*" >> "$FAKE/calls"
case "$1 $2" in
"get clusters") ls "$FAKE/clusters";;
"get nodes") [ ! -e "$FAKE/clusters/$4" ] || echo "$4-control-plane";;
"get kubeconfig") cat "$FAKE/kubeconfig";;
"create cluster")
  [ -z "$FAKE_FAILURE" ] || { printf 'Creating\\nERROR: %s\\nHint\\n' "$FAKE_FAILURE" >&2; exit 1; }
  touch "$FAKE/clusters/$4" "$FAKE/up"; cp "$FAKE/kubeconfig" "$8";;
"delete cluster") rm "$FAKE/clusters/$4" "$FAKE/up";;
esac
"""
FAKE_DOCKER = """#!/bin/sh
echo "docker $*" >> "$FAKE/calls"
case "$1" in
start) touch "$FAKE/up";;
stop) rm "$FAKE/up";;
ps) [ ! -e "$FAKE/up" ] || echo nestling-kind-control-plane;;
esac
"""


def test_a_kind_host_by_command(
    nestling_host: Callable[..., tuple[int, str]],
    local_host: RealHost,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = tmp_path / "fake"
    (fake / "clusters").mkdir(parents=True)
    (fake / "clusters" / "of-somebody-else").touch()
    for name, text in (("kind", FAKE_KIND), ("docker", FAKE_DOCKER)):
        (fake / name).write_text(text)
        (fake / name).chmod(0o755)
    text = local_host.kubeconfig.read_text().replace("nestling-test", "kind-nestling-kind")
    (fake / "kubeconfig").write_text(text)
    monkeypatch.setenv("FAKE", str(fake))
    monkeypatch.setenv("PATH", f"{fake}:/usr/bin:/bin")

    monkeypatch.setenv("FAKE_FAILURE", "failed to pull image")
    assert nestling_host("up", "kind") == (exit_codes.UNAVAILABLE, "")
    monkeypatch.delenv("FAKE_FAILURE")

    code, out = nestling_host("up", "kind", "--image", "node:1")
    kubeconfig = Path(out.removeprefix("export KUBECONFIG=").strip())
    assert (code, kubeconfig.read_text(), kubeconfig.stat().st_mode & 0o777) == (0, text, 0o600)
    assert "--image node:1" in (fake / "calls").read_text()
    assert nestling_host("status", "kind", "-o", "name") == (0, "host/kind\n")
    assert nestling_host("down")[0] == 0
    assert nestling_host("status", "kind")[0] == exit_codes.NOT_FOUND
    assert (fake / "clusters" / "nestling-kind").exists()
    assert nestling_host("up", "kind", "-o", "name")[0] == 0
    assert nestling_host("down", "kind", "--purge")[0] == 0
    assert [path.name for path in (fake / "clusters").iterdir()] == ["of-somebody-else"]
    assert not kubeconfig.exists()
