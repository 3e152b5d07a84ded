"""Ordinals: the number at the end of a pod's name, by which a StatefulSet knows its pods.

Source: Kubernetes 1.37, pkg/controller/statefulset/stateful_set_utils.go (getParentNameAndOrdinal).
"""

import re
from typing import Final

from nestling.machinery.names import Key
from nestling.machinery.records.pod import Pod
from nestling.machinery.records.revisioned import StatefulSet
from nestling.machinery.records.workload import INT32_MAX

NONE: Final = -1

_NAME: Final = re.compile(r"(.*)-([0-9]+)", re.ASCII)


def is_member(sts: StatefulSet, pod: Pod) -> bool:
    """Whether the pod's name is one that this StatefulSet could have given it."""
    match = _NAME.fullmatch(pod.key.name)
    return match is not None and match[1] == sts.key.name


def ordinal_of(pod: Pod) -> int:
    """The number of a pod, NONE if it has none, or none that its StatefulSet would spell so."""
    match = _NAME.fullmatch(pod.key.name)
    if match is None or len(match[2]) > 10:
        return NONE
    number = int(match[2])
    return number if number <= INT32_MAX and str(number) == match[2] else NONE


def key_at(sts: StatefulSet, ordinal: int) -> Key:
    """Where the pod of this number lives."""
    return sts.key._replace(name=f"{sts.key.name}-{ordinal}")
