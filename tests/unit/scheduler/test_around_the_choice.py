"""Plugins around the choice of a node: they set aside, hold back, refuse, add to the bind, are told of it."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from builders import a_node, a_pod
from nestling.api.json import JsonObject
from nestling.api.kinds import NODE, POD
from nestling.machinery.controller import Outcome
from nestling.machinery.errors import Refused
from nestling.machinery.records.base import condition
from nestling.scheduler.configuration import Setup
from nestling.scheduler.extension import (
    GRANTED,
    Permission,
    PermitPlugin,
    PostBindPlugin,
    PreBindPlugin,
    ReservePlugin,
)
from nestling.scheduler.framework import ClusterEvent
from nestling.scheduler.plugins.registry import in_tree
from nestling.scheduler.podclass import PodClass
from nestling.scheduler.profiles import MULTI_POINT, Enabled, ProfileSpec, Switches, build
from unit.scheduler.a_host import Host
from unit.scheduler.tables import requests


@dataclass(eq=False)
class Guard(ReservePlugin, PermitPlugin, PreBindPlugin, PostBindPlugin):
    """Says what a test wants it to say, and remembers what happened."""

    name: ClassVar[str] = "Guard"
    wakes_on: ClassVar[frozenset[ClusterEvent]] = frozenset({ClusterEvent.NODE_LABEL})
    permission: Permission = GRANTED
    objection: str = ""
    log: list[str] = field(default_factory=list[str])

    def reserve(self, pods: PodClass, node: str) -> str:
        self.log.append(f"reserve {node}")
        return self.objection

    def unreserve(self, pods: PodClass, node: str) -> None:
        self.log.append(f"unreserve {node}")

    def permit(self, pods: PodClass, node: str) -> Permission:
        return self.permission

    def pre_bind(self, pods: PodClass, node: str) -> JsonObject:
        return {"metadata": {"annotations": {"guard": node}}}

    def post_bind(self, pods: PodClass, node: str) -> None:
        self.log.append(f"bound {node}")


def guarded(guard: Guard, **options: Any) -> Host:
    registry = in_tree()
    registry.register("Guard", lambda _args: guard)
    profile = build(ProfileSpec(switches={MULTI_POINT: Switches((Enabled("Guard"),))}), registry)
    pod = a_pod(
        "web-0", spec={"containers": [requests(cpu="1")]}, phase="", status={"conditions": []}, **options
    )
    return Host(a_node("n1"), pod, setup=Setup({profile.name: profile}))


def said(host: Host) -> str:
    found = condition(host.pod("web-0"), "PodScheduled")
    assert found is not None
    return found["message"]


def used(host: Host) -> int:
    return int(host.machine.lanes()[0].state.nodes.pods.sum())


def test_what_is_set_aside_is_used_and_the_bind_carries_more() -> None:
    guard = Guard()
    host = guarded(guard)
    host.run()
    assert guard.log == ["reserve n1", "bound n1"]
    annotations = host.pod("web-0")["metadata"]["annotations"]
    assert annotations["guard"] == "n1"
    assert "nestling.dev/scheduling" in annotations
    assert len(host.patches) == 1


def test_a_failed_bind_gives_back_what_was_set_aside() -> None:
    guard = Guard()
    host = guarded(guard)
    (plan,) = host.step()
    host.settle(plan, Outcome(0, Refused("no", status=403)))
    assert guard.log == ["reserve n1", "unreserve n1"]
    assert used(host) == 0


@pytest.mark.parametrize(
    "guard", [Guard(objection="no more of these"), Guard(permission=Permission("no more of these"))]
)
def test_an_objection_is_a_refusal(guard: Guard) -> None:
    host = guarded(guard)
    host.run()
    assert said(host) == "0/1 nodes are available: 1 no more of these."
    assert guard.log == ["reserve n1", "unreserve n1"]
    assert used(host) == 0
    assert host.node_of("web-0") == ""


def test_an_event_that_it_has_named_makes_it_asked_again() -> None:
    guard = Guard(objection="no more of these")
    host = guarded(guard)
    host.run()
    guard.objection = ""
    host.edit(NODE, "n1", {"metadata": {"labels": {"more": "of-these"}}})
    host.run()
    assert host.node_of("web-0") == "n1"


def test_a_bind_that_is_held_back_takes_its_room_until_it_is_granted() -> None:
    guard = Guard(permission=Permission(wait_s=60))
    host = guarded(guard)
    host.run()
    assert (host.node_of("web-0"), used(host)) == ("", 1)
    host.clock.advance(30)
    host.run()
    assert host.node_of("web-0") == ""
    guard.permission = GRANTED
    host.clock.advance(1)
    host.run()
    assert host.node_of("web-0") == "n1"


def test_nobody_is_held_back_for_ever() -> None:
    host = guarded(Guard(permission=Permission(wait_s=900)))
    host.run()
    host.clock.advance(900)
    for plan in host.step():
        host.carry_out(plan)
    assert said(host) == (
        "0/1 nodes are available: 1 rejected due to timeout after waiting 15m0s at plugin Guard."
    )


def test_a_pod_that_goes_while_it_is_held_back_gives_back_its_room() -> None:
    guard = Guard(permission=Permission(wait_s=60))
    host = guarded(guard, finalizers=["example.com/keep"])
    host.run()
    host.edit(POD, "web-0", {"metadata": {"deletionTimestamp": "2027-01-15T08:00:00Z"}})
    host.run()
    assert used(host) == 0
    assert guard.log == ["reserve n1", "unreserve n1"]
