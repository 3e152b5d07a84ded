"""Choose among nodes when more than the class's standing has a say: nominated pods, extenders, an own
nomination.

`Scheduler.decide` is the short way for everybody else; this is the same choice with rows taken out and scores
added. Pure: what extenders said is passed in.
Source: Kubernetes 1.37, pkg/scheduler/schedule_one.go (findNodesThatFitPod, evaluateNominatedNode,
prioritizeNodes).
"""

from collections.abc import Mapping
from zlib import crc32

import numpy as np

from nestling.scheduler.engine import RUNNERS_UP, Decision, PendingPod, Scheduler, Scored
from nestling.scheduler.explain import NO_OVERLAY, Overlay, explain
from nestling.scheduler.hints import EXTENDER
from nestling.scheduler.standing import REFUSED, Standing
from nestling.scheduler.table import BoolArray


def feasible(standing: Standing, overlay: Overlay) -> BoolArray:
    """Places where the pod may go, with the overlay's rows left out."""
    if not overlay:
        return standing.feasible
    mask = standing.feasible.copy()
    if standing.only is None:
        mask[list(overlay)] = False
        return mask
    for row in overlay:
        place = standing.place(row)
        if place is not None:
            mask[place] = False
    return mask


def only_node(standing: Standing, mask: BoolArray, node: str) -> BoolArray | None:
    """The mask of one node alone if the pod may go there, else None: a nominated node is looked at first."""
    row = standing.nodes.row_of.get(node)
    place = standing.place(row) if row is not None else None
    if place is None or not mask[place]:
        return None
    alone = np.zeros(len(mask), np.bool_)
    alone[place] = True
    return alone


def names_of(standing: Standing, mask: BoolArray) -> list[str]:
    """Names of the nodes in a mask."""
    return [standing.nodes.names[standing.row(place)] for place in np.flatnonzero(mask).tolist()]


def choose(
    engine: Scheduler,
    wish: PendingPod,
    standing: Standing,
    mask: BoolArray,
    overlay: Overlay = NO_OVERLAY,
    bonus: Mapping[str, int] | None = None,
) -> Decision:
    """The best node of a mask, or the refusal if the mask is empty; `bonus` is what extenders add, by
    node."""
    count = int(np.count_nonzero(mask))
    if not count:
        return Decision(wish, engine.nodes.count, refusal=explain(standing, overlay))
    total = standing.totals_over(mask).astype(np.int64)
    for node, more in (bonus or {}).items():
        row = standing.nodes.row_of.get(node)
        place = standing.place(row) if row is not None else None
        if place is not None and mask[place]:
            total[place] += more
    total[~mask] = REFUSED
    best = np.flatnonzero(total == total.max())
    turn = crc32(wish.name.encode(), engine.seed) % len(best)
    first = int(best[turn])
    order = [first, *np.roll(best, -turn)[1:].tolist()]
    if len(order) <= RUNNERS_UP:
        rest = np.argsort(-total, kind="stable")
        order += [place for place in rest[: RUNNERS_UP + len(order) + 1].tolist() if place not in order]
    names = standing.nodes.names
    runners = tuple(
        Scored(names[standing.row(place)], int(total[place]))
        for place in order[1 : RUNNERS_UP + 1]
        if mask[place]
    )
    node = names[standing.row(first)]
    shares = standing.shares_over(first, mask)
    if bonus:
        shares[EXTENDER] = bonus.get(node, 0)
    return Decision(wish, engine.nodes.count, node, int(total[first]), count, runners, shares=shares)
