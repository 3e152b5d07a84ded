"""DaemonSets: which nodes have a pod, what it looks like, how it changes, and what is said about it."""

from collections.abc import Sequence
from typing import Any

import pytest

from builders import (
    NOW,
    a_daemon_set,
    a_node,
    a_pod,
    a_revision,
    a_template,
    cache_of,
    controller_ref,
    key_for,
    view_of,
)
from nestling.api.json import JsonObject
from nestling.api.kinds import CONTROLLER_REVISION, DAEMON_SET, NODE, POD
from nestling.controllers.daemon_set import routes
from nestling.controllers.daemon_set.creation import LAST_SLOT, key_on, slot_of
from nestling.controllers.daemon_set.placement import Fit, Placement, daemon_tolerations
from nestling.controllers.daemon_set.reconcile import reconcile
from nestling.controllers.daemon_set.upkeep import backoff_s
from nestling.machinery.cache import Change
from nestling.machinery.plan import Create, Delete, Emit, Patch, Plan
from nestling.machinery.records.node import Node
from nestling.machinery.records.pod import Pod
from nestling.machinery.records.revisioned import DaemonSet

LABEL = "controller-revision-hash"
OLD = a_template(image="web:0")
GOING: JsonObject = {"deleting_at": NOW, "finalizers": ["x"]}
GENERATION = "deprecated.daemonset.template.generation"


def revisions(ds: JsonObject) -> tuple[JsonObject, JsonObject]:
    """The revisions of the old and of the present template."""
    return (
        a_revision(ds, number=1, template=OLD, label=LABEL),
        a_revision(ds, number=2, label=LABEL),
    )


def a_set(*, updating: bool = False, **fields: Any) -> JsonObject:
    """A DaemonSet whose template has its number: 1, or 2 while it is `updating` from the old template."""
    return a_daemon_set(annotations={GENERATION: "2" if updating else "1"}, **fields)


def history(ds: JsonObject) -> list[JsonObject]:
    """The revisions that go with `a_set`."""
    if ds["metadata"]["annotations"][GENERATION] == "2":
        return list(revisions(ds))
    return [a_revision(ds, number=1, label=LABEL)]


def name_on(ds: JsonObject, node: str, slot: int = 0) -> str:
    """The name of a node's pod in a slot."""
    (record,) = cache_of(ds).table(DaemonSet).records.values()
    return key_on(record, node, slot).name


def placed(
    ds: JsonObject, node: str, *, old: bool = False, slot: int = 0, bound: bool = True, **fields: Any
) -> JsonObject:
    """The pod of a node, ready unless something else is said."""
    hashed = revisions(ds)[0 if old else 1]["metadata"]["labels"][LABEL]
    fields.setdefault("ready", "phase" not in fields)
    fields.setdefault("owner", ds)
    key = key_for(ds)
    if not bound:
        fields["spec"] = {"affinity": pinned(node)}
    return a_pod(
        name_on(ds, node, slot),
        namespace=key.namespace,
        node=node if bound else "",
        labels={"app": "web", LABEL: hashed},
        **fields,
    )


def pinned(node: str) -> JsonObject:
    named = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    return {
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [named]}}
    }


def plan_for(ds: JsonObject, *others: JsonObject, now: float = NOW, refusal: str = "") -> Plan:
    return reconcile(view_of(ds, *others, *history(ds), now=now, refusal=refusal), key_for(ds))


def created(plan: Plan) -> list[str]:
    return [write.key.name for write in plan.writes if isinstance(write, Create) and write.kind is POD]


def deleted(plan: Plan) -> list[str]:
    return [write.key.name for write in plan.writes if isinstance(write, Delete) and write.kind is POD]


def status_written(plan: Plan) -> JsonObject | None:
    found = [w.body["status"] for w in plan.writes if isinstance(w, Patch) and w.subresource == "status"]
    assert len(found) <= 1
    return found[0] if found else None


# --- which nodes ----------------------------------------------------------------------------------


def taint(effect: str, key: str = "gpu") -> JsonObject:
    return {"key": key, "value": "", "effect": effect}


