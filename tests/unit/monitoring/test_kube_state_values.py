"""The values of `kube_*` series, object by object."""

import copy
from datetime import datetime
from random import Random
from typing import Any

import pytest

from builders import (
    NOW,
    a_condition,
    a_cron_job,
    a_daemon_set,
    a_deployment,
    a_job,
    a_node,
    a_pod,
    a_replica_set,
    a_replication_controller,
    a_service,
    a_stateful_set,
    an_object,
    cache_of,
    key_for,
    kind_of,
)
from nestling.api.json import JsonObject
from nestling.api.kinds import JOB, NAMESPACE, POD
from nestling.monitoring.kube_state.deployment import scaled
from nestling.monitoring.kube_state.page import STRETCH_S, KubeState
from nestling.monitoring.kube_state.reading import label_pairs, resources, unit_of
from unit.monitoring.scraping import scrape_cache, scrape_of
from unit.monitoring.small_world import small_world


@pytest.mark.parametrize(
    ("pod", "phases"),
    [
        pytest.param(a_pod(status={"phase": ""}), {"Pending"}, id="nobody wrote a status yet"),
        pytest.param(a_pod(phase="Running"), {"Running"}, id="running"),
        pytest.param(a_pod(phase="Unknown"), {"Unknown"}, id="unknown"),
    ],
)
def test_one_phase_of_five_is_current(pod: JsonObject, phases: set[str]) -> None:
    found = scrape_of(pod).values("kube_pod_status_phase", "phase")
    assert {phase for (phase,), value in found.items() if value == 1} == phases
    assert {phase for (phase,) in found} == {"Pending", "Running", "Succeeded", "Failed", "Unknown"}


@pytest.mark.parametrize(
    ("conditions", "current"),
    [
        pytest.param([], None, id="no condition, no series"),
        pytest.param([a_condition("Ready")], "true", id="true"),
        pytest.param([a_condition("Ready", "False")], "false", id="false"),
        pytest.param([a_condition("Ready", "Unknown")], "unknown", id="unknown"),
    ],
)
def test_readiness_has_one_series_per_status(conditions: list[JsonObject], current: str | None) -> None:
    found = scrape_of(a_pod(status={"conditions": conditions})).values("kube_pod_status_ready", "condition")
    wanted = {(name,): float(name == current) for name in ("true", "false", "unknown")}
    assert found == (wanted if current else {})


@pytest.mark.parametrize(
    ("status", "reasons"),
    [
        pytest.param({}, set[str](), id="none"),
        pytest.param({"reason": "Evicted"}, {"Evicted"}, id="of the pod"),
        pytest.param(
            {"conditions": [a_condition("DisruptionTarget", reason="NodeLost")]}, {"NodeLost"}, id="condition"
        ),
        pytest.param(
            {
                "containerStatuses": [
                    {"name": "main", "state": {"terminated": {"reason": "UnexpectedAdmissionError"}}}
                ]
            },
            {"UnexpectedAdmissionError"},
            id="of a container",
        ),
        pytest.param({"reason": "SomethingElse"}, set[str](), id="unheard of"),
    ],
)
def test_reasons_are_found_wherever_they_stand(status: JsonObject, reasons: set[str]) -> None:
    found = scrape_of(a_pod(status=status)).values("kube_pod_status_reason", "reason")
    assert {reason for (reason,), value in found.items() if value} == reasons
    assert len(found) == 5


def owned_by(*references: JsonObject) -> JsonObject:
    pod = a_pod(namespace="shop")
    pod["metadata"]["ownerReferences"] = list(references)
    return pod


def reference(kind: str, name: str, **more: Any) -> JsonObject:
    return {"apiVersion": "v1", "kind": kind, "name": name, "uid": f"uid-{name}", **more}


