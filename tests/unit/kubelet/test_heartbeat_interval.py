"""How often a kubelet says that its nodes live."""

import pytest

from nestling.kubelet.heartbeat import renewal_interval


@pytest.mark.parametrize(
    ("grace_s", "interval_s"),
    [
        pytest.param(50, 10, id="the default"),
        pytest.param(40, 10, id="a quarter of the Lease"),
        pytest.param(4, 1, id="an impatient cluster hears more often"),
        pytest.param(0, 0.5, id="but never in a storm"),
    ],
)
def test_a_node_is_vouched_for_several_times_before_it_would_be_given_up(
    grace_s: float, interval_s: float
) -> None:
    assert renewal_interval(grace_s) == interval_s
