"""The judge itself: scenarios are read strictly, masks agree, and every difference shows."""

from typing import Any

import pytest
from chronicle import FOLDED, Chronicle
from picture import differences, picture
from scenario import Malformed, complete, load_all, parse, spelt_out

from nestling.api.json import JsonObject


def an_object(kind: str, name: str, *, owner: JsonObject | None = None, **more: Any) -> JsonObject:
    meta: JsonObject = {"name": name, "uid": f"uid-of-{kind}-{name}", "generation": 1}
    meta.update(more.pop("metadata", {}))
    if owner is not None:
        ref = {"kind": owner["kind"], "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
        meta["ownerReferences"] = [{**ref, "controller": True}]
    return {"kind": kind, "metadata": meta, **more}


def a_rollout(first: str, second: str, pods: str) -> list[JsonObject]:
    web = an_object("Deployment", "web")
    sets = [
        an_object(
            "ReplicaSet",
            f"web-{text}",
            owner=web,
            metadata={"labels": {"pod-template-hash": text}},
            spec={"replicas": number},
        )
        for number, text in enumerate((first, second))
    ]
    return [web, *sets, an_object("Pod", f"web-{second}-{pods}", owner=sets[1])]


def told(objects: list[JsonObject]) -> Chronicle:
    chronicle = Chronicle()
    for obj in objects:
        chronicle.take(obj)
    return chronicle


def said(chronicle: Chronicle, message: str, *, name: str = "e", times: int = 1) -> None:
    chronicle.hear(
        {
            "metadata": {"name": name},
            "involvedObject": {"kind": "Deployment", "name": "web"},
            "type": "Normal",
            "reason": "ScalingReplicaSet",
            "message": message,
            "source": {"component": "deployment-controller"},
        },
        times,
    )


def test_random_parts_are_masked_by_what_an_object_is() -> None:
    ours, theirs = told(a_rollout("55b8", "7cc9", "abcde")), told(a_rollout("6d7f", "9f2d", "vwxyz"))
    assert sorted(ours.names.values()) == ["web", "web-#1", "web-#2", "web-#2-*"]
    assert picture(ours) == picture(theirs)
    assert ours.masks.of("created pod web-7cc9-abcde of web-55b8") == "created pod web-#2-* of web-#1"


def test_names_do_not_depend_on_which_watch_spoke_first() -> None:
    objects = a_rollout("55b8", "7cc9", "abcde")
    assert picture(told([objects[3], *objects[:3]])) == picture(told(objects))


def test_objects_of_one_name_are_found_in_the_order_of_their_coming() -> None:
    objects = a_rollout("55b8", "7cc9", "abcde")
    later = an_object("Pod", "web-7cc9-aaaaa", owner=objects[2])
    found = told([*objects, later]).found("Pod/web-#2-*")
    assert [pod["metadata"]["name"] for pod in found] == ["web-7cc9-abcde", "web-7cc9-aaaaa"]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        pytest.param({"status": {"replicas": 1}}, "Deployment/web.status: ", id="count"),
        pytest.param({"metadata": {"labels": {"a": ""}}}, "Deployment/web.labels: ", id="empty label"),
        pytest.param({"metadata": {"finalizers": ["x/y"]}}, "Deployment/web.finalizers: ", id="finalizer"),
        pytest.param({"metadata": {"deletionTimestamp": "t"}}, "Deployment/web.deleting: ", id="deleting"),
    ],
)
def test_every_difference_of_an_object_shows(change: JsonObject, line: str) -> None:
    lines = differences(
        picture(told([an_object("Deployment", "web", **change)])),
        picture(told([an_object("Deployment", "web")])),
    )
    assert len(lines) == 1, lines
    assert lines[0].startswith(line)


def test_zero_and_absent_are_the_same_and_so_are_times_and_our_own_fields() -> None:
    ours = an_object(
        "Deployment",
        "web",
        metadata={"annotations": {"sim.nestling.dev/readiness": "never"}},
        status={"replicas": 0, "display": {"ready": "0/0"}, "conditions": []},
    )
    assert picture(told([ours])) == picture(told([an_object("Deployment", "web")]))


def test_one_object_more_shows() -> None:
    objects = a_rollout("55b8", "7cc9", "abcde")
    more = [*objects, an_object("Pod", "web-7cc9-aaaaa", owner=objects[2])]
    assert differences(picture(told(more)), picture(told(objects)))[0].startswith("Pod/web-#2-*: 1 more here")


def test_folded_events_are_told_apart_and_sizes_by_their_turning_points() -> None:
    few, many = told(a_rollout("55b8", "7cc9", "abcde")), told(a_rollout("55b8", "7cc9", "abcde"))
    said(few, "Scaled up replica set web-7cc9 from 0 to 2", name="a")
    said(few, "Scaled down replica set web-7cc9 from 2 to 1", name="b")
    said(many, "Scaled up replica set web-7cc9 from 0 to 1", name="a")
    said(many, f"{FOLDED}Scaled up replica set web-7cc9 from 1 to 2", name="b")
    assert picture(few) != picture(many)
    said(many, f"{FOLDED}Scaled down replica set web-7cc9 from 2 to 1", name="b", times=2)
    assert picture(few) == picture(many)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param([], id="no mapping"),
        pytest.param({"about": "x", "steps": [{"destroy": {}}]}, id="unknown verb"),
        pytest.param({"about": "x", "steps": ["settle"]}, id="bare word"),
        pytest.param({"about": "x", "steps": [], "extra": 1}, id="unknown field"),
    ],
)
def test_a_scenario_that_cannot_be_read_is_refused(document: Any) -> None:
    with pytest.raises(Malformed):
        parse("x", document)


def test_placeholders_are_filled_in_everywhere() -> None:
    value = {"(scenario)": ["(now-90m)", "(scenario)-a", 3]}
    assert spelt_out(value, place="s1", now=1_800_000_000.0) == {"s1": ["2027-01-15T06:30:00Z", "s1-a", 3]}


def test_a_manifest_is_completed_and_what_it_says_holds() -> None:
    found = complete({"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 2}}, "shared")
    assert found["apiVersion"] == "apps/v1"
    assert found["spec"]["replicas"] == 2
    assert found["spec"]["selector"] == {"matchLabels": found["spec"]["template"]["metadata"]["labels"]}
    assert found["spec"]["template"]["spec"]["nodeSelector"] == {"nodes": "shared"}


def test_every_scenario_says_what_it_is_about() -> None:
    for scenario in load_all():
        assert scenario.about.endswith("."), scenario.name
        assert scenario.steps, scenario.name