def required(*terms: JsonObject) -> JsonObject:
    wish = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
    return {"affinity": {"nodeAffinity": wish}}


SSD = {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}


@pytest.mark.parametrize(
    ("spec", "node", "runs", "stays"),
    [
        pytest.param({}, {}, True, True, id="plain"),
        pytest.param({"nodeName": "n1"}, {}, True, True, id="its name"),
        pytest.param({"nodeName": "n2"}, {}, False, False, id="another name"),
        pytest.param({"nodeSelector": {"disk": "ssd"}}, {}, True, True, id="its label"),
        pytest.param({"nodeSelector": {"disk": "hdd"}}, {}, False, False, id="another label"),
        pytest.param(required(SSD), {}, True, True, id="affinity"),
        pytest.param(required({"matchExpressions": []}), {}, False, False, id="a term of nothing"),
        pytest.param(required(), {}, False, False, id="no term"),
        pytest.param(required({"matchExpressions": [{"key": "a"}]}, SSD), {}, True, True, id="a bad term"),
        pytest.param({}, {"taints": [taint("NoSchedule")]}, False, True, id="NoSchedule keeps new ones out"),
        pytest.param({}, {"taints": [taint("NoExecute")]}, False, False, id="NoExecute drives out"),
        pytest.param({}, {"taints": [taint("PreferNoSchedule")]}, True, True, id="a wish is no order"),
        pytest.param(
            {"tolerations": [{"key": "gpu", "operator": "Exists"}]},
            {"taints": [taint("NoExecute"), taint("NoSchedule")]},
            True,
            True,
            id="tolerated",
        ),
        pytest.param(
            {},
            {
                "unschedulable": True,
                "taints": [
                    taint("NoExecute", "node.kubernetes.io/not-ready"),
                    taint("NoExecute", "node.kubernetes.io/unreachable"),
                    taint("NoSchedule", "node.kubernetes.io/unschedulable"),
                    taint("NoSchedule", "node.kubernetes.io/disk-pressure"),
                    taint("NoSchedule", "node.kubernetes.io/memory-pressure"),
                    taint("NoSchedule", "node.kubernetes.io/pid-pressure"),
                ],
            },
            True,
            True,
            id="a closed node in all kinds of trouble",
        ),
        pytest.param(
            {}, {"taints": [taint("NoSchedule", "node.kubernetes.io/network-unavailable")]}, False, True,
            id="without network",
        ),
        pytest.param(
            {"hostNetwork": True},
            {"taints": [taint("NoSchedule", "node.kubernetes.io/network-unavailable")]},
            True,
            True,
            id="with the node's own network",
        ),
    ],
)  # fmt: skip
def test_a_node_has_a_pod_if_its_name_labels_and_taints_allow(
    spec: JsonObject, node: JsonObject, runs: bool, stays: bool
) -> None:
    obj = a_node("n1", labels={"disk": "ssd"}, spec=node)
    (record,) = cache_of(obj).table(Node).records.values()
    assert Placement.of(spec).on(record) == Fit(runs=runs, stays=stays)


def test_tolerations_of_a_template_come_first_and_lose_their_time_limits() -> None:
    own = [
        {"key": "gpu", "operator": "Exists"},
        {
            "key": "node.kubernetes.io/not-ready",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": 30,
        },
    ]
    found = daemon_tolerations({"tolerations": own})
    assert [one["key"].rpartition("/")[2] for one in found] == [
        *("gpu", "not-ready", "unreachable", "disk-pressure", "memory-pressure", "pid-pressure"),
        "unschedulable",
    ]
    assert all("tolerationSeconds" not in one for one in found)


# --- upkeep ---------------------------------------------------------------------------------------


def test_every_node_that_has_none_gets_a_pod() -> None:
    ds = a_set()
    plan = plan_for(ds, a_node("n1"), a_node("n2"), a_node("n3"), placed(ds, "n2"))
    assert created(plan) == [name_on(ds, "n1"), name_on(ds, "n3")]
    assert deleted(plan) == []


