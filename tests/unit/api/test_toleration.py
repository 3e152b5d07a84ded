"""Which taints a toleration covers."""

import pytest

from nestling.api.json import JsonObject
from nestling.api.toleration import Toleration, tolerations_of


@pytest.mark.parametrize(
    ("toleration", "covered"),
    [
        pytest.param({"key": "gpu", "value": "a", "effect": "NoSchedule"}, True, id="equal in all"),
        pytest.param({"key": "gpu", "value": "a"}, True, id="every effect"),
        pytest.param({"key": "gpu", "value": "a", "effect": "NoExecute"}, False, id="another effect"),
        pytest.param({"key": "gpu", "value": "b"}, False, id="another value"),
        pytest.param({"key": "gpu"}, False, id="no value"),
        pytest.param({"key": "gpu", "operator": "Exists"}, True, id="every value"),
        pytest.param({"key": "tpu", "operator": "Exists"}, False, id="another key"),
        pytest.param({"operator": "Exists"}, True, id="every taint"),
        pytest.param({"value": "a"}, True, id="every key of this value"),
        pytest.param({"key": "gpu", "operator": "Gt", "value": "a"}, False, id="an operator that is off"),
    ],
)
def test_toleration_covers_a_taint_as_upstream_has_it(toleration: JsonObject, covered: bool) -> None:
    assert Toleration.from_json(toleration).tolerates("gpu", "a", "NoSchedule") == covered


def test_tolerations_keep_their_order_and_their_time() -> None:
    spec: JsonObject = {
        "tolerations": [{"operator": "Exists", "tolerationSeconds": 0}, {"key": "gpu", "value": "a"}]
    }
    assert [(one.key, one.seconds) for one in tolerations_of(spec)] == [("", 0), ("gpu", None)]
    assert tolerations_of({}) == ()
