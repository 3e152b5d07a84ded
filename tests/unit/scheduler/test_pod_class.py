"""Classes: which pods are alike, and what a malformed spec becomes."""

from typing import Any

import pytest

from nestling.scheduler.podclass import Classes, HostPort
from unit.scheduler.tables import a_class, requests


def test_replicas_share_one_class() -> None:
    classes = Classes()
    spec = {"containers": [requests(cpu="1")], "hostname": "a"}
    assert classes.of(spec) is classes.of({**spec, "hostname": "b"})


@pytest.mark.parametrize(
    "difference",
    [
        pytest.param({"nodeSelector": {"zone": "a"}}, id="node selector"),
        pytest.param({"tolerations": [{"operator": "Exists"}]}, id="tolerations"),
        pytest.param({"overhead": {"cpu": "1m"}}, id="overhead"),
        pytest.param({"containers": [requests(cpu="2")]}, id="requests"),
        pytest.param({"initContainers": [requests(cpu="2")]}, id="init containers"),
        pytest.param({"nodeName": "n1"}, id="node name"),
    ],
)
def test_pods_that_are_placed_differently_are_not_of_one_class(difference: dict[str, Any]) -> None:
    classes, spec = Classes(), {"containers": [requests(cpu="1")]}
    assert classes.of(spec).key != classes.of({**spec, **difference}).key


def test_a_bound_pod_stays_of_its_class() -> None:
    classes, spec = Classes(), {"containers": [requests(cpu="1")]}
    assert classes.of({**spec, "nodeName": "n1"}, bound=True) is classes.of(spec)


def test_a_long_spec_has_a_short_key() -> None:
    pods = a_class(nodeSelector={"a": "x" * 150_000})
    assert not pods.malformed
    assert len(pods.key) < 64


def test_host_ports_of_running_containers_only() -> None:
    port = {"containerPort": 80, "hostPort": 8080}
    pods = a_class(
        {"name": "main", "ports": [port, {"containerPort": 81}]},
        initContainers=[
            {"name": "once", "ports": [{"hostPort": 1}]},
            {"name": "beside", "restartPolicy": "Always", "ports": [{"hostPort": 2, "protocol": "UDP"}]},
        ],
    )
    assert set(pods.ports) == {HostPort("0.0.0.0", "TCP", 8080), HostPort("0.0.0.0", "UDP", 2)}


def term(**requirement: Any) -> dict[str, Any]:
    return {"nodeSelectorTerms": [{"matchExpressions": [requirement]}]}


def required(selector: Any) -> dict[str, Any]:
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": selector}}


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        pytest.param({"containers": [requests(cpu="much")]}, "resources", id="junk quantity"),
        pytest.param({"containers": ["web"]}, "spec", id="containers of the wrong form"),
        pytest.param({"containers": 7}, "spec", id="containers a number"),
        pytest.param(
            {"affinity": required(term(key="a", operator="Like", values=["b"]))},
            "unknown selector operator 'Like'",
            id="unknown operator",
        ),
        pytest.param(
            {"affinity": required(term(key="a", operator="Gt", values=["x"]))},
            "one integer",
            id="Gt of a word",
        ),
        pytest.param(
            {
                "affinity": required(
                    {"nodeSelectorTerms": [{"matchFields": [{"key": "spec.x", "operator": "Exists"}]}]}
                )
            },
            "metadata.name only",
            id="unknown field",
        ),
        pytest.param({"affinity": required([1])}, "node affinity", id="affinity of the wrong form"),
        pytest.param({"affinity": []}, "", id="empty affinity is none"),
        pytest.param({"tolerations": {"key": "a"}}, "tolerations", id="tolerations of the wrong form"),
        pytest.param(
            {"containers": [{"name": "a", "ports": [{"hostPort": 70000}]}]},
            "hostPort '70000'",
            id="port too high",
        ),
        pytest.param(
            {"containers": [{"name": "a", "ports": [{"hostPort": "80"}]}]}, "hostPort '80'", id="port a text"
        ),
        pytest.param({"nodeSelector": {"a": object()}}, "spec", id="not JSON at all"),
    ],
)
def test_a_malformed_spec_becomes_a_sentence(spec: dict[str, Any], says: str) -> None:
    malformed = Classes().of(spec).malformed
    assert says in malformed
    assert bool(malformed) == bool(says)
