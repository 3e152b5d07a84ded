"""`nestling schedule`: manifests in, verdicts out, and sentences for what cannot be read."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from command_line import typed


def a_node(name: str, cpu: str = "4", **spec: Any) -> dict[str, Any]:
    """A native node."""
    capacity = {"cpu": cpu, "memory": "8Gi", "pods": "10"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name},
        "spec": spec,
        "status": {"capacity": capacity},
    }


def a_pod(name: str, cpu: str = "1", **spec: Any) -> dict[str, Any]:
    """A native pod that waits for a node."""
    container = {"name": "main", "image": "x", "resources": {"requests": {"cpu": cpu}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [container], **spec},
    }


def written(path: Path, *objects: dict[str, Any]) -> str:
    """The manifests in a file."""
    path.write_text(yaml.safe_dump_all(objects))
    return str(path)


TAINT = [{"key": "dedicated", "effect": "NoSchedule"}]


def test_every_pending_pod_gets_its_verdict(tmp_path: Path) -> None:
    nodes = written(tmp_path / "nodes.yaml", a_node("n1"), a_node("n2", "8", taints=TAINT))
    pods = written(
        tmp_path / "pods.yaml",
        a_pod("fits"),
        a_pod("large", "6"),
        a_pod("there", "2", nodeName="n1"),
        a_pod("late", "2"),
    )
    done = typed("schedule", "--nodes", nodes, "--pods", pods, "-o", "json")
    assert done.code == 0
    verdicts = {item["name"]: item for item in done.json()["items"]}
    assert {name: (item["result"], item["node"]) for name, item in verdicts.items()} == {
        "fits": ("scheduled", "n1"),
        "large": ("unschedulable", ""),
        "late": ("unschedulable", ""),  # n1 has 4 CPUs: 2 for `there`, 1 for `fits`
    }
    assert verdicts["large"]["message"] == (
        "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s). "
        "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
    )
    assert [one["node"] for one in verdicts["large"]["refused"]] == ["n1", "n2"]
    assert verdicts["fits"]["feasible"][0]["score"] > 0


def test_the_table_is_for_people_and_wide_tells_more(tmp_path: Path) -> None:
    file = written(tmp_path / "all.yaml", a_node("n1"), a_node("n2"), a_pod("a"), a_pod("b", "100"))
    narrow = typed("schedule", "--nodes", file, "--pods", file)
    assert narrow.code == 0
    header, first, second = narrow.out.splitlines()
    assert header.split() == ["NAMESPACE", "POD", "RESULT", "NODE", "SCORE", "FEASIBLE", "MESSAGE"]
    assert first.split()[:3] == ["default", "a", "scheduled"]
    assert "0/2 nodes are available: 2 Insufficient cpu." in second
    wide = typed("schedule", "--nodes", file, "--pods", file, "-o", "wide", "--no-headers")
    assert "n1: Insufficient cpu" in wide.out
    assert len(wide.out.splitlines()) == 2


def test_priority_classes_decide_the_order(tmp_path: Path) -> None:
    high = {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": "high"},
        "value": 1000,
    }
    file = written(
        tmp_path / "all.yaml",
        a_node("n1"),
        high,
        a_pod("low", "3"),
        a_pod("high", "3", priorityClassName="high"),
    )
    done = typed("schedule", "--nodes", file, "--pods", file, "-o", "json")
    assert [(one["name"], one["result"]) for one in done.json()["items"]] == [
        ("high", "scheduled"),
        ("low", "unschedulable"),
    ]


def test_standard_input_serves_both(tmp_path: Path) -> None:
    text = yaml.safe_dump_all([a_node("n1"), a_pod("a")])
    done = typed("schedule", "--nodes", "-", "--pods", "-", "-o", "name", stdin=text)
    assert (done.code, done.out) == (0, "pod/a\n")


def test_without_nodes_nothing_is_available(tmp_path: Path) -> None:
    file = written(tmp_path / "pods.yaml", a_pod("a"))
    done = typed("schedule", "--nodes", file, "--pods", file)
    assert done.code == 0
    assert "no nodes available to schedule pods" in done.out
    assert done.err.startswith(f"Warning: {file} holds no Node; ")


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        pytest.param(
            "kind: Pod\nmetadata: {name: a}\nspec: {container: [], containers: [{name: a, image: x}]}\n",
            "Pod a: spec.container is no field, so it is ignored",
            id="misspelt field",
        ),
        pytest.param("kind: Pod\nmetadata: {name: a}\n", "Pod a: spec.containers is missing", id="missing"),
        pytest.param(
            "kind: Pod\nmetadata: {name: a}\n"
            "spec: {tolerations: [{operator: Exist}], containers: [{name: a, image: x}]}\n",
            r"spec\.tolerations\[0\]\.operator: 'Exist' is wrong: .*'Exists'",
            id="misspelt value",
        ),
        pytest.param(
            "kind: Node\nmetadata: {name: n7}\nspec: {taints: [{key: k, effect: Never}]}\n",
            r"Node n7: spec\.taints\[0\]\.effect: 'Never' is wrong",
            id="taint",
        ),
        pytest.param(
            "kind: Node\nmetadata: {name: n7}\nstatus: {allocatable: {cpu: eight}}\n",
            "Node n7: status.allocatable.cpu: 'eight' is not a quantity, so it counts as none",
            id="capacity",
        ),
    ],
)
def test_what_no_api_server_would_take_is_doubted(text: str, warning: str, tmp_path: Path) -> None:
    fine = written(tmp_path / "fine.yaml", a_node("n1"), a_pod("p"))
    odd = tmp_path / "odd.yaml"
    odd.write_text(text)
    done = typed("schedule", "--nodes", fine, "--nodes", str(odd), "--pods", fine, "--pods", str(odd))
    assert done.code == 0
    assert re.search(rf"^Warning: \S+odd\.yaml:1: .*{warning}", done.err, re.MULTILINE), done.err


def test_other_kinds_are_named_and_ignored(tmp_path: Path) -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}}
    file = written(tmp_path / "all.yaml", a_node("n1"), a_pod("a"), service)
    done = typed("schedule", "--nodes", file, "--pods", file)
    assert done.code == 0
    assert done.err.count("Service web is neither a Node nor a Pod, and is ignored") == 1


@pytest.mark.parametrize(
    ("text", "code", "sentence"),
    [
        pytest.param("a: [", 1, "not YAML", id="broken YAML"),
        pytest.param("kind: Node\n", 1, "holds no Pod; give --pods a file with Pod manifests", id="no pod"),
        pytest.param(
            "kind: Pod\nmetadata: {name: a}\n"
            "spec: {containers: [{name: a, resources: {requests: {cpu: lots}}}]}\n",
            1,
            "pod default/a: .*lots.*; correct the manifests",
            id="bad quantity",
        ),
        pytest.param("kind: Pod\nmetadata: []\n", 1, "cannot be read", id="metadata is a list"),
        pytest.param(
            "kind: Pod\nmetadata: {name: a}\nspec: {containers: 7}\n", 1, "pod default/a", id="no list"
        ),
    ],
)
def test_input_errors_are_sentences(text: str, code: int, sentence: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    done = typed("schedule", "--nodes", str(file), "--pods", str(file))
    assert done.code == code, done
    assert len(done.err.splitlines()) == 1
    assert re.search(sentence, done.err), done.err


def test_a_file_that_is_not_there_is_not_found() -> None:
    done = typed("schedule", "--nodes", "nowhere.yaml", "--pods", "nowhere.yaml")
    assert done.code == 3
    assert "nowhere.yaml does not exist" in done.err


CONFIG = """
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
  - schedulerName: default-scheduler
    plugins: {{score: {{enabled: [{{name: TaintToleration, weight: {weight}}}]}}}}
{more}
"""


def test_a_scheduler_configuration_changes_weights(tmp_path: Path) -> None:
    config = tmp_path / "scheduler.yaml"
    config.write_text(
        CONFIG.format(weight=5, more="extenders: [{urlPrefix: http://x.example, filterVerb: f}]")
    )
    nodes, pods = (
        written(tmp_path / "nodes.yaml", a_node("n1")),
        written(tmp_path / "pods.yaml", a_pod("web")),
    )
    done = typed("schedule", "--nodes", nodes, "--pods", pods, "--config", str(config), "-o", "json")
    assert done.json()["items"][0]["feasible"][0]["plugins"]["TaintToleration"] == 500
    assert "names extenders, and none of them is asked" in done.err


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param(
            CONFIG.format(weight=-1, more=""),
            "profiles[0].plugins.score.enabled[0].weight: input should be greater than or equal to 0",
            id="a weight that cannot be",
        ),
        pytest.param(
            CONFIG.format(weight=1, more="").replace("TaintToleration", "Nope"),
            "profiles[0].plugins.score: there is no plugin 'Nope': enable one of",
            id="a plugin that is not",
        ),
        pytest.param("kind: Pod", "kind: must be 'KubeSchedulerConfiguration', not 'Pod'", id="another kind"),
    ],
)
def test_a_configuration_that_cannot_be_is_a_usage_error(text: str, sentence: str, tmp_path: Path) -> None:
    config = tmp_path / "scheduler.yaml"
    config.write_text(text)
    nodes, pods = (
        written(tmp_path / "nodes.yaml", a_node("n1")),
        written(tmp_path / "pods.yaml", a_pod("web")),
    )
    done = typed("schedule", "--nodes", nodes, "--pods", pods, "--config", str(config))
    assert done.code == 2
    assert sentence in re.sub(r"\s+", " ", done.err)