@pytest.mark.parametrize(
    ("pod", "owners"),
    [
        pytest.param(owned_by(), {("", "", "")}, id="none"),
        pytest.param(
            owned_by(reference("VirtualReplicaSet", "web.shop", controller=True)),
            {("ReplicaSet", "web", "true")},
            id="virtual kind and name",
        ),
        pytest.param(
            owned_by(reference("VirtualJob", "a.shop"), reference("ConfigMap", "b.shop")),
            {("Job", "a", "false"), ("ConfigMap", "b.shop", "false")},
            id="two that do not control, one of the host",
        ),
    ],
)
def test_owners_are_named_as_the_virtual_cluster_names_them(
    pod: JsonObject, owners: set[tuple[str, str, str]]
) -> None:
    found = scrape_of(pod).values("kube_pod_owner", "owner_kind", "owner_name", "owner_is_controller")
    assert found == dict.fromkeys(owners, 1.0)


def test_the_creator_of_a_pod_is_its_controller_only() -> None:
    job = an_object(JOB, "report", namespace="shop")
    infos = scrape_of(
        a_pod("a", namespace="shop", owner=job), owned_by(reference("VirtualJob", "x.shop"))
    ).values("kube_pod_info", "pod", "created_by_kind", "created_by_name")
    assert set(infos) == {("a", "Job", "report"), ("web-0", "", "")}


@pytest.mark.parametrize(
    ("resource", "unit"),
    [
        pytest.param("cpu", "core", id="cpu"),
        pytest.param("memory", "byte", id="memory"),
        pytest.param("ephemeral-storage", "byte", id="storage"),
        pytest.param("hugepages-2Mi", "byte", id="huge pages"),
        pytest.param("attachable-volumes-csi", "byte", id="volumes"),
        pytest.param("pods", "integer", id="pods"),
        pytest.param("example.com/gpu", "integer", id="extended"),
        pytest.param("kubernetes.io/odd", "", id="native with a prefix"),
        pytest.param("requests.example.com/x", "", id="a quota's name"),
        pytest.param("odd", "", id="unheard of"),
    ],
)
def test_a_resource_has_its_unit(resource: str, unit: str) -> None:
    assert unit_of(resource) == unit


@pytest.mark.parametrize(
    ("amounts", "found"),
    [
        pytest.param(None, [], id="none"),
        pytest.param({"cpu": "250m"}, [("cpu", "core", 0.25)], id="a quarter of a core"),
        pytest.param({"cpu": 2}, [("cpu", "core", 2)], id="a number"),
        pytest.param({"cpu": "1n"}, [("cpu", "core", 0.001)], id="rounded up"),
        pytest.param({"memory": "1Gi"}, [("memory", "byte", 1 << 30)], id="binary"),
        pytest.param({"example.com/gpu": "1"}, [("example_com_gpu", "integer", 1)], id="sanitized"),
        pytest.param({"odd": "1"}, [], id="without a unit"),
    ],
)
def test_amounts_are_whole_units_or_cores(amounts: JsonObject | None, found: list[Any]) -> None:
    assert list(resources(amounts)) == found


@pytest.mark.parametrize(
    ("value", "total", "round_up", "found"),
    [
        pytest.param("25%", 10, True, 3, id="surge rounds up"),
        pytest.param("25%", 10, False, 2, id="unavailable rounds down"),
        pytest.param(3, 10, True, 3, id="a number"),
        pytest.param("0%", 10, True, 0, id="nothing"),
        pytest.param("100%", 0, True, 0, id="of nothing"),
    ],
)
def test_fence_posts_are_numbers_of_pods(value: int | str, total: int, *, round_up: bool, found: int) -> None:
    assert scaled(value, total, round_up=round_up) == found


