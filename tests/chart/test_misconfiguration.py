"""Thirty ways to get it wrong: each ends in one sentence that names the field and what to do.

Here are the values that helm refuses; what a real API server and a real host refuse is in `test_live.py`.
"""

import re
from typing import Any

import pytest
from rendering import MONITORING, refusal

SCHEMA = [
    pytest.param({"scope": "namespace"}, "/scope", "must be one of 'namespaced', 'cluster'", id="scope"),
    pytest.param({"topology": "ha"}, "/topology", "must be one of 'single', 'split'", id="topology"),
    pytest.param({"replicas": "2"}, "/replicas", "got string, want integer", id="replicas as text"),
    pytest.param({"replicas": -1}, "/replicas", "minimum", id="negative replicas"),
    pytest.param({"namespaces": ["Team_A"]}, "/namespaces/0", "does not match pattern", id="namespace"),
    pytest.param(
        {"namespaces": ["a", "a"]}, "/namespaces", "items at 0 and 1 are equal", id="namespace twice"
    ),
    pytest.param({"image": {"digest": "latest"}}, "/image/digest", "does not match pattern", id="digest"),
    pytest.param({"image": {"pullPolicy": "always"}}, "/image/pullPolicy", "'Always'", id="pull policy"),
    pytest.param({"image": {"tags": "1"}}, "/image", "'tags' not allowed", id="unknown value"),
    pytest.param({"metrics": {"port": 80800}}, "/metrics/port", "maximum", id="port"),
    pytest.param({"log": {"level": "trace"}}, "/log/level", "must be one of 'debug'", id="log level"),
    pytest.param({"kubelet": {"shards": 0}}, "/kubelet/shards", "minimum", id="no shards"),
    pytest.param(
        {"metrics": {"podMonitor": {"interval": "30"}}},
        "/metrics/podMonitor/interval",
        "does not match pattern",
        id="interval without unit",
    ),
    pytest.param({"resources": "small"}, "/resources", "got string, want object", id="resources"),
]


@pytest.mark.parametrize(("values", "field", "fix"), SCHEMA)
def test_schema_names_field_and_rule(values: dict[str, Any], field: str, fix: str) -> None:
    said = [line for line in refusal(values).splitlines() if line.startswith("- at")]
    (line,) = said
    assert f"'{field}'" in line
    assert fix in line


MONITOR = {"enabled": True}
RULES = [
    pytest.param({"scope": "cluster", "namespaces": ["a"]}, "namespaces", "remove namespaces", id="scope"),
    pytest.param(
        {"replicas": 2, "leaderElection": {"enabled": False}},
        "leaderElection.enabled",
        "set leaderElection.enabled=true",
        id="no election",
    ),
    pytest.param(
        {"topology": "split", "kubelet": {"replicas": 2}, "leaderElection": {"enabled": False}},
        "leaderElection.enabled",
        "kubelet.replicas=1",
        id="no election in a component",
    ),
    pytest.param(
        {"kubelet": {"shards": 2}}, "kubelet.shards", "set topology=split", id="shards in one process"
    ),
    pytest.param({"scheduler": {"replicas": 2}}, "scheduler.replicas", "set topology=split", id="component"),
    pytest.param(
        {"metrics": {"serviceMonitor": MONITOR, "podMonitor": MONITOR}},
        "metrics.podMonitor.enabled",
        "enable either",
        id="two monitors",
    ),
    pytest.param(
        {"metrics": {"enabled": False, "podMonitor": MONITOR}},
        "metrics.podMonitor.enabled",
        "set metrics.enabled=true",
        id="nothing to scrape",
    ),
    pytest.param(
        {"metrics": {"enabled": False, "service": MONITOR}},
        "metrics.service.enabled",
        "set metrics.enabled=true",
        id="nothing to serve",
    ),
    pytest.param({"serviceAccount": {"create": False}}, "serviceAccount.name", "name it", id="no account"),
    pytest.param(
        {"podDisruptionBudget": {"enabled": True, "minAvailable": 1}},
        "podDisruptionBudget.minAvailable",
        "maxUnavailable=null",
        id="two budgets",
    ),
    pytest.param(
        {"podDisruptionBudget": {"enabled": True, "maxUnavailable": None}},
        "podDisruptionBudget.maxUnavailable",
        "set it",
        id="no budget",
    ),
    pytest.param(
        {"uninstall": {"graceSeconds": 120}}, "uninstall.graceSeconds", "lower it", id="endless grace"
    ),
]


def sentence(error: str) -> str:
    """What `fail` said, without helm's own words around it."""
    found = re.findall(r"execution error at \(.*?\): (.*)", error)
    assert len(found) == 1, error
    return found[0]


@pytest.mark.parametrize(("values", "field", "fix"), RULES)
def test_rule_names_field_and_fix(values: dict[str, Any], field: str, fix: str) -> None:
    said = sentence(refusal(values, apis=MONITORING))
    assert said.startswith(f"{field}: ")
    assert fix in said


@pytest.mark.parametrize("key", ["serviceMonitor", "podMonitor", "prometheusRule"])
def test_missing_prometheus_operator_is_named(key: str) -> None:
    said = sentence(refusal({"metrics": {key: MONITOR}}))
    assert said.startswith(f"metrics.{key}.enabled: the host does not know ")
    assert f"set metrics.{key}.enabled=false" in said