def test_pod_that_waits_for_its_node_counts_as_there() -> None:
    ds = a_set()
    assert created(plan_for(ds, a_node("n1"), placed(ds, "n1", bound=False, phase="Pending"))) == []


@pytest.mark.parametrize(
    ("node", "pod", "comes", "goes"),
    [
        pytest.param({}, {}, None, False, id="all is well"),
        pytest.param({}, {"phase": "Pending"}, None, False, id="starting"),
        pytest.param({}, GOING, None, False, id="one on its way out keeps its place"),
        pytest.param({}, {"phase": "Failed", **GOING}, 1, False, id="but not when it has ended"),
        pytest.param({}, {"phase": "Failed"}, 1, True, id="failed"),
        pytest.param({}, {"phase": "Succeeded"}, 1, True, id="ended well"),
        pytest.param({"taints": [taint("NoSchedule")]}, {}, None, False, id="NoSchedule lets it stay"),
        pytest.param({"taints": [taint("NoSchedule")]}, {"phase": "Failed"}, None, True, id="until it ends"),
        pytest.param({"taints": [taint("NoExecute")]}, {}, None, True, id="NoExecute ends it"),
        pytest.param({"taints": [taint("NoExecute")]}, GOING, None, False, id="once"),
    ],
)
def test_pods_follow_their_node(node: JsonObject, pod: JsonObject, comes: int | None, goes: bool) -> None:
    ds = a_set()
    plan = plan_for(ds, a_node("n1", spec=node), placed(ds, "n1", **pod))
    assert created(plan) == ([] if comes is None else [name_on(ds, "n1", comes)])
    assert deleted(plan) == ([name_on(ds, "n1")] if goes else [])


def test_of_several_pods_on_a_node_the_bound_and_oldest_stays() -> None:
    ds = a_set()
    pods = [
        placed(ds, "n1", slot=0, created_at=NOW - 60),
        placed(ds, "n1", slot=1, created_at=NOW - 90),
        placed(ds, "n1", slot=2, created_at=NOW - 99, bound=False, phase="Pending"),
    ]
    assert deleted(plan_for(ds, a_node("n1"), *pods)) == [name_on(ds, "n1", 0), name_on(ds, "n1", 2)]


def test_pods_of_nodes_that_are_gone_are_deleted_if_they_never_had_them() -> None:
    ds = a_set()
    pods = [placed(ds, "n1"), placed(ds, "n2", bound=False, phase="Pending")]
    assert deleted(plan_for(ds, *pods)) == [name_on(ds, "n2")]


def test_no_more_than_250_come_or_go_in_one_look() -> None:
    ds = a_set()
    nodes = [a_node(f"n{i}") for i in range(251)]
    assert len(created(plan_for(ds, *nodes))) == 250
    closed = a_set(template=a_template(nodeSelector={"never": "so"}))
    pods = [placed(closed, f"n{i}") for i in range(251)]
    assert len(deleted(plan_for(closed, *nodes, *pods))) == 250


def test_repeated_look_plans_the_same_creates() -> None:
    ds = a_set()
    assert plan_for(ds, a_node("n1")) == plan_for(ds, a_node("n1"))


def test_name_that_a_stranger_has_is_left_to_it() -> None:
    ds = a_set()
    stranger = a_pod(name_on(ds, "n1"), labels={"app": "other"})
    assert created(plan_for(ds, a_node("n1"), stranger)) == [name_on(ds, "n1", 1)]


# --- back-off -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, 0), (1, 1), (2, 2), (3, 4), (10, 512), (11, 900), (20, 900)],
)
def test_wait_doubles_from_a_second_to_a_quarter_of_an_hour(failures: int, seconds: float) -> None:
    assert backoff_s(failures) == seconds