@pytest.mark.parametrize(
    ("failed", "conditions", "found"),
    [
        pytest.param(0, [], {"": 0}, id="none"),
        pytest.param(2, [], {"": 2}, id="the Job goes on"),
        pytest.param(2, [a_condition("Complete")], {"": 2}, id="the Job is complete all the same"),
        pytest.param(
            7,
            [
                a_condition("FailureTarget", reason="Evicted"),
                a_condition("Failed", reason="DeadlineExceeded"),
            ],
            {"BackoffLimitExceeded": 0, "DeadlineExceeded": 1, "Evicted": 0},
            id="a known reason takes the place of the number",
        ),
        pytest.param(
            7,
            [a_condition("Failed", reason="PodFailurePolicy")],
            {"BackoffLimitExceeded": 0, "DeadlineExceeded": 0, "Evicted": 0, "": 7},
            id="another reason",
        ),
        pytest.param(
            0,
            [a_condition("Failed", reason="DeadlineExceeded")],
            {"": 0},
            id="it failed without a failed pod",
        ),
    ],
)
def test_failed_pods_of_a_job_are_told_by_number_or_reason(
    failed: int, conditions: list[JsonObject], found: dict[str, float]
) -> None:
    job = a_job(status={"failed": failed, "conditions": conditions})
    values = scrape_of(job).values("kube_job_status_failed", "reason")
    assert {reason: value for (reason,), value in values.items()} == found


@pytest.mark.parametrize(
    ("conditions", "complete", "failed"),
    [
        pytest.param([], None, None, id="none"),
        pytest.param([a_condition("SuccessCriteriaMet")], None, None, id="not yet"),
        pytest.param([a_condition("Complete")], "true", None, id="complete"),
        pytest.param([a_condition("Failed")], None, "true", id="failed"),
        pytest.param([a_condition("Failed", "False")], None, "false", id="somebody says it did not"),
    ],
)
def test_the_end_of_a_job_has_one_series_per_status(
    conditions: list[JsonObject], complete: str | None, failed: str | None
) -> None:
    found = scrape_of(a_job(status={"conditions": conditions}))
    for name, current in (("complete", complete), ("failed", failed)):
        wanted = {(state,): float(state == current) for state in ("true", "false", "unknown")}
        assert found.values(f"kube_job_{name}", "condition") == (wanted if current else {})


@pytest.mark.parametrize(
    ("spec", "completions"),
    [
        pytest.param({"completions": 5}, {(): 5}, id="a number"),
        pytest.param({"completions": None, "parallelism": None}, {(): 1}, id="the default"),
        pytest.param({"completions": None, "parallelism": 3}, {}, id="a queue of work"),
    ],
)
def test_completions_are_those_that_an_api_server_stores(
    spec: JsonObject, completions: dict[tuple[str, ...], float]
) -> None:
    assert scrape_of(a_job(spec=spec)).values("kube_job_spec_completions") == completions


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("schedule", "more", "found"),
    [
        pytest.param("0 6 * * *", {}, "2027-01-10T06:00:00+00:00", id="after its creation"),
        pytest.param(
            "0 6 * * *",
            {"status": {"lastScheduleTime": "2027-03-01T06:00:00Z"}},
            "2027-03-02T06:00:00+00:00",
            id="after its last Job",
        ),
        pytest.param(
            "0 6 * * *",
            {"spec": {"timeZone": "Asia/Tokyo"}},
            "2027-01-10T06:00:00+09:00",
            id="in its zone",
        ),
        pytest.param("@every 90s", {}, "2027-01-09T12:01:30+00:00", id="at a distance"),
        pytest.param("0 6 * * *", {"spec": {"suspend": True}}, None, id="suspended"),
        pytest.param("0 0 30 2 *", {}, None, id="never"),
        pytest.param("now and then", {}, None, id="no schedule"),
        pytest.param("0 6 * * *", {"spec": {"timeZone": "Mars/Olympus"}}, None, id="no zone"),
    ],
)
def test_the_next_moment_of_a_cron_job_follows_the_last(
    schedule: str, more: dict[str, Any], found: str | None
) -> None:
    scrape = scrape_of(
        a_cron_job("tick", schedule=schedule, created_at=moment("2027-01-09T12:00:00+00:00"), **more)
    )
    wanted = {("tick",): moment(found)} if found else {}
    assert scrape.values("kube_cronjob_next_schedule_time", "cronjob") == wanted
    assert scrape.values("nestling_kube_state_unreadable_objects", "kind") == {}
    assert set(scrape.values("kube_cronjob_info", "schedule")) == {(schedule,)}


