"""Leadership by Lease: taking it, keeping it, losing it."""

import os
import socket

import pytest
from structlog.testing import capture_logs

from memory_host import Host
from nestling.api.kinds import CONFIG_MAP, LEASE
from nestling.apiserver.faults import Rule
from nestling.machinery.election import (
    DURATION_S,
    RENEW_DEADLINE_S,
    Election,
    is_dead_neighbour,
    own_identity,
)

# One attempt at a time is what these tests are about; the loop around it only waits.
# pyright: reportPrivateUsage=false


def candidate(host: Host, identity: str, lost: list[str] | None = None) -> Election:
    reported = [] if lost is None else lost
    return Election(
        host.client,
        host.clock,
        namespace="team-a",
        name="nestling-leader-test",
        identity=identity,
        lost=reported.append,
    )


async def test_the_first_candidate_holds_and_the_second_waits(host: Host) -> None:
    assert await candidate(host, "one")._try_to_hold() is True
    assert await candidate(host, "two")._try_to_hold() is False


async def test_a_lease_that_nobody_renews_is_taken_over_after_its_duration_as_we_saw_it(host: Host) -> None:
    await candidate(host, "one")._try_to_hold()
    second = candidate(host, "two")
    assert await second._try_to_hold() is False
    host.clock.advance(DURATION_S)
    assert await second._try_to_hold() is False, "not yet: the full duration has to pass"
    host.clock.advance(0.1)
    assert await second._try_to_hold() is True
    lease = await host.client.get(LEASE, "team-a", "nestling-leader-test")
    assert lease["spec"]["holderIdentity"] == "two"
    assert lease["spec"]["leaseTransitions"] == 1


async def test_a_candidate_says_once_for_whom_it_waits(host: Host) -> None:
    await candidate(host, "one")._try_to_hold()
    second = candidate(host, "two")
    with capture_logs() as lines:
        assert [await second._try_to_hold(), await second._try_to_hold()] == [False, False]
    told = {"event": "another process leads, waiting", "lease": "nestling-leader-test", "holder": "one"}
    assert lines == [{**told, "log_level": "info"}]


async def test_a_jump_of_the_wall_clock_steals_no_lease(host: Host) -> None:
    await candidate(host, "one")._try_to_hold()
    second = candidate(host, "two")
    assert await second._try_to_hold() is False
    host.clock.jump(3600)
    assert await second._try_to_hold() is False


async def test_of_two_candidates_for_an_expired_lease_one_wins(host: Host) -> None:
    await candidate(host, "one")._try_to_hold()
    second, third = candidate(host, "two"), candidate(host, "three")
    await second._try_to_hold()
    await third._try_to_hold()
    host.clock.advance(DURATION_S + 1)
    assert [await second._try_to_hold(), await third._try_to_hold()] == [True, False]


async def test_a_host_that_does_not_answer_neither_gives_nor_takes_leadership(host: Host) -> None:
    first = candidate(host, "one")
    await first._try_to_hold()
    host.faults.add(Rule("refuse", path="/leases", status=503, times=-1))
    assert await first._try_to_hold() is None


async def test_a_renewal_whose_answer_was_lost_is_not_a_loss(host: Host) -> None:
    first = candidate(host, "one")
    await first._try_to_hold()
    host.faults.add(Rule("lose-answer", method="PUT"))
    assert await first._try_to_hold() is None
    assert await first._try_to_hold() is True


async def test_a_renewal_that_meets_an_earlier_one_of_ours_is_not_a_loss(host: Host) -> None:
    first = candidate(host, "one")
    await first._try_to_hold()
    read = await host.client.get(LEASE, "team-a", "nestling-leader-test")
    host.clock.advance(2)
    assert await first._write(read) is True, "given up for lost, and done nevertheless"
    assert await first._write(read) is None
    assert await first._try_to_hold() is True


async def test_the_leader_of_a_namespace_that_is_being_deleted_leads_to_its_end(host: Host) -> None:
    first, second = candidate(host, "one"), candidate(host, "two")
    await first._try_to_hold()
    first.leading.set()
    # What holds the namespace is an object with a finalizer; the Lease goes at once.
    meta = {"name": "held", "namespace": "team-a", "finalizers": ["example.com/hold"]}
    await host.client.create(CONFIG_MAP, "team-a", {"metadata": meta})
    await host.client.call("DELETE", "/api/v1/namespaces/team-a")
    host.clock.advance(RENEW_DEADLINE_S)
    assert await first.renew() is True
    assert first.leading.is_set()
    assert await second._try_to_hold() is None, "who did not lead before cannot begin now"


def test_our_own_identity_is_alive_and_a_former_process_of_this_host_is_not() -> None:
    me = own_identity()
    assert not is_dead_neighbour(me, me)
    former = f"{socket.gethostname()}_{os.getpid()}_1"
    assert is_dead_neighbour(former, me), "the same process id, started at another time"


@pytest.mark.parametrize(
    "holder",
    [
        pytest.param("another-host_1_1", id="another host"),
        pytest.param("kubectl", id="not one of ours"),
        pytest.param("", id="nobody"),
    ],
)
def test_what_cannot_be_judged_from_here_is_not_called_dead(holder: str) -> None:
    assert not is_dead_neighbour(holder, own_identity())


async def test_a_dead_neighbours_lease_is_taken_at_once(host: Host) -> None:
    await candidate(host, f"{socket.gethostname()}_{os.getpid()}_1")._try_to_hold()
    assert await candidate(host, own_identity())._try_to_hold() is True


async def test_a_silent_host_suspends_leadership_and_an_answering_one_resumes_it(host: Host) -> None:
    lost: list[str] = []
    resumed: list[str] = []
    leader = candidate(host, "one", lost)
    leader._resumed = lambda: resumed.append("again")
    await leader._try_to_hold()
    leader.leading.set()
    leader._renewed = host.clock.monotonic()
    silence = host.faults.add(Rule("refuse", path="/leases", status=503, times=-1))
    host.clock.advance(RENEW_DEADLINE_S - 1)
    assert await leader.renew()
    assert leader.leading.is_set(), "not yet"
    host.clock.advance(1)
    assert await leader.renew()
    assert not leader.leading.is_set(), "nothing is begun while somebody else might lead"
    host.clock.advance(3600)
    silence.times = 0
    assert await leader.renew()
    assert leader.leading.is_set()
    assert (lost, resumed) == ([], ["again"])


async def test_a_leader_that_finds_another_in_its_place_is_lost(host: Host) -> None:
    lost: list[str] = []
    leader = candidate(host, "one", lost)
    await leader._try_to_hold()
    leader.leading.set()
    second = candidate(host, "two")
    await second._try_to_hold()
    host.clock.advance(DURATION_S + 1)
    assert await second._try_to_hold() is True
    assert await leader.renew() is False
    assert not leader.leading.is_set()
    assert lost == ["nestling-leader-test"]
