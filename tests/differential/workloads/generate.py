"""Scenarios nobody has thought of: random steps on one workload, the same for the same seed.

Each kind has its own drawer of steps. A step must make sense in every state that the ones before can have
led to, and lead to a state that does not depend on who was quicker: so pods are chosen by name and not by
age, and times are either over or far away.
"""

from collections.abc import Callable
from random import Random
from typing import Any, Final

from scenario import Scenario, parse

from nestling.api.json import JsonObject

HOLD: Final = {"sim.nestling.dev/run-duration": "1h"}
Draw = Callable[[Random], Any]


def generated(seed: int, kinds: tuple[str, ...] = ()) -> Scenario:
    """The scenario of a seed, about one of these kinds (or of all)."""
    random = Random(seed)
    kind = random.choice(kinds or KINDS)
    first, drawer, nodes = _DRAWERS[kind]
    steps = [first(random)]
    steps += [random.choice(drawer)(random) for _ in range(random.randint(4, 7))]
    document: JsonObject = {"about": f"Steps drawn from seed {seed}.", "steps": steps}
    if nodes:
        document["nodes"] = ["a", "b", "c"]
    if kind in _NEEDS:
        document["needs"] = [_NEEDS[kind]]
    return parse(f"generated/{kind.lower()}-{seed}", document)


def _on(target: str, verb: str, *values: Any) -> Draw:
    """A step that does one thing with one of these values."""
    return lambda random: {verb: {target: random.choice(values)}}


def _patch(target: str, *specs: JsonObject) -> Draw:
    return _on(target, "patch", *({"spec": spec} for spec in specs))


def _pods(*verbs: str) -> list[Draw]:
    return [_on("Pod/*", verb, 1, 2, 99 if verb == "ready" else 3) for verb in verbs]


def _node(verb: str, *values: Any) -> Draw:
    return lambda random: {verb: {random.choice("abc"): random.choice(values)}}


def _create(kind: str, *specs: JsonObject) -> Draw:
    def draw(random: Random) -> JsonObject:
        spec: JsonObject = {}
        for part in specs:  # each part is a table of alternatives by field
            spec |= {field: random.choice(values) for field, values in part.items()}
        return {"create": {"kind": kind, "metadata": {"name": "web"}, "spec": spec}}

    return draw


def _images(target: str) -> Draw:
    return _on(target, "image", "web:1", "web:2", "web:3", "fail/web")


_TOGETHER: Final = _pods("delete", "unready", "ready")
_HELD: Final = {"metadata": {"annotations": HOLD}}
# No taints for DaemonSets: the original does not look when a NoSchedule taint makes a pod misplaced, so that
# its figures wait for another reason; and of a NoExecute taint it tells only if it is the quicker to delete.
_DRAWERS: Final[dict[str, tuple[Draw, list[Draw], bool]]] = {
    "ReplicaSet": (
        _create("ReplicaSet", {"replicas": [0, 1, 3, 5], "minReadySeconds": [0, 0, 600]}),
        [
            _on("ReplicaSet/web", "scale", 0, 1, 2, 4, 6),
            _patch("ReplicaSet/web", {"minReadySeconds": 0}, {"minReadySeconds": 600}),
            _on("Pod/*", "patch", {"metadata": {"labels": {"more": "x"}}}),
            *_TOGETHER,
        ],
        False,
    ),
    "Deployment": (
        _create(
            "Deployment",
            {
                "replicas": [1, 2, 4],
                "revisionHistoryLimit": [0, 1, 10],
                "strategy": [
                    {"type": "Recreate"},
                    {"type": "RollingUpdate"},
                    {"rollingUpdate": {"maxSurge": 2, "maxUnavailable": 0}},
                    {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
                ],
            },
        ),
        [
            _on("Deployment/web", "scale", 0, 1, 2, 3, 5),
            _images("Deployment/web"),
            _images("Deployment/web"),
            _patch("Deployment/web", {"paused": True}, {"paused": False}),
            _on("Deployment/web", "patch", *({"metadata": {"annotations": {"a": v}}} for v in "bc")),
            *_pods("delete"),
        ],
        False,
    ),
    "StatefulSet": (
        _create(
            "StatefulSet",
            {
                "replicas": [1, 2, 3],
                "podManagementPolicy": ["OrderedReady", "Parallel"],
                "revisionHistoryLimit": [0, 10],
                "ordinals": [{"start": 0}, {"start": 3}],
            },
        ),
        [
            _on("StatefulSet/web", "scale", 0, 1, 2, 4),
            _images("StatefulSet/web"),
            _patch(
                "StatefulSet/web",
                {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}},
                {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}},
                {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}},
            ),
            *_TOGETHER,
        ],
        False,
    ),
    "DaemonSet": (
        _create(
            "DaemonSet",
            {
                "minReadySeconds": [0, 0, 600],
                "updateStrategy": [
                    {"type": "OnDelete"},
                    {"rollingUpdate": {"maxUnavailable": 1}},
                    {"rollingUpdate": {"maxUnavailable": "100%"}},
                ],
            },
        ),
        [
            _images("DaemonSet/web"),
            _node("cordon", True, False),
            _node("label", {"role": "x"}, {"role": None}),
            _patch("DaemonSet/web", {"minReadySeconds": 0}, {"minReadySeconds": 600}),
            *_pods("delete", "ready"),
        ],
        True,
    ),
    "Job": (
        _create(
            "Job",
            {
                "parallelism": [1, 2, 3],
                "completions": [2, 4, 5],
                "completionMode": ["NonIndexed", "Indexed"],
                "backoffLimit": [6],
                "suspend": [False, False, True],
                "template": [_HELD],
            },
        ),
        [
            _patch("Job/web", {"suspend": True}, {"suspend": False}),
            _patch("Job/web", {"parallelism": 0}, {"parallelism": 1}, {"parallelism": 3}),
            _on("Pod/*", "exit", 1, 2, 3),
            _on("Pod/*", "exit", 1, 2, 3),
        ],
        False,
    ),
}
_NEEDS: Final = {"StatefulSet": "statefulset", "DaemonSet": "daemonset", "Job": "job"}
KINDS: Final = tuple(_DRAWERS)
