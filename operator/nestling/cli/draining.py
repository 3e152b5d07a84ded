"""Which pods of a node a drain takes, leaves, or stops at.

Pure; filters, their order and their words are kubectl's. Of several warnings the last one stands.
Source: Kubernetes 1.37, kubectl/pkg/drain/filters.go.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from nestling.api.json import JsonObject
from nestling.api.kinds import DAEMON_SET, POD
from nestling.machinery.clock import seconds_or
from nestling.machinery.names import key_of
from nestling.machinery.records.pod import TERMINAL_PHASES

DAEMON_SET_STOPS: Final = "DaemonSet-managed Pods (use --ignore-daemonsets to ignore)"
DAEMON_SET_LEFT: Final = "ignoring DaemonSet-managed Pods"
LOCAL_STORAGE_STOPS: Final = "Pods with local storage (use --delete-emptydir-data to override)"
LOCAL_STORAGE_LOST: Final = "deleting Pods with local storage"
UNMANAGED_STOPS: Final = "Pods that declare no controller (use --force to override)"
UNMANAGED_LOST: Final = "deleting Pods that declare no controller"
MIRROR: Final = "kubernetes.io/config.mirror"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a drain may do; as kubectl's flags of the same names."""

    force: bool = False
    ignore_daemonsets: bool = False
    delete_emptydir_data: bool = False
    skip_deleted_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one pod: `goes`, with a `warning`, or a reason to stop the drain (`stops`)."""

    goes: bool
    warning: str = ""
    stops: str = ""


def verdict(pod: JsonObject, wishes: Wishes, daemon_sets: Iterable[str], now: float) -> Verdict:
    """What a drain does with a pod; `daemon_sets` are the UIDs of those that exist."""
    meta, spec = pod["metadata"], pod.get("spec") or {}
    if 0 < wishes.skip_deleted_after_s < now - seconds_or(meta.get("deletionTimestamp"), now):
        return Verdict(goes=False)
    ended = (pod.get("status") or {}).get("phase") in TERMINAL_PHASES
    owner = next((ref for ref in meta.get("ownerReferences") or () if ref.get("controller")), None)
    warning = ""
    if owner is not None and owner["kind"] == DAEMON_SET.name and not ended:
        if owner["uid"] not in daemon_sets:
            missing = f'{DAEMON_SET.plural}.{DAEMON_SET.group} "{owner["name"]}" not found'
            if not wishes.force:
                return Verdict(goes=False, stops=missing)
            warning = missing
        elif not wishes.ignore_daemonsets:
            return Verdict(goes=False, stops=DAEMON_SET_STOPS)
        else:
            return Verdict(goes=False, warning=DAEMON_SET_LEFT)
    if MIRROR in (meta.get("annotations") or {}):
        return Verdict(goes=False)
    if any("emptyDir" in volume for volume in spec.get("volumes") or ()) and not ended:
        if not wishes.delete_emptydir_data:
            return Verdict(goes=False, stops=LOCAL_STORAGE_STOPS)
        warning = LOCAL_STORAGE_LOST
    if owner is None and not ended:
        if not wishes.force:
            return Verdict(goes=False, stops=UNMANAGED_STOPS)
        warning = UNMANAGED_LOST
    return Verdict(goes=True, warning=warning)


def grouped(texts: Iterable[tuple[str, JsonObject]]) -> list[str]:
    """`text: namespace/name, namespace/name` per text, in order of first appearance."""
    found: dict[str, list[str]] = {}
    for text, pod in texts:
        if text:
            found.setdefault(text, []).append(display(pod))
    return [f"{text}: {', '.join(pods)}" for text, pods in found.items()]


def display(pod: JsonObject) -> str:
    """`namespace/name` of a pod in its virtual cluster."""
    meta = pod["metadata"]
    return key_of(POD, meta.get("namespace", ""), meta["name"]).display
