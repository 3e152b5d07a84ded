"""What a pod requests: containers, init containers, sidecars, overhead, pod-level resources."""

import pytest

from nestling.api.json import JsonObject
from nestling.scheduler.resources import LARGEST, Demand, allocatable
from unit.scheduler.tables import requests

MIB = 1024 * 1024


def sidecar(**amounts: str) -> JsonObject:
    return {**requests(**amounts), "restartPolicy": "Always"}


@pytest.mark.parametrize(
    ("spec", "amounts"),
    [
        pytest.param({"containers": [{"name": "a"}]}, {}, id="nothing said"),
        pytest.param({"containers": [requests(cpu="0")]}, {}, id="zero is nothing"),
        pytest.param(
            {"containers": [requests(cpu="100m", memory="1Mi"), requests(cpu="1")]},
            {"cpu": 1100, "memory": MIB},
            id="containers add up",
        ),
        pytest.param(
            {"containers": [requests(cpu="0.0004"), requests(cpu="0.0004")]},
            {"cpu": 1},
            id="added before rounding up",
        ),
        pytest.param(
            {"containers": [requests(cpu="3")], "initContainers": [requests(cpu="2"), requests(cpu="2")]},
            {"cpu": 3000},
            id="init containers run before the others",
        ),
        pytest.param(
            {
                "containers": [requests(cpu="2"), requests(cpu="1")],
                "initContainers": [requests(cpu="2", memory="3Mi")],
            },
            {"cpu": 3000, "memory": 3 * MIB},
            id="the larger of the two per resource",
        ),
        pytest.param(
            {"containers": [requests(cpu="1")], "initContainers": [sidecar(cpu="500m"), requests(cpu="2")]},
            {"cpu": 2500},
            id="a sidecar runs beside later init containers",
        ),
        pytest.param(
            {"containers": [requests(cpu="1")], "initContainers": [requests(cpu="2"), sidecar(cpu="500m")]},
            {"cpu": 2000},
            id="but not beside earlier ones",
        ),
        pytest.param(
            {"containers": [requests(cpu="2")], "initContainers": [sidecar(cpu="500m")]},
            {"cpu": 2500},
            id="and beside the main ones",
        ),
        pytest.param(
            {"containers": [requests(cpu="1")], "overhead": {"cpu": "250m", "memory": "1Mi"}},
            {"cpu": 1250, "memory": MIB},
            id="overhead on top",
        ),
        pytest.param(
            {"containers": [requests(cpu="1", memory="1Mi")], "resources": {"requests": {"cpu": "3"}}},
            {"cpu": 3000, "memory": MIB},
            id="pod-level takes the place of the sum",
        ),
        pytest.param(
            {
                "containers": [
                    {"name": "a", "resources": {"limits": {"cpu": "2"}, "requests": {"memory": "1Mi"}}}
                ]
            },
            {"cpu": 2000, "memory": MIB},
            id="a limit without a request is one",
        ),
        pytest.param(
            {
                "containers": [requests(cpu="1")],
                "resources": {"limits": {"cpu": "3", "memory": "4Mi"}, "requests": {}},
            },
            {"cpu": 1000, "memory": 4 * MIB},
            id="a pod-level limit only where no container requests",
        ),
        pytest.param(
            {"containers": [{"name": "a", "resources": {"requests": {"example.com/gpu": "2", "foo": "1"}}}]},
            {"example.com/gpu": 2},
            id="extended resources count, unknown short names do not",
        ),
        pytest.param(
            {"containers": [requests(cpu="9e30")]}, {"cpu": LARGEST}, id="nonsense stays within int64"
        ),
    ],
)
def test_requests_of_a_pod(spec: JsonObject, amounts: dict[str, int]) -> None:
    assert Demand.of(spec).amounts == amounts


@pytest.mark.parametrize(
    ("spec", "scored", "counted"),
    [
        pytest.param(
            {"containers": [{"name": "a"}, requests(cpu="1")]},
            (1100, 400 * MIB),
            (1100, 400 * MIB),
            id="each container counts for something",
        ),
        pytest.param(
            {"containers": [requests(cpu="0", memory="0")]}, (0, 0), (0, 0), id="a stated zero is stated"
        ),
        pytest.param(
            {
                "containers": [{"name": "a"}, requests(cpu="1")],
                "resources": {"requests": {"memory": "1Mi"}},
            },
            (1100, 400 * MIB),
            (1000, MIB),
            id="pod-level resources count on the node, not for the incoming pod",
        ),
    ],
)
def test_scores_count_containers_that_say_nothing(
    spec: JsonObject, scored: tuple[int, int], counted: tuple[int, int]
) -> None:
    demand = Demand.of(spec)
    assert (demand.scored["cpu"], demand.scored["memory"]) == scored
    assert (demand.counted_cpu, demand.counted_memory) == counted


@pytest.mark.parametrize(
    ("quantity", "says"),
    [
        pytest.param(
            "lots", "container 'main' requests cpu of 'lots', which is not a quantity", id="no number"
        ),
        pytest.param(
            "-1", "container 'main' requests cpu of '-1', which is less than nothing", id="negative"
        ),
        pytest.param("x" * 150_000, "x', which is not a quantity", id="150 KiB of it"),
    ],
)
def test_a_bad_quantity_is_named(quantity: str, says: str) -> None:
    with pytest.raises(ValueError, match=r"^container") as caught:
        Demand.of({"containers": [requests(cpu=quantity)]})
    assert says in str(caught.value)
    assert len(str(caught.value)) < 200


def test_allocatable_skips_what_cannot_be_read() -> None:
    assert allocatable({"cpu": "1500m", "memory": "junk", "pods": 110}) == {"cpu": 1500, "pods": 110}
