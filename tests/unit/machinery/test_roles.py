"""The table of roles: what each hears of, it holds."""

import pytest
from prometheus_client import CollectorRegistry

from nestling.api.controllers import KNOWN, controller_of
from nestling.api.kinds import VIRTUAL_KINDS
from nestling.machinery.cache import Cache
from nestling.machinery.clock import ManualClock
from nestling.operators.roles import EVERYTHING, ROLES, Role, Setting


@pytest.mark.parametrize("role", ROLES.values(), ids=ROLES.keys())
def test_a_role_holds_every_kind_its_loops_hear_of(role: Role) -> None:
    cache = Cache(role.records)
    heard = {kind for controller in role.controllers for kind in controller.concerns}
    heard |= {
        kind
        for _, kinds in role.machines(Setting(cache, ManualClock(), CollectorRegistry()))
        for kind in kinds
    }
    assert all(cache.holds(kind) for kind in heard)


def test_every_controller_can_be_switched() -> None:
    for role in ROLES.values():
        for controller in role.controllers:
            assert controller_of(controller.name) in KNOWN


def test_every_kind_of_ours_has_a_record() -> None:
    assert {record.KIND for record in EVERYTHING} >= set(VIRTUAL_KINDS)


def test_no_two_controllers_share_a_name() -> None:
    names = [controller.name for role in ROLES.values() for controller in role.controllers]
    assert len(names) == len(set(names))
