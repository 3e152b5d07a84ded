"""The local host on real processes: up, use, crash, up again, down."""

import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from nestling.host import process
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