@pytest.mark.parametrize(
    ("slot", "age", "wakes_in", "next_slot"),
    [
        pytest.param(0, 0, None, 1, id="the first failure is answered at once"),
        pytest.param(3, 3, 1, None, id="the fourth has a second left"),
        pytest.param(3, 4, None, 4, id="the fourth is due"),
        pytest.param(LAST_SLOT, 899, 1, None, id="the longest wait"),
        pytest.param(LAST_SLOT, 900, None, LAST_SLOT + 1, id="slots end, names do not"),
        pytest.param(3, 1801, None, 1, id="it had run for long: the count starts over"),
    ],
)
def test_pod_that_fails_again_waits_longer(
    slot: int, age: float, wakes_in: float | None, next_slot: int | None
) -> None:
    ds = a_set()
    failed = placed(ds, "n1", slot=slot, phase="Failed", created_at=NOW - age)
    plan = plan_for(ds, a_node("n1"), failed)
    assert created(plan) == ([] if next_slot is None else [name_on(ds, "n1", next_slot)])
    assert plan.wake_at == (None if wakes_in is None else NOW + wakes_in)


def test_failure_of_an_old_revision_is_answered_at_once() -> None:
    ds = a_set(updating=True)
    failed = placed(ds, "n1", old=True, slot=5, phase="Failed", created_at=NOW)
    assert created(plan_for(ds, a_node("n1"), failed)) == [name_on(ds, "n1", 1)]


def test_slot_is_read_off_the_name() -> None:
    ds = a_set()
    view = view_of(ds, placed(ds, "n1", slot=7), a_pod("other", node="n1"))
    (record,) = view.all(DaemonSet)
    assert [slot_of(record, pod) for pod in view.all(Pod)] == [7, 0]


def test_ended_pods_are_told_of() -> None:
    ds = a_daemon_set(namespace="shop")
    failed, ended = placed(ds, "n1", phase="Failed"), placed(ds, "n2", phase="Succeeded")
    plan = plan_for(ds, a_node("n1"), a_node("n2"), failed, ended)
    assert [(w.type, w.reason, w.message) for w in plan.writes if isinstance(w, Emit)] == [
        (
            "Warning",
            "FailedDaemonPod",
            f"Found failed daemon pod shop/{name_on(ds, 'n1')} on node n1, will try to kill it",
        ),
        (
            "Normal",
            "SucceededDaemonPod",
            f"Found succeeded daemon pod shop/{name_on(ds, 'n2')} on node n2, will try to delete it",
        ),
    ]


# --- what a pod looks like ------------------------------------------------------------------------


def test_pod_is_the_template_for_one_node() -> None:
    spread = {
        "podAntiAffinity": {"x": 1},
        "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []},
    }
    ds = a_daemon_set(namespace="shop", template=a_template(affinity=spread))
    (create,) = [w for w in plan_for(ds, a_node("n1")).writes if isinstance(w, Create)]
    assert create.key == ("team-a", "shop", name_on(ds, "n1"))
    assert create.body == {
        "apiVersion": "nestling.dev/v1alpha1",
        "kind": "VirtualPod",
        "metadata": {
            "name": f"{name_on(ds, 'n1')}.shop",
            "namespace": "team-a",
            "labels": {
                "app": "web",
                "pod-template-generation": "1",
                LABEL: history(ds)[0]["metadata"]["labels"][LABEL],
            },
            "ownerReferences": [controller_ref(ds)],
        },
        "spec": {
            "containers": [{"name": "main", "image": "web:1"}],
            "affinity": {
                "podAntiAffinity": {"x": 1},
                "nodeAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [],
                    **pinned("n1")["nodeAffinity"],
                },
            },
            "tolerations": daemon_tolerations({}),
        },
    }


def test_creates_and_deletes_say_what_happened() -> None:
    ds = a_set()
    (create,) = [w for w in plan_for(ds, a_node("n1")).writes if isinstance(w, Create)]
    assert create.on_success == Emit(
        DAEMON_SET, key_for(ds), ds["metadata"]["uid"], "Normal", "SuccessfulCreate",
        f"Created pod: {name_on(ds, 'n1')}", "daemonset-controller",
    )  # fmt: skip
    assert create.on_failure is not None
    said = create.on_failure("exceeded quota: small")
    assert (said.type, said.reason, said.message) == (
        "Warning",
        "FailedCreate",
        "Error creating: exceeded quota: small",
    )
    node = a_node("n1", spec={"taints": [taint("NoExecute")]})
    (delete,) = [w for w in plan_for(ds, node, placed(ds, "n1")).writes if isinstance(w, Delete)]
    assert delete.on_success is not None
    assert (delete.on_success.reason, delete.on_success.message) == (
        "SuccessfulDelete",
        f"Deleted pod: {name_on(ds, 'n1')}",
    )


