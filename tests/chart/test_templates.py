"""What each template makes of the values that concern it."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from rendering import (
    CHART,
    MONITORING,
    NAMESPACE,
    container_of,
    names,
    pod_of,
    rendered,
    template,
    values_files,
)

from nestling.kubelet.shard import is_of_shard
from nestling.machinery.names import Key

SPLIT = {"topology": "split", "kubelet": {"shards": 2}}


def flag(container: dict[str, Any], name: str) -> str | None:
    """Value of `--name=value` among the arguments."""
    return next((one.partition("=")[2] for one in container["args"] if one.startswith(f"--{name}=")), None)


def flags(container: dict[str, Any], name: str) -> list[str]:
    """All values of `--name=value`."""
    return [one.partition("=")[2] for one in container["args"] if one.startswith(f"--{name}=")]


@pytest.mark.parametrize(
    ("values", "pods"),
    [
        pytest.param({}, {"nestling": []}, id="single"),
        pytest.param(
            SPLIT,
            {
                "nestling-scheduler": ["scheduler"],
                "nestling-controllers": ["controllers"],
                "nestling-kubelet-0": ["kubelet"],
                "nestling-kubelet-1": ["kubelet"],
            },
            id="split",
        ),
    ],
)
def test_topology_decides_which_roles_share_a_pod(values: dict[str, Any], pods: dict[str, list[str]]) -> None:
    made = rendered(values).all("Deployment")
    roles = {
        one["metadata"]["name"]: [word for word in container_of(one)["args"][1:] if not word.startswith("-")]
        for one in made
    }
    assert roles == pods
    assert all(container_of(one)["args"][0] == "run" for one in made)


def test_shards_are_told_apart_and_share_all_nodes() -> None:
    made = [
        one
        for one in rendered({"topology": "split", "kubelet": {"shards": 3}}).all("Deployment")
        if "kubelet" in one["metadata"]["name"]
    ]
    told = [(flag(container_of(one), "shard"), flag(container_of(one), "shards")) for one in made]
    assert told == [("0", "3"), ("1", "3"), ("2", "3")]
    for index in range(50):
        node = Key("team-a", "", f"n{index}")
        assert [is_of_shard(node, shard=shard, shards=3) for shard in range(3)].count(True) == 1


def test_selectors_of_deployments_meet_their_own_pods_only() -> None:
    made = rendered(SPLIT).all("Deployment")
    for one in made:
        selector = one["spec"]["selector"]["matchLabels"].items()
        matching = [
            other["metadata"]["name"]
            for other in made
            if selector <= other["spec"]["template"]["metadata"]["labels"].items()
        ]
        assert matching == [one["metadata"]["name"]]


@pytest.mark.parametrize(
    ("values", "served"),
    [
        pytest.param({}, [NAMESPACE], id="the release's own"),
        pytest.param({"namespaces": ["a", "b"]}, ["a", "b"], id="named ones"),
        pytest.param({"scope": "cluster"}, [], id="all"),
    ],
)
def test_scope_decides_which_namespaces_are_served(values: dict[str, Any], served: list[str]) -> None:
    made = rendered(values)
    container = container_of(made.one("Deployment"))
    assert flags(container, "namespace") == served
    assert flag(container, "lease-namespace") == NAMESPACE
    assert flags(container_of(made.one("Job")), "namespace") == served


@pytest.mark.parametrize(
    ("values", "word"),
    [({}, "--leader-elect"), ({"leaderElection": {"enabled": False}}, "--no-leader-elect")],
)
def test_election_can_be_switched_off(values: dict[str, Any], word: str) -> None:
    assert word in container_of(rendered(values).one("Deployment"))["args"]


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        pytest.param({}, "ghcr.io/nestling-dev/nestling:0.1.0.dev0", id="appVersion"),
        pytest.param({"registry": "", "repository": "nestling", "tag": "x"}, "nestling:x", id="no registry"),
        pytest.param(
            {"digest": f"sha256:{'a' * 64}", "tag": "x"},
            f"ghcr.io/nestling-dev/nestling@sha256:{'a' * 64}",
            id="digest wins",
        ),
    ],
)
def test_image_is_put_together(image: dict[str, Any], wanted: str) -> None:
    made = rendered({"image": image})
    assert container_of(made.one("Deployment"))["image"] == wanted
    assert container_of(made.one("Job"))["image"] == wanted
    assert made.one("Pod")["spec"]["containers"][0]["image"] == wanted


def test_global_registry_wins() -> None:
    made = rendered({"global": {"imageRegistry": "mirror.local", "imagePullSecrets": [{"name": "g"}]}})
    assert container_of(made.one("Deployment"))["image"].startswith("mirror.local/nestling-dev/")
    assert pod_of(made.one("Deployment"))["imagePullSecrets"] == [{"name": "g"}]


def test_default_pods_are_restricted() -> None:
    made = rendered(SPLIT)
    pods = [pod_of(one) for one in (*made.all("Deployment"), *made.all("Job"))] + [made.one("Pod")["spec"]]
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] >= 10000
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
        assert not pod.get("hostNetwork")


def test_components_override_what_all_have() -> None:
    made = rendered(
        {
            **SPLIT,
            "replicas": 2,
            "podLabels": {"tier": "all"},
            "nodeSelector": {"disk": "ssd"},
            "scheduler": {"replicas": 1, "nodeSelector": {}, "podLabels": {"tier": "own"}},
        }
    )
    scheduler, controllers = (
        made.one("Deployment", "nestling-scheduler"),
        made.one("Deployment", "nestling-controllers"),
    )
    assert (scheduler["spec"]["replicas"], controllers["spec"]["replicas"]) == (1, 2)
    assert "nodeSelector" not in pod_of(scheduler)
    assert pod_of(controllers)["nodeSelector"] == {"disk": "ssd"}
    assert scheduler["spec"]["template"]["metadata"]["labels"]["tier"] == "own"
    assert controllers["spec"]["template"]["metadata"]["labels"]["tier"] == "all"


def test_pod_labels_cannot_break_the_selector() -> None:
    made = rendered({"podLabels": {"app.kubernetes.io/name": "other"}}).one("Deployment")
    labels = made["spec"]["template"]["metadata"]["labels"]
    assert made["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_pod_takes_what_users_add() -> None:
    made = rendered(
        {
            "extraArgs": ["--context={{ .Release.Name }}"],
            "extraEnv": [{"name": "A", "value": "{{ .Release.Namespace }}"}],
            "extraVolumes": [{"name": "more", "emptyDir": {}}],
            "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
            "podAnnotations": {"a": "b"},
            "tolerations": [{"operator": "Exists"}],
            "affinity": {"nodeAffinity": {}},
            "priorityClassName": "high",
            "commonLabels": {"team": "x"},
            "commonAnnotations": {"note": "y"},
            "revisionHistoryLimit": 7,
            "terminationGracePeriodSeconds": 11,
            "updateStrategy": {"type": "Recreate"},
        }
    ).one("Deployment")
    pod, container = pod_of(made), container_of(made)
    assert container["args"][-1] == "--context=nestling"
    assert container["env"] == [{"name": "A", "value": NAMESPACE}]
    assert names_of(pod["volumes"]) == ["tmp", "more"]
    assert names_of(container["volumeMounts"]) == ["tmp", "more"]
    annotations = made["spec"]["template"]["metadata"]["annotations"]
    assert {"a": "b", "note": "y"}.items() <= annotations.items()
    assert pod["tolerations"] == [{"operator": "Exists"}]
    assert pod["affinity"] == {"nodeAffinity": {}}
    assert (pod["priorityClassName"], pod["terminationGracePeriodSeconds"]) == ("high", 11)
    assert made["metadata"]["labels"]["team"] == "x"
    assert made["metadata"]["annotations"] == {"note": "y"}
    assert (made["spec"]["revisionHistoryLimit"], made["spec"]["strategy"]) == (7, {"type": "Recreate"})


def names_of(entries: list[dict[str, Any]]) -> list[str]:
    """Names in a list of a pod."""
    return [entry["name"] for entry in entries]


def test_constraint_of_spread_gets_the_selector_of_its_component() -> None:
    own = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    for values, key in (({}, "kubernetes.io/hostname"), ({"topologySpreadConstraints": [own]}, "zone")):
        made = rendered(values).one("Deployment")
        (constraint,) = pod_of(made)["topologySpreadConstraints"]
        assert constraint["topologyKey"] == key
        assert constraint["labelSelector"]["matchLabels"] == made["spec"]["selector"]["matchLabels"]


def test_probes_need_the_metrics_port() -> None:
    container = container_of(rendered({"metrics": {"port": 9000}}).one("Deployment"))
    assert flag(container, "metrics-address") == "0.0.0.0:9000"
    assert container["ports"] == [{"name": "metrics", "containerPort": 9000}]
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys()
    silent = container_of(rendered({"metrics": {"enabled": False}}).one("Deployment"))
    assert flag(silent, "metrics-address") == ""
    assert not {"ports", "startupProbe", "livenessProbe", "readinessProbe"} & silent.keys()


def test_log_lines_are_as_asked() -> None:
    container = container_of(rendered({"log": {"level": "debug", "format": "console"}}).one("Deployment"))
    assert (flag(container, "log-level"), flag(container, "log-format")) == ("debug", "console")


@pytest.mark.parametrize(
    ("values", "has_it"),
    [
        pytest.param({}, True, id="the release's namespace is a virtual cluster"),
        pytest.param({"namespaces": ["elsewhere"]}, False, id="it is not"),
        pytest.param({"scope": "cluster"}, True, id="all are"),
    ],
)
def test_pod_lets_its_own_namespace_go(values: dict[str, Any], has_it: bool) -> None:
    container = container_of(rendered(values).one("Deployment"))
    assert ("lifecycle" in container) is has_it


def test_only_controllers_let_the_namespace_go() -> None:
    made = rendered(SPLIT).all("Deployment")
    assert names([one for one in made if "lifecycle" in container_of(one)]) == ["nestling-controllers"]


@pytest.mark.parametrize(
    ("values", "accounts"),
    [
        pytest.param({}, ["nestling"], id="single"),
        pytest.param(SPLIT, ["nestling-scheduler", "nestling-controllers", "nestling-kubelet"], id="split"),
        pytest.param({**SPLIT, "serviceAccount": {"name": "me"}}, ["me"], id="named"),
        pytest.param({"serviceAccount": {"create": False, "name": "me"}}, [], id="existing"),
    ],
)
def test_each_role_has_an_account(values: dict[str, Any], accounts: list[str]) -> None:
    made = rendered(values)
    kept = [
        one
        for one in made.all("ServiceAccount")
        if "helm.sh/hook" not in one["metadata"].get("annotations", {})
    ]
    assert names(kept) == accounts
    used = {pod_of(one)["serviceAccountName"] for one in made.all("Deployment")}
    assert used == set(accounts or ["me"])
    bound = {
        subject["name"]
        for binding in made.all("RoleBinding")
        for subject in binding["subjects"]
        if "helm.sh/hook" not in binding["metadata"].get("annotations", {})
    }
    assert bound == used


def test_account_carries_annotations_and_its_token_can_be_withheld() -> None:
    made = rendered({"serviceAccount": {"annotations": {"role": "arn"}, "automount": False}})
    assert made.one("ServiceAccount", "nestling")["metadata"]["annotations"] == {"role": "arn"}
    assert pod_of(made.one("Deployment"))["automountServiceAccountToken"] is False


def test_rights_can_be_left_to_others() -> None:
    made = rendered({"rbac": {"create": False, "aggregate": False}, "uninstall": {"enabled": False}})
    assert names(made.all("Role")) == ["nestling-trial"]
    assert made.all("ClusterRole") == []


def test_rights_of_users_are_added_to_the_hosts_own_roles() -> None:
    made = {one["metadata"]["name"]: one for one in rendered().all("ClusterRole")}
    assert sorted(made) == ["team-a:nestling-edit", "team-a:nestling-view"]
    edit, view = (made[name]["metadata"]["labels"] for name in sorted(made))
    assert edit["rbac.authorization.k8s.io/aggregate-to-admin"] == "true"
    assert edit["rbac.authorization.k8s.io/aggregate-to-edit"] == "true"
    assert "rbac.authorization.k8s.io/aggregate-to-view" not in edit
    assert view["rbac.authorization.k8s.io/aggregate-to-view"] == "true"
    assert rendered({"crds": {"enabled": False}}).all("ClusterRole") == []


def test_service_is_there_when_asked_for_and_finds_every_process() -> None:
    assert rendered().all("Service") == []
    made = rendered(
        {**SPLIT, "metrics": {"service": {"enabled": True, "labels": {"a": "b"}, "annotations": {"c": "d"}}}}
    )
    service = made.one("Service")
    assert service["metadata"]["labels"]["a"] == "b"
    assert service["metadata"]["annotations"] == {"c": "d"}
    for deployment in made.all("Deployment"):
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert service["spec"]["selector"].items() <= labels.items()
    hook = made.one("Job")["spec"]["template"]["metadata"]["labels"]
    assert not service["spec"]["selector"].items() <= hook.items()


@pytest.mark.parametrize(
    ("key", "kind", "endpoints"),
    [
        ("serviceMonitor", "ServiceMonitor", "endpoints"),
        ("podMonitor", "PodMonitor", "podMetricsEndpoints"),
    ],
)
def test_monitor_scrapes_both_pages(key: str, kind: str, endpoints: str) -> None:
    settings = {
        "enabled": True,
        "namespace": "monitoring",
        "labels": {"release": "kps"},
        "annotations": {"a": "b"},
        "interval": "5s",
        "scrapeTimeout": "4s",
        "honorLabels": False,
        "relabelings": [{"targetLabel": "x", "replacement": "y"}],
        "metricRelabelings": [{"action": "labeldrop", "regex": "z"}],
    }
    monitor = rendered({"metrics": {key: settings}}, apis=MONITORING).one(kind)
    assert monitor["metadata"]["namespace"] == "monitoring"
    assert monitor["metadata"]["labels"]["release"] == "kps"
    assert monitor["metadata"]["annotations"] == {"a": "b"}
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": [NAMESPACE]}
    plain, state = monitor["spec"][endpoints]
    assert (plain["path"], state["path"]) == ("/metrics", "/metrics/kube-state")
    for one in (plain, state):
        assert (one["interval"], one["scrapeTimeout"], one["honorLabels"]) == ("5s", "4s", False)
        assert one["relabelings"][-1] == {"targetLabel": "x", "replacement": "y"}
        assert one["metricRelabelings"] == settings["metricRelabelings"]
    assert {"targetLabel": "job", "replacement": "kube-state-metrics"} in state["relabelings"]


def test_service_monitor_brings_its_service() -> None:
    made = rendered({"metrics": {"serviceMonitor": {"enabled": True}}}, apis=MONITORING)
    selector = made.one("ServiceMonitor")["spec"]["selector"]["matchLabels"]
    assert selector.items() <= made.one("Service")["metadata"]["labels"].items()


@pytest.fixture
def chart_with_files(tmp_path: Path) -> Path:
    """A copy of the chart that has rules and a board."""
    chart = tmp_path / "nestling"
    shutil.copytree(CHART, chart)
    (chart / "files" / "rules").mkdir(exist_ok=True)
    (chart / "files" / "dashboards").mkdir(exist_ok=True)
    group = {"name": "mine", "rules": [{"record": "a:b", "expr": 'sum(up{x="{{ $labels.y }}"})'}]}
    (chart / "files" / "rules" / "zz-mine.yaml").write_text(yaml.safe_dump([group]))
    (chart / "files" / "dashboards" / "zz-mine.json").write_text('{"title": "{{ x }}"}')
    return chart


def test_rules_come_from_files(chart_with_files: Path) -> None:
    values = {
        "metrics": {
            "prometheusRule": {
                "enabled": True,
                "namespace": "mon",
                "labels": {"a": "b"},
                "annotations": {"c": "d"},
            }
        }
    }
    rule = rendered(values, apis=MONITORING, chart=chart_with_files).one("PrometheusRule")
    assert rule["spec"]["groups"][-1]["name"] == "mine"
    assert rule["spec"]["groups"][-1]["rules"][0]["expr"] == 'sum(up{x="{{ $labels.y }}"})'
    assert rule["metadata"]["namespace"] == "mon"
    assert rule["metadata"]["labels"]["a"] == "b"
    assert rule["metadata"]["annotations"] == {"c": "d"}


def test_boards_come_from_files(chart_with_files: Path) -> None:
    values = {"metrics": {"dashboards": {"enabled": True, "namespace": "mon"}}}
    board = rendered(values, chart=chart_with_files).one("ConfigMap", "nestling-board-zz-mine")
    assert board["data"] == {"zz-mine.json": '{"title": "{{ x }}"}'}
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert board["metadata"]["annotations"] == {"grafana_folder": "Nestling"}
    assert board["metadata"]["namespace"] == "mon"


def test_network_policy_allows_what_is_needed_only() -> None:
    assert rendered().all("NetworkPolicy") == []
    peer = [{"podSelector": {}}]
    policy = {
        "enabled": True,
        "metricsFrom": peer,
        "apiServerPorts": [6443],
        "apiServerTo": [{"ipBlock": {"cidr": "10.0.0.1/32"}}],
        "extraEgress": [{"ports": [{"port": 3128}]}],
    }
    spec = rendered({"networkPolicy": policy}).one("NetworkPolicy")["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["ingress"] == [{"ports": [{"port": "metrics"}], "from": peer}]
    dns, api, extra = spec["egress"]
    assert {entry["port"] for entry in dns["ports"]} == {53}
    assert api == {"ports": [{"port": 6443}], "to": policy["apiServerTo"]}
    assert extra == {"ports": [{"port": 3128}]}


def test_network_policy_lets_nobody_in_without_metrics() -> None:
    made = rendered({"networkPolicy": {"enabled": True}, "metrics": {"enabled": False}})
    assert made.one("NetworkPolicy")["spec"]["ingress"] == []


@pytest.mark.parametrize(
    ("budget", "wanted"),
    [
        pytest.param({}, {"maxUnavailable": 1}, id="default"),
        pytest.param({"maxUnavailable": None, "minAvailable": 0}, {"minAvailable": 0}, id="zero is a number"),
        pytest.param({"maxUnavailable": None, "minAvailable": "50%"}, {"minAvailable": "50%"}, id="percent"),
    ],
)
def test_disruption_budget_per_component(budget: dict[str, Any], wanted: dict[str, Any]) -> None:
    made = rendered({**SPLIT, "podDisruptionBudget": {"enabled": True, **budget}})
    budgets = made.all("PodDisruptionBudget")
    assert names(budgets) == made.names("Deployment")
    for one, deployment in zip(budgets, made.all("Deployment"), strict=True):
        assert wanted.items() <= one["spec"].items()
        assert not ({"minAvailable", "maxUnavailable"} - wanted.keys()) & one["spec"].keys()
        assert one["spec"]["selector"] == deployment["spec"]["selector"]


def test_uninstall_runs_before_the_operator_goes() -> None:
    made = rendered({"uninstall": {"graceSeconds": 3, "timeoutSeconds": 50}})
    job = made.one("Job")
    annotations = job["metadata"]["annotations"]
    assert annotations["helm.sh/hook"] == "pre-delete"
    assert "hook-succeeded" in annotations["helm.sh/hook-delete-policy"]
    assert container_of(job)["args"] == [
        "uninstall", "--yes", "--keep-crds", "--output=json", "--grace=3", "--timeout=50",
        f"--namespace={NAMESPACE}",
    ]  # fmt: skip
    assert job["spec"]["activeDeadlineSeconds"] == 110
    account = pod_of(job)["serviceAccountName"]
    for kind in ("ServiceAccount", "Role", "RoleBinding"):
        one = made.one(kind, account)
        assert one["metadata"]["annotations"]["helm.sh/hook"] == "pre-delete"
        assert int(one["metadata"]["annotations"]["helm.sh/hook-weight"]) < 0
    assert rendered({"uninstall": {"enabled": False}}).all("Job") == []


def test_helm_test_tries_the_first_cluster() -> None:
    made = rendered({"namespaces": ["b", "a"], "trial": {"timeoutSeconds": 9}})
    pod = made.one("Pod")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert pod["spec"]["containers"][0]["args"] == ["trial", "--namespace=b", "--timeout=9"]
    assert made.one("Role", pod["spec"]["serviceAccountName"])["metadata"]["namespace"] == "b"


def test_extra_objects_are_templates() -> None:
    objects = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-a"}},
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}",
    ]
    assert rendered({"extraObjects": objects}).names("ConfigMap") == ["nestling-a", "b"]


@pytest.mark.parametrize(
    ("values", "name"),
    [
        pytest.param({}, "nestling", id="release named like the chart"),
        pytest.param({"nameOverride": "nest"}, "nestling", id="nameOverride within the release's name"),
        pytest.param({"nameOverride": "other"}, "nestling-other", id="nameOverride"),
        pytest.param({"fullnameOverride": "x" * 63}, "x" * 44, id="long"),
    ],
)
def test_names_of_objects(values: dict[str, Any], name: str) -> None:
    assert rendered(values).names("Deployment") == [name]


def test_every_template_makes_something_that_is_looked_at() -> None:
    scraped_by_pod = {"metrics": {"podMonitor": {"enabled": True}}}
    texts = [template(files=(file,), apis=MONITORING).stdout for file in values_files()]
    texts.append(template(scraped_by_pod, apis=MONITORING).stdout)
    made = {
        source for text in texts for source in re.findall(r"^# Source: nestling/(\S+)", text, re.MULTILINE)
    }
    folder = CHART / "templates"
    wanted = {
        str(path.relative_to(CHART)) for path in folder.rglob("*.yaml") if not path.name.startswith("_")
    }
    assert made == wanted