@pytest.mark.parametrize(
    ("spec", "zone"),
    [
        pytest.param({}, "local", id="none"),
        pytest.param({"timeZone": "Europe/Berlin"}, "Europe/Berlin", id="one"),
    ],
)
def test_a_cron_job_without_a_zone_is_local(spec: JsonObject, zone: str) -> None:
    assert set(scrape_of(a_cron_job(spec=spec)).values("kube_cronjob_info", "timezone")) == {(zone,)}


def test_a_job_is_owned_by_the_cron_job_that_made_it() -> None:
    cron_job = a_cron_job("report", namespace="shop")
    found = scrape_of(a_job("report-1", namespace="shop", owner=cron_job), a_job("by-hand"))
    by = ("job_name", "owner_kind", "owner_name", "owner_is_controller")
    assert set(found.values("kube_job_owner", *by)) == {
        ("report-1", "CronJob", "report", "true"),
        ("by-hand", "", "", ""),
    }


@pytest.mark.parametrize(
    ("allowed", "found"),
    [
        pytest.param([], [], id="none"),
        pytest.param(["app"], [("label_app", "web")], id="one"),
        pytest.param(["nope"], [], id="one that the object lacks"),
        pytest.param(
            ["*"],
            [("label_a_b_conflict1", "2"), ("label_a_b_conflict2", "1"), ("label_app", "web")],
            id="all, two of one name",
        ),
    ],
)
def test_labels_are_shown_as_far_as_they_are_allowed(
    allowed: list[str], found: list[tuple[str, str]]
) -> None:
    assert label_pairs({"app": "web", "a/b": "1", "a.b": "2"}, allowed) == found


@pytest.mark.parametrize(
    ("obj", "family", "names"),
    [
        pytest.param(a_pod(namespace="shop"), "pod", {"namespace": "shop", "uid": "u"}, id="pod"),
        pytest.param(a_node("x"), "node", {}, id="node"),
        pytest.param(an_object(NAMESPACE, "x"), "namespace", {}, id="namespace"),
        pytest.param(
            a_deployment("x", namespace="shop"), "deployment", {"namespace": "shop"}, id="deployment"
        ),
        pytest.param(
            a_replica_set("x", namespace="shop"), "replicaset", {"namespace": "shop"}, id="replicaset"
        ),
        pytest.param(a_daemon_set("x", namespace="shop"), "daemonset", {"namespace": "shop"}, id="daemonset"),
        pytest.param(
            a_stateful_set("x", namespace="shop"), "statefulset", {"namespace": "shop"}, id="statefulset"
        ),
        pytest.param(a_cron_job("x", namespace="shop"), "cronjob", {"namespace": "shop"}, id="cronjob"),
        pytest.param(
            a_service("x", namespace="shop"), "service", {"namespace": "shop", "uid": "u"}, id="service"
        ),
    ],
)
def test_allowed_labels_stand_beside_the_name_of_their_object(
    obj: JsonObject, family: str, names: dict[str, str]
) -> None:
    obj = copy.deepcopy(obj)
    obj["metadata"].update(labels={"app": "web"}, uid="u", name=obj["metadata"]["name"].replace("web-0", "x"))
    assert scrape_of(obj).values(f"kube_{family}_labels") == {}
    found = scrape_of(obj, allowed_labels={f"{family}s": ["app"]}).series
    name = f"kube_{family}_labels"
    wanted = {"cluster": "team-a", family: "x", "label_app": "web", **names}
    assert [dict(labels) for found_name, labels in found if found_name == name] == [wanted]


def test_labels_of_a_job_stand_beside_its_name() -> None:
    job = a_job("pi", namespace="shop", labels={"app": "web"})
    found = scrape_of(job, allowed_labels={"jobs": ["app"]})
    assert set(found.values("kube_job_labels", "namespace", "job_name", "label_app")) == {
        ("shop", "pi", "web")
    }