# --- updates --------------------------------------------------------------------------------------


def rolled(
    nodes: str, bounds: JsonObject, *, kind: str = "RollingUpdate", spec: JsonObject | None = None
) -> tuple[str, str]:
    """Nodes whose old pod goes, and nodes that get a new one.

    Per node: o old and ready, U old and not ready, n new and ready, u new and not ready, g old and going, S
    old and ready beside a new one that is ready, s the same with one that is not, b both not ready.
    """
    ds = a_set(updating=True, strategy={"type": kind, "rollingUpdate": bounds}, spec=spec)
    running: JsonObject = {"phase": "Running"}
    pods: dict[str, list[JsonObject]] = {
        "o": [{"old": True}],
        "U": [{"old": True, **running}],
        "n": [{}],
        "u": [running],
        "g": [{"old": True, **GOING}],
        "S": [{"old": True}, {"slot": 1}],
        "s": [{"old": True}, {"slot": 1, **running}],
        "b": [{"old": True, **running}, {"slot": 1, **running}],
    }
    others = [placed(ds, f"n{at}", **fields) for at, letter in enumerate(nodes) for fields in pods[letter]]
    plan = plan_for(ds, *(a_node(f"n{at}") for at in range(len(nodes))), *others)
    names = {name_on(ds, f"n{at}", slot): str(at) for at in range(len(nodes)) for slot in (0, 1)}
    return (
        "".join(sorted(names[name] for name in deleted(plan))),
        "".join(sorted(names[name] for name in created(plan))),
    )


@pytest.mark.parametrize(
    ("nodes", "bounds", "goes"),
    [
        pytest.param("ooo", {"maxUnavailable": 1}, "0", id="one at a time"),
        pytest.param("noo", {"maxUnavailable": 1}, "1", id="then the next"),
        pytest.param("uoo", {"maxUnavailable": 1}, "", id="a new one that is not ready is waited for"),
        pytest.param("goo", {"maxUnavailable": 1}, "", id="so is one on its way out"),
        pytest.param("oUU", {"maxUnavailable": 1}, "12", id="old ones that serve nobody go at once"),
        pytest.param("ooo", {"maxUnavailable": 2}, "01", id="two at a time"),
        pytest.param("oooo", {"maxUnavailable": "30%"}, "01", id="percentage rounds up"),
        pytest.param("ooo", {"maxUnavailable": "100%"}, "012", id="all"),
        pytest.param("ooo", {"maxUnavailable": 0, "maxSurge": 0}, "0", id="neither counts as one"),
        pytest.param("nnn", {"maxUnavailable": 1}, "", id="all are new"),
    ],
)
def test_update_in_place(nodes: str, bounds: JsonObject, goes: str) -> None:
    assert rolled(nodes, bounds) == (goes, "")


@pytest.mark.parametrize(
    ("nodes", "bounds", "goes", "comes"),
    [
        pytest.param("ooo", {"maxSurge": 1}, "", "0", id="a new one comes first"),
        pytest.param("soo", {"maxSurge": 1}, "", "", id="and is waited for"),
        pytest.param("Soo", {"maxSurge": 1}, "0", "", id="then the old one goes"),
        pytest.param("noo", {"maxSurge": 1}, "", "1", id="then the next"),
        pytest.param("boo", {"maxSurge": 1}, "0", "", id="of two that serve nobody the old one goes"),
        pytest.param(
            "oUU", {"maxSurge": 1}, "", "012", id="where the old one serves nobody it costs nothing"
        ),
        pytest.param("oooo", {"maxSurge": "30%"}, "", "01", id="percentage rounds up"),
        pytest.param("goo", {"maxSurge": 1}, "", "0", id="beside one on its way out one comes at once"),
    ],
)
def test_update_with_surge(nodes: str, bounds: JsonObject, goes: str, comes: str) -> None:
    assert rolled(nodes, {"maxUnavailable": 0, **bounds}) == (goes, comes)


