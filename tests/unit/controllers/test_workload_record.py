"""Workloads as loops read them: equal templates, and objects that slipped past the schema."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import a_deployment, a_pod, a_replica_set, a_template, cache_of, key_for, view_of
from nestling.api.json import JsonObject
from nestling.controllers import deployment, replica_set
from nestling.controllers.deployment import template_of_revision
from nestling.machinery.plan import Plan
from nestling.machinery.records.workload import INT32_MAX, Deployment, ReplicaSet, template_digest


def template(**spec: Any) -> JsonObject:
    return a_template(**spec)


def resources(**requests: Any) -> JsonObject:
    return a_template(containers=[{"name": "main", "image": "web:1", "resources": {"requests": requests}}])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(resources(cpu="1"), resources(cpu="1000m"), id="quantities of one worth"),
        pytest.param(resources(cpu="1"), resources(cpu=1), id="quantity as number"),
        pytest.param(template(volumes=[]), template(), id="empty list"),
        pytest.param(template(volumes=None), template(), id="null"),
        pytest.param(template(nodeSelector={}), template(), id="empty map"),
        pytest.param(
            template(containers=[{"name": "main", "image": "web:1", "resources": {"limits": {}}}]),
            template(containers=[{"name": "main", "image": "web:1"}]),
            id="nothing in resources",
        ),
        pytest.param(
            {**template(), "metadata": {"labels": {"app": "web"}, "creationTimestamp": None}},
            template(),
            id="null time of creation",
        ),
        pytest.param(
            a_template({"app": "web", "pod-template-hash": "abc"}),
            template(),
            id="label that tells sets apart",
        ),
        pytest.param(
            a_template({"pod-template-hash": "abc"}), a_template({}), id="no other label than that one"
        ),
        pytest.param(
            {"spec": {"a": 1, "b": 2}, "metadata": {}}, {"metadata": {}, "spec": {"b": 2, "a": 1}}, id="order"
        ),
    ],
)
def test_templates_of_the_same_pods_are_equal(one: JsonObject, other: JsonObject) -> None:
    assert template_digest(one) == template_digest(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(template(image="web:2"), template(), id="image"),
        pytest.param(resources(cpu="1"), resources(cpu="2"), id="quantity"),
        pytest.param(resources(cpu="1"), resources(memory="1"), id="resource"),
        pytest.param(a_template({"app": "web", "v": ""}), template(), id="label without a value"),
        pytest.param(
            template(volumes=[{"name": "v", "emptyDir": {}}]),
            template(volumes=[{"name": "v"}]),
            id="empty object",
        ),
        pytest.param(template(tolerations=[{"key": "a"}]), template(tolerations=[{"key": "b"}]), id="list"),
        pytest.param(
            template(affinity={"podAffinity": {"labels": {"pod-template-hash": "a"}}}),
            template(affinity={"podAffinity": {"labels": {"pod-template-hash": "b"}}}),
            id="that label somewhere else",
        ),
    ],
)
def test_templates_of_other_pods_differ(one: JsonObject, other: JsonObject) -> None:
    assert template_digest(one) != template_digest(other)


def test_numbers_without_a_limit() -> None:
    obj = a_deployment(spec={"progressDeadlineSeconds": INT32_MAX, "revisionHistoryLimit": INT32_MAX})
    found = cache_of(obj).table(Deployment).records[key_for(obj)]
    assert (found.deadline_s, found.history_limit) == (None, None)


# --- junk -----------------------------------------------------------------------------------------

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "25%", "-1", "1e9", "Recreate", "app=web", "\u0000", "\U0001f423", "9" * 30]),
)
junk = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["matchLabels", "metadata", "labels", "app", "type", "x"]), inner, max_size=3
        ),
    ),
    max_leaves=8,
)
TYPED: JsonObject = {
    "replicas": st.one_of(st.integers(-5, 700), st.just(INT32_MAX)),
    "minReadySeconds": st.integers(-(2**31), INT32_MAX),
    "progressDeadlineSeconds": st.one_of(st.none(), st.integers(-1, INT32_MAX)),
    "revisionHistoryLimit": st.one_of(st.none(), st.integers(-1, INT32_MAX)),
    "paused": st.booleans(),
}


def specs() -> st.SearchStrategy[JsonObject]:
    """Specs with values of the right type and absurd size, or of any type at all."""
    odd = {
        name: st.one_of(values, junk) if isinstance(values, st.SearchStrategy) else junk
        for name, values in TYPED.items()
    }
    odd["strategy"] = junk
    odd["selector"] = st.one_of(
        junk, st.just({"matchLabels": {"app": "web"}}), st.just({"matchLabels": {"app": "db"}})
    )
    odd["template"] = st.one_of(st.none(), st.just({}), st.just(a_template({})), st.just(a_template()))
    return st.fixed_dictionaries({}, optional=odd)


@given(
    of_deployment=specs(),
    of_set=specs(),
    notes=st.dictionaries(
        st.sampled_from(
            [
                "deployment.kubernetes.io/revision",
                "deployment.kubernetes.io/desired-replicas",
                "deployment.kubernetes.io/max-replicas",
                "deployment.kubernetes.io/revision-history",
                "deprecated.deployment.rollback.to",
            ]
        ),
        st.text(max_size=12),
    ),
    status=st.fixed_dictionaries(
        {},
        optional={
            "replicas": st.integers(-1, INT32_MAX),
            "availableReplicas": st.integers(-1, INT32_MAX),
            "collisionCount": st.integers(0, INT32_MAX),
            "conditions": st.lists(
                st.fixed_dictionaries(
                    {"type": st.sampled_from(["Progressing", "Available", "ReplicaFailure", "X"])},
                    optional={
                        "status": st.sampled_from(["True", "False", "Unknown"]),
                        "reason": st.sampled_from(["DeploymentPaused", "ReplicaSetUpdated", "?"]),
                        "lastUpdateTime": st.sampled_from(["", "soon", "2027-01-15T08:00:00Z"]),
                    },
                ),
                max_size=3,
            ),
        },
    ),
    refusal=st.sampled_from(["", "no"]),
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_junk_becomes_a_plan_and_never_an_exception(
    of_deployment: JsonObject, of_set: JsonObject, notes: JsonObject, status: JsonObject, refusal: str
) -> None:
    owner = a_deployment(annotations=notes, status=status)
    owner["spec"] = of_deployment
    owned = a_replica_set("web-1", owner=owner, annotations=notes, status=status)
    owned["spec"] = of_set
    view = view_of(owner, owned, a_pod("p", owner=owned), a_pod("q"), refusal=refusal)
    plans = [
        deployment.reconcile(view, key_for(owner)),
        replica_set.reconcile(view, key_for(owned)),
    ]
    assert all(isinstance(plan, Plan) and plan.stages() is not None for plan in plans)
    assert all(len(plan.writes) <= 505 for plan in plans)
    for table in (view.all(Deployment), view.all(ReplicaSet)):
        assert all(record.replicas >= 0 for record in table)
    (spec,) = view.all(Deployment)
    template_of_revision(view, spec, 0)