def test_a_kind_without_a_family_of_labels_shows_none() -> None:
    allowed = {"replicationcontrollers": ["*"]}
    labelled = a_replication_controller(labels={"app": "web"})
    found = scrape_of(labelled, allowed_labels=allowed)
    assert found.series == scrape_of(labelled).series
    assert found.values("nestling_kube_state_unreadable_objects", "kind") == {}


def test_odd_values_are_escaped() -> None:
    odd = 'a"b\\c\nd'
    pod = a_pod(spec={"priorityClassName": odd})
    assert set(scrape_of(pod).values("kube_pod_info", "priority_class")) == {(odd,)}
    labelled = a_pod(labels={"app": odd})
    found = scrape_of(labelled, allowed_labels={"pods": ["*"]})
    assert set(found.values("kube_pod_labels", "label_app")) == {(odd,)}


def test_namespaces_in_use_are_active_though_nobody_made_them() -> None:
    found = scrape_of(
        a_pod(namespace="shop"),
        a_pod(namespace="lab", cluster="team-b"),
        an_object(NAMESPACE, "old", status={"phase": "Terminating"}),
        an_object(NAMESPACE, "new"),
    )
    phases = found.values("kube_namespace_status_phase", "cluster", "namespace", "phase")
    assert {names for names, value in phases.items() if value} == {
        ("team-a", "default", "Active"),
        ("team-a", "shop", "Active"),
        ("team-a", "new", "Active"),
        ("team-a", "old", "Terminating"),
        ("team-b", "lab", "Active"),
    }
    assert set(found.values("kube_namespace_created", "namespace")) == {("old",), ("new",)}


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(
            {"containers": [{"name": "a", "resources": {"limits": {"cpu": "much"}}}]}, id="quantity"
        ),
        pytest.param({"containers": [{"resources": {"limits": {"cpu": "1"}}}]}, id="no name"),
        pytest.param({"tolerations": ["all"]}, id="no object"),
        pytest.param({"tolerations": 1}, id="no list"),
    ],
)
def test_an_object_that_cannot_be_read_hides_no_other(spec: JsonObject) -> None:
    found = scrape_of(a_pod("bad", spec=spec), a_pod("good"))
    assert ("good",) in found.values("kube_pod_status_ready", "pod")
    assert found.values("nestling_kube_state_unreadable_objects", "cluster", "kind") == {
        ("team-a", "VirtualPod"): 1
    }


def test_series_vanish_with_their_object() -> None:
    random = Random(7)
    objects = small_world()
    random.shuffle(objects)
    cache = cache_of(*objects)
    while objects:
        gone = objects.pop()
        cache.see(kind_of(gone), copy.deepcopy(gone), deleted=True)
        # As if it had never been there.
        assert scrape_cache(cache).series == scrape_of(*objects).series
        assert key_for(gone) not in cache.table_of(kind_of(gone)).records
    assert scrape_cache(cache).series == {}


def test_a_successor_of_the_same_name_replaces_the_series() -> None:
    cache = cache_of(a_pod("web", uid="first", phase="Running"))
    cache.see(POD, a_pod("web", uid="second", version=2))
    assert set(scrape_cache(cache).values("kube_pod_created", "uid")) == {("second",)}


def test_a_standby_serves_nothing() -> None:
    state = KubeState(cache_of(a_pod()), monotonic=lambda: 0.0, serving=lambda: False)
    with pytest.raises(StopIteration) as done:
        state.scrape().send(None)
    assert done.value.value == ()


def test_a_walk_gives_way_whenever_its_stretch_is_over() -> None:
    now = NOW

    def slow_clock() -> float:
        nonlocal now
        now += STRETCH_S / 2
        return now

    state = KubeState(cache_of(*(a_pod(f"web-{n}") for n in range(80))), monotonic=slow_clock)
    stops = sum(1 for _ in state.steps([]))
    # 80 pods are ten places to stop, each family is another, and every third look at the clock is too late.
    assert stops > 30