def test_old_pod_where_none_should_be_stays_until_there_are_enough_elsewhere() -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    ds = a_set(updating=True, strategy=strategy)
    closed = a_node("n0", spec={"taints": [taint("NoSchedule")]})
    pods = [placed(ds, "n0", old=True), placed(ds, "n1")]
    assert deleted(plan_for(ds, closed, a_node("n1"), *pods)) == [name_on(ds, "n0")]
    unready = [placed(ds, "n0", old=True), placed(ds, "n1", phase="Running")]
    assert deleted(plan_for(ds, closed, a_node("n1"), *unready)) == []


def test_on_delete_leaves_pods_to_their_user() -> None:
    assert rolled("ooo", {}, kind="OnDelete") == ("", "")


def test_new_pod_has_to_have_been_ready_for_long() -> None:
    ds = a_set(updating=True, spec={"minReadySeconds": 10})
    pods = [placed(ds, "n0", ready_at=NOW - 9), placed(ds, "n1", old=True)]
    plan = plan_for(ds, a_node("n0"), a_node("n1"), *pods)
    assert (deleted(plan), plan.wake_at) == ([], NOW + 1)
    assert deleted(plan_for(ds, a_node("n0"), a_node("n1"), *pods, now=NOW + 1)) == [name_on(ds, "n1")]


def test_update_waits_until_every_node_has_its_pod() -> None:
    ds = a_set(updating=True)
    plan = plan_for(ds, a_node("n0"), a_node("n1"), placed(ds, "n1", old=True))
    assert (created(plan), deleted(plan)) == ([name_on(ds, "n0")], [])


# --- revisions ------------------------------------------------------------------------------------


def test_new_template_gets_a_revision_and_a_number_before_its_first_pod() -> None:
    ds = a_daemon_set(annotations={})
    plan = reconcile(view_of(ds, a_node("n1")), key_for(ds))
    patch, create = plan.writes
    assert isinstance(create, Create)
    assert create.kind is CONTROLLER_REVISION
    assert create.body["metadata"]["annotations"] == {GENERATION: "1"}
    labels = create.body["metadata"]["labels"]
    assert create.key.name == f"web-{labels[LABEL]}"
    assert patch == Patch(
        DAEMON_SET,
        key_for(ds),
        ds["metadata"]["uid"],
        {"metadata": {"annotations": {GENERATION: "1"}}},
        version=1,
    )


def test_revision_without_the_label_goes_by_its_name() -> None:
    ds = a_set()
    odd = a_revision(ds, name="by-hand", labels={"app": "web"}, version=3)
    plan = reconcile(view_of(ds, odd, a_node("n1")), key_for(ds))
    patch, create = plan.writes
    assert isinstance(patch, Patch)
    assert patch.body == {"metadata": {"labels": {LABEL: "by-hand"}}}
    assert isinstance(create, Create)
    assert create.body["metadata"]["labels"][LABEL] == "by-hand"


def test_old_revisions_beyond_the_limit_are_forgotten_unless_a_pod_has_them() -> None:
    ds = a_daemon_set(annotations={GENERATION: "5"}, spec={"revisionHistoryLimit": 1})
    past = [
        a_revision(ds, number=number, template=a_template(image=f"web:{number}0"), label=LABEL)
        for number in (2, 3, 4)
    ]
    used = past[0]["metadata"]["labels"][LABEL]
    pod = a_pod("x", node="n1", labels={"app": "web", LABEL: used}, owner=ds, phase="Running")
    present = a_revision(ds, number=5, label=LABEL)
    plan = reconcile(view_of(ds, *past, present, pod, a_node("n1")), key_for(ds))
    gone = [w.key for w in plan.writes if isinstance(w, Delete) and w.kind is CONTROLLER_REVISION]
    assert gone == [key_for(past[1]), key_for(past[2])]


