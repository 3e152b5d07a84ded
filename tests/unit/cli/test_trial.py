"""`nestling trial` says how long a pod took, or what it waits for, and leaves nothing behind."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from command_line import typed
from embedded_server import EmbeddedServer

SPACE = "/apis/nestling.dev/v1alpha1/namespaces/team-a"
MERGE = "application/merge-patch+json"


def items(host: EmbeddedServer, plural: str) -> list[dict[str, Any]]:
    """What is stored of a kind."""
    status, answer = host.request("GET", f"{SPACE}/{plural}")
    assert status == 200, answer
    return answer["items"]


@contextmanager
def status_given(host: EmbeddedServer, status: dict[str, Any]) -> Generator[list[dict[str, Any]]]:
    """Give every pod this status, as an operator would; yields the pods met and the nodes beside them."""
    met: list[dict[str, Any]] = []
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.05):
            for pod in items(host, "virtualpods"):
                path = f"{SPACE}/virtualpods/{pod['metadata']['name']}/status"
                host.request("PATCH", path, {"status": status}, content_type=MERGE)
                met.extend([pod, *items(host, "virtualnodes")])

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield met
    finally:
        over.set()
        thread.join()


def test_a_pod_that_runs_is_told_and_taken_away(installed: EmbeddedServer) -> None:
    with status_given(installed, {"phase": "Running"}) as met:
        done = typed("trial", "-n", "team-a", "--timeout", "20")
    assert done.code == 0, done.err
    assert "a pod ran on a node of its own in host namespace team-a after" in done.err
    assert items(installed, "virtualpods") == items(installed, "virtualnodes") == []
    pod, node = met[0], met[1]
    (taint,) = node["spec"]["taints"]
    assert taint.items() <= {**pod["spec"]["tolerations"][0], "effect": "NoSchedule"}.items()
    assert pod["spec"]["nodeSelector"].items() <= node["metadata"]["labels"].items()


def test_without_a_scheduler_it_says_so_in_time(installed: EmbeddedServer) -> None:
    done = typed("trial", "-n", "team-a", "--timeout", "1")  # the test has a time limit of its own
    assert done.code == 4
    assert "does not run: no scheduler has looked at it" in done.err
    assert "nestling doctor -n team-a" in done.err
    assert items(installed, "virtualpods") == items(installed, "virtualnodes") == []


def test_what_the_scheduler_said_is_passed_on(installed: EmbeddedServer) -> None:
    refused = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available: 1 too bad."}
    with status_given(installed, {"phase": "Pending", "conditions": [refused]}):
        done = typed("trial", "-n", "team-a", "--timeout", "1")
    assert done.code == 4
    assert "0/1 nodes are available: 1 too bad" in done.err


def test_without_kinds_it_says_what_to_install(host: EmbeddedServer) -> None:
    done = typed("trial", "-n", "team-a")
    assert done.code == 3
    assert "nestling install" in done.err
    assert host.port
