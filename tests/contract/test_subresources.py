"""Status and scale: two narrow doors to one object."""

from typing import Any

import pytest

from contract_server import MERGE, Space


def test_status_and_spec_have_doors_of_their_own(space: Space) -> None:
    space.create()
    both: dict[str, Any] = {
        "metadata": {"labels": {"x": "y"}},
        "spec": {"node": "n"},
        "status": {"phase": "p"},
    }
    by_status = space.patch(both, sub="status")
    assert by_status["status"] == {"phase": "p"}
    assert by_status["spec"] == {"replicas": 1, "size": "small"}
    assert "labels" not in by_status["metadata"]
    by_main = space.patch({**both, "status": {"phase": "q"}})
    assert by_main["status"] == {"phase": "p"}
    assert by_main["spec"]["node"] == "n"
    assert by_main["metadata"]["labels"] == {"x": "y"}
    assert space.server.expect(200, "GET", space.path(name="a", sub="status")) == by_main


def test_replacing_the_status(space: Space) -> None:
    made = space.create()
    put = {**made, "spec": {"node": "other"}, "status": {"phase": "p"}}
    after = space.server.expect(200, "PUT", space.path(name="a", sub="status"), put)
    assert after["status"] == {"phase": "p"}
    assert after["spec"] == made["spec"]
    assert after["metadata"]["generation"] == 1
    assert space.server.call("PUT", space.path(name="a", sub="status"), put).status == 409
    bad = {**after, "status": {"replicas": "x"}}
    answer = space.server.call("PUT", space.path(name="a", sub="status"), bad)
    assert answer.status == 422
    assert (
        'status.replicas: Invalid value: "string": replicas in body must be of type integer' in answer.message
    )


def test_scale_shows_and_sets_the_replicas(space: Space) -> None:
    space.create()
    space.patch({"status": {"replicas": 3, "selector": "a=b"}}, sub="status")
    path = space.path(name="a", sub="scale")
    scale = space.server.expect(200, "GET", path)
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert scale["spec"] == {"replicas": 1}
    assert scale["status"] == {"replicas": 3, "selector": "a=b"}
    assert scale["metadata"]["name"] == "a"
    after = space.server.expect(200, "PUT", path, {**scale, "spec": {"replicas": 4}})
    assert after["spec"] == {"replicas": 4}
    assert space.get()["spec"]["replicas"] == 4
    assert space.get()["metadata"]["generation"] == 2
    assert space.server.call("PUT", path, scale).status == 409
    patched = space.server.expect(200, "PATCH", path, {"spec": {"replicas": 5}}, type=MERGE)
    assert patched["spec"] == {"replicas": 5}


def test_scale_judges_the_number(space: Space) -> None:
    space.create()
    path = space.path(name="a", sub="scale")
    answer = space.server.call("PATCH", path, {"spec": {"replicas": -3}}, type=MERGE)
    assert answer.status == 422
    assert "spec.replicas in body should be greater than or equal to 0" in answer.message
    assert space.get()["spec"]["replicas"] == 1


@pytest.mark.parametrize("sub", ["scale", "status", "exec"])
def test_subresource_of_nothing(space: Space, sub: str) -> None:
    assert space.server.call("GET", space.path(name="nobody", sub=sub)).status == 404
    assert space.server.call("GET", f"/apis/test.nestling.dev/v1/plains/a/{sub}").status == 404