# --- status ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "shown"),
    [
        pytest.param({}, ("<none>", "app=web"), id="labels of pods only"),
        pytest.param(
            {"template": a_template(nodeSelector={"disk": "ssd", "arch": "arm"})},
            ("arch=arm,disk=ssd", "app=web"),
            id="labels of nodes, too",
        ),
        pytest.param(
            {"selector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "w"]}]}},
            ("<none>", "app in (w,web)"),
            id="expressions",
        ),
    ],
)
def test_columns_show_selectors_as_kubectl_does(spec: JsonObject, shown: tuple[str, str]) -> None:
    status = status_written(plan_for(a_set(spec=spec)))
    assert status is not None
    assert (status["display"]["nodeSelector"], status["display"]["selector"]) == shown


def counts(plan: Plan) -> Sequence[int]:
    status = status_written(plan)
    assert status is not None
    return tuple(
        status[name]
        for name in (
            "desiredNumberScheduled",
            "currentNumberScheduled",
            "numberMisscheduled",
            "updatedNumberScheduled",
            "numberReady",
            "numberAvailable",
            "numberUnavailable",
        )
    )


@pytest.mark.parametrize(
    ("pods", "wanted"),
    [
        pytest.param([{}, {}], (2, 2, 0, 2, 2, 2, 0), id="all is well"),
        pytest.param([{}, {"phase": "Running"}], (2, 2, 0, 2, 1, 1, 1), id="one is not ready"),
        pytest.param([{}, {"bound": False, "phase": "Pending"}], (2, 2, 0, 2, 1, 1, 1), id="one waits"),
        pytest.param([{}, GOING], (2, 2, 0, 2, 2, 2, 0), id="one on its way out still counts"),
    ],
)
def test_status_counts_nodes(pods: Sequence[JsonObject], wanted: Sequence[int]) -> None:
    ds = a_set()
    there = [placed(ds, f"n{at}", **fields) for at, fields in enumerate(pods)]
    assert counts(plan_for(ds, a_node("n0"), a_node("n1"), *there)) == wanted


def test_pods_where_none_should_be_are_misscheduled() -> None:
    ds = a_set()
    closed = a_node("n0", spec={"taints": [taint("NoSchedule")]})
    assert counts(plan_for(ds, closed, placed(ds, "n0"))) == (0, 0, 1, 0, 0, 0, 0)


def test_no_nodes() -> None:
    assert counts(plan_for(a_set())) == (0, 0, 0, 0, 0, 0, 0)


def test_status_that_stands_is_not_written_again() -> None:
    ds = a_set()
    others = [a_node("n1"), placed(ds, "n1")]
    ds["status"] = status_written(plan_for(ds, *others))
    assert plan_for(ds, *others) == Plan.done()


def test_creation_alone_makes_no_status_but_a_refused_one_does() -> None:
    ds = a_set()
    assert status_written(plan_for(ds, a_node("n1"))) is None
    plan = plan_for(ds, a_node("n1"), refusal="exceeded quota: small")
    assert counts(plan)[0] == 1
    assert created(plan) == [name_on(ds, "n1")]


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "meta"),
    [
        pytest.param({"selector": None}, {}, id="selects nothing"),
        pytest.param({"selector": {"matchLabels": {"app": "db"}}}, {}, id="does not select its template"),
        pytest.param({"template": None}, {}, id="no template"),
        pytest.param({}, {"deleting_at": NOW, "finalizers": ["orphan"]}, id="on its way out"),
    ],
)
def test_one_that_makes_no_sense_makes_no_pods(spec: JsonObject, meta: JsonObject) -> None:
    ds = a_daemon_set(spec=spec, **meta)
    assert reconcile(view_of(ds, a_node("n1")), key_for(ds)) == Plan.done()


