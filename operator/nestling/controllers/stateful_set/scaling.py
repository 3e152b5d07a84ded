"""Which pods come and which go, so that there are those whose numbers are wanted, and no others.

In order, the default: a pod comes when all before it are available, one at a time; the highest goes first,
when all that stay are available. In parallel: all at once. In either way a pod that has ended is deleted and
its successor waits until it is gone: no number is ever given twice.
Source: Kubernetes 1.37, pkg/controller/statefulset/stateful_set_control.go (processReplica,
processCondemned).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from nestling.api.kinds import POD
from nestling.controllers.stateful_set.creation import identity, pod_at
from nestling.controllers.stateful_set.events import done, refused
from nestling.controllers.stateful_set.look import Look
from nestling.controllers.stateful_set.ordinal import key_at
from nestling.machinery.plan import Create, Delete, Patch
from nestling.machinery.records.pod import Pod

# Creates or deletes of one look in parallel; the rest waits for the next.
BURST: Final = 500


@dataclass(frozen=True, slots=True)
class Step:
    """Writes, and whether everything further has to wait for what becomes of them."""

    writes: tuple[Create | Patch | Delete, ...] = ()
    last: bool = False
    why: str = ""


def in_order(look: Look) -> Step:
    """The next step of a StatefulSet whose pods come and go one after the other."""
    writes: list[Create | Patch | Delete] = []
    for ordinal in look.ordinals:
        pod = look.pods.get(ordinal)
        if pod is None:
            return Step((*writes, creation(look, ordinal)), last=True, why=f"pod {ordinal} is next")
        if pod.terminal:
            ended = () if pod.deleting else (deletion(look, pod),)
            return Step((*writes, *ended), last=True, why=f"pod {ordinal} has ended")
        if pod.deleting or not look.ready(pod) or not look.available(pod):
            return Step(tuple(writes), last=True, why=f"pod {ordinal} is not available")
        writes += _identified(look, ordinal, pod)
    if not look.condemned:
        return Step(tuple(writes))
    highest = look.condemned[0]
    if highest.deleting:
        return Step(tuple(writes), last=True, why=f"{highest.key.name} is on its way out")
    if not (look.ready(highest) and look.available(highest)) and highest is not _first_unhealthy(look):
        return Step(tuple(writes), last=True, why="another surplus pod is not well")
    return Step((*writes, deletion(look, highest)), last=True, why=f"{highest.key.name} is too many")


def in_parallel(look: Look) -> Step:
    """The next step of a StatefulSet whose pods come and go as they like."""
    creates: list[Create] = []
    patches: list[Patch] = []
    deletes: list[Delete] = []
    for ordinal in look.ordinals:
        pod = look.pods.get(ordinal)
        if pod is None:
            creates.append(creation(look, ordinal))
            if len(creates) == BURST:
                break
        elif not pod.terminal:
            patches += _identified(look, ordinal, pod)
        elif not pod.deleting:
            deletes.append(deletion(look, pod))
    deletes += [deletion(look, pod) for pod in look.condemned if not pod.deleting]
    return Step((*creates, *patches, *deletes[:BURST]), why="all at once")


def creation(look: Look, ordinal: int) -> Create:
    """The creation of the pod of this number."""
    key = key_at(look.sts, ordinal)
    return Create(
        POD,
        key,
        pod_at(look, ordinal),
        on_success=done(look.sts, "Create", key),
        on_failure=refused(look.sts, "Create", key),
    )


def deletion(look: Look, pod: Pod) -> Delete:
    """The deletion of one pod."""
    return Delete(
        POD,
        pod.key,
        pod.uid,
        on_success=done(look.sts, "Delete", pod.key),
        on_failure=refused(look.sts, "Delete", pod.key),
    )


def _identified(look: Look, ordinal: int, pod: Pod) -> Iterator[Patch]:
    """The labels of a pod that has lost them, or was taken in without."""
    labels = identity(pod.key, ordinal)
    name = next(iter(labels))
    if pod.labels.get(name) != labels[name]:
        yield Patch(
            POD,
            pod.key,
            pod.uid,
            {"metadata": {"labels": labels}},
            version=pod.version,
            on_success=done(look.sts, "Update", pod.key),
            on_failure=refused(look.sts, "Update", pod.key),
        )


def _first_unhealthy(look: Look) -> Pod | None:
    """The surplus pod of the lowest number that is not available; all others are, or nothing would go."""
    return next((pod for pod in reversed(look.condemned) if look.unavailable(pod)), None)
