"""The host misbehaves for a while, or two operators fight: when it is over, all is as if nothing had been.

The embedded server refuses, loses requests and answers, cuts watches, drops their events and forgets its
history, at requests and for as long as each example says. While that lasts, the invariants hold after every
write; when it has stopped, the cluster comes to rest at the end of the run without faults.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from invariants import Binds, Forward, NoneLost, no_overcommit, watch_over
from workloads import End, Step, Workload, calm_workloads, ending, hasty_workloads, lags, same_end

from nestling.apiserver.faults import Moment, Rule
from simulation import CrashPoint, World


@dataclass(frozen=True)
class Fault:
    """One way in which the host fails, in words that a failing example can print."""

    moment: Moment
    method: str = ""
    path: str = ""
    status: int = 500
    retry_after_s: int | None = None
    skip: int = 0
    times: int = 1
    event: str = ""
    mid_line: bool = False

    @property
    def watches(self) -> bool:
        """Whether it strikes watches."""
        return self.moment in {"cut", "lose-event"}

    def rule(self) -> Rule:
        """A fresh rule: rules count."""
        return Rule(
            self.moment,
            method=self.method,
            path=self.path,
            watches=self.watches,
            status=self.status,
            retry_after_s=self.retry_after_s,
            skip=self.skip,
            times=self.times,
            event=self.event,
            mid_line=self.mid_line,
        )


@dataclass(frozen=True)
class Trouble:
    """A workload whose faults begin with step `at` and stop at its end."""

    workload: Workload
    faults: tuple[Fault, ...]
    at: int

    def __call__(self, world: World) -> None:
        """Live it. What watches have missed comes to light when they break off and history is gone."""
        steps = list(self.workload.steps)
        at = self.at % len(steps)

        def begin(world: World) -> None:
            steps[at][0](world)
            for fault in self.faults:
                world.add_fault(fault.rule())

        def stop(world: World) -> None:
            world.faults.clear()
            world.break_watches()

        troubled: list[tuple[Step, float]] = [*steps]
        troubled[at] = (begin, steps[at][1])
        Workload((*troubled, (stop, 5.0)), self.workload.calm)(world)


_paths = st.sampled_from(
    ["", "/virtualpods", "/virtualreplicasets", "/virtualdeployments", "/virtualnodes", "/status"]
)
_writes = st.sampled_from(["POST", "PATCH", "DELETE"])
_skips = st.integers(0, 12)
_refusals = st.builds(
    Fault,
    moment=st.just("refuse"),
    method=_writes,
    path=_paths,
    status=st.sampled_from([403, 409, 500, 503, 504]),
    skip=_skips,
    times=st.integers(1, 25),
)
_throttles = st.builds(
    Fault,
    moment=st.just("refuse"),
    method=_writes,
    path=_paths,
    status=st.just(429),
    retry_after_s=st.sampled_from([1, 5]),
    skip=_skips,
    times=st.integers(1, 8),
)
_losses = st.builds(
    Fault,
    moment=st.sampled_from(["lose-request", "lose-answer"]),
    method=_writes,
    path=_paths,
    skip=_skips,
    times=st.integers(1, 12),
)
_deaf = st.builds(
    Fault,
    moment=st.just("lose-event"),
    path=_paths,
    event=st.sampled_from(["", "ADDED", "MODIFIED", "DELETED"]),
    skip=_skips,
    times=st.integers(1, 12),
)
_cuts = st.builds(
    Fault, moment=st.just("cut"), path=_paths, skip=_skips, times=st.integers(1, 6), mid_line=st.booleans()
)
_unreadable = st.builds(
    Fault,
    moment=st.just("refuse"),
    method=st.just("GET"),
    path=_paths,
    status=st.sampled_from([403, 429, 503]),
    times=st.integers(1, 10),
)
faults = st.lists(
    st.one_of(_refusals, _throttles, _losses, _losses, _deaf, _deaf, _cuts, _unreadable),
    min_size=1,
    max_size=4,
).map(tuple)


def live(trouble: Callable[[World], None], *, seed: int = 1, lag: float = 0.0, deaf: bool = False) -> End:
    """One life to its rest. Who is `deaf` acts on a world that is no more, and can keep fewer promises."""
    with World(seed=seed, lag=lag) as world:
        if deaf:
            for check in (Binds(), NoneLost(), Forward()):
                world.always(check)
        else:
            watch_over(world)
        trouble(world)
        return ending(world)


@pytest.mark.timeout(900)
@given(workload=hasty_workloads, faults=faults, at=st.integers(0, 12), seed=st.integers(0, 9), lag=lags)
def test_a_host_that_fails_for_a_while_changes_nothing_in_the_end(
    workload: Workload, faults: Sequence[Fault], at: int, seed: int, lag: float
) -> None:
    reference = live(workload)
    deaf = any(fault.moment == "lose-event" for fault in faults)
    end = live(Trouble(workload, tuple(faults), at), seed=seed, lag=lag, deaf=deaf)
    same_end(end, reference, calm=False)


@pytest.mark.timeout(900)
@given(workload=calm_workloads, kill=st.integers(1, 60), seed=st.integers(0, 9), lag=lags)
def test_two_operators_without_election_bind_once_and_agree_in_the_end(
    workload: Workload, kill: int, seed: int, lag: float
) -> None:
    """Nothing but the host's own guards stands between them: versions, UIDs, names, and a node set once."""
    reference = live(workload)
    with World(seed=seed, operators=2, lag=lag, crashes=[CrashPoint(kill, "after")]) as world:
        world.always(Binds())
        world.always(lambda world: no_overcommit(world, admitted=True))
        workload(world)
        end = ending(world)
    same_end(end, reference, calm=False)