def test_one_that_selects_everything_is_told_so() -> None:
    ds = a_daemon_set(spec={"selector": {}})
    (said,) = reconcile(view_of(ds, a_node("n1")), key_for(ds)).writes
    assert isinstance(said, Emit)
    assert (said.type, said.reason, said.message) == (
        "Warning",
        "SelectingAll",
        "This daemon set is selecting all pods. A non-empty selector is required.",
    )


def test_orphans_are_taken_in() -> None:
    ds = a_set()
    orphan = placed(ds, "n1", owner=None)
    plan = plan_for(ds, a_node("n1"), orphan)
    assert [w.key.name for w in plan.writes if isinstance(w, Patch) and w.kind is POD] == [name_on(ds, "n1")]
    assert created(plan) == []


# --- whom a change concerns -----------------------------------------------------------------------


def node_change(before: JsonObject | None, after: JsonObject | None, *others: JsonObject) -> list[str]:
    """Names of the DaemonSets that a change of node n1 wakes."""
    old, new = (
        None if spec is None else next(iter(cache_of(a_node("n1", spec=spec)).table(Node).records.values()))
        for spec in (before, after)
    )
    record = new or old
    assert record is not None
    (route,) = routes.CONTROLLER.concerns[NODE]
    assert route.delay_s > 0
    return [key.name for key in route.keys(view_of(*others), Change(NODE, record.key, old, new))]


CLOSED: JsonObject = {"taints": [taint("NoSchedule")]}
DRIVEN: JsonObject = {"taints": [taint("NoExecute")]}
COLOURED: JsonObject = {"taints": [taint("PreferNoSchedule")]}


@pytest.mark.parametrize(
    ("before", "after", "there", "wanted"),
    [
        pytest.param(None, {}, False, ["web"], id="came"),
        pytest.param(None, CLOSED, False, [], id="came, and is not for us"),
        pytest.param({}, None, True, ["web"], id="went"),
        pytest.param({}, {"unschedulable": True}, True, [], id="closed to others"),
        pytest.param({}, CLOSED, True, ["web"], id="closed to us"),
        pytest.param(CLOSED, DRIVEN, True, ["web"], id="we have to go"),
        pytest.param({}, COLOURED, True, [], id="a taint that means nothing to us"),
        pytest.param({}, COLOURED, False, ["web"], id="we have not acted yet"),
    ],
)
def test_changes_of_a_node_wake_those_to_whom_it_means_something(
    before: JsonObject | None, after: JsonObject | None, there: bool, wanted: list[str]
) -> None:
    ds = a_set()
    assert node_change(before, after, ds, *([placed(ds, "n1")] if there else [])) == wanted


def pod_change(route: int, before: JsonObject | None, after: JsonObject | None, ds: JsonObject) -> list[str]:
    """Names of the DaemonSets that a change of a pod wakes by one of the routes."""
    old, new = (
        None if pod is None else next(iter(cache_of(placed(ds, "n1", **pod)).table(Pod).records.values()))
        for pod in (before, after)
    )
    record = new or old
    assert record is not None
    keys = routes.CONTROLLER.concerns[POD][route].keys(view_of(ds), Change(POD, record.key, old, new))
    return [key.name for key in keys]


WORK, FIGURES = range(2)


@pytest.mark.parametrize(
    ("route", "before", "after", "wanted"),
    [
        pytest.param(WORK, None, {"phase": "Pending"}, ["web"], id="came"),
        pytest.param(WORK, {}, None, ["web"], id="went"),
        pytest.param(WORK, {}, GOING, ["web"], id="on its way out"),
        pytest.param(WORK, {}, {"phase": "Failed"}, ["web"], id="failed"),
        pytest.param(WORK, {"phase": "Running"}, {}, [], id="ready is gathered"),
        pytest.param(FIGURES, {"phase": "Running"}, {}, ["web"], id="ready"),
        pytest.param(WORK, None, {"owner": None}, ["web"], id="an orphan to take in"),
    ],
)
def test_changes_of_a_pod_wake_its_set(
    route: int, before: JsonObject | None, after: JsonObject | None, wanted: list[str]
) -> None:
    assert pod_change(route, before, after, a_set()) == wanted
