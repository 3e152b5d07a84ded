"""The same Deployment on Kubernetes' own controllers and on ours: both say and do the same, step by step.

On one side a real API server with kube-controller-manager's Deployment and ReplicaSet controllers, on the
other our two reconcilers on a store of a few lines. Neither has a scheduler or kubelet: the test binds pods,
makes them ready and lets terminating ones vanish, alike on both. After each step it leaves them alone till
they are quiet, and compares: figures, conditions and their texts, annotations, sizes, events.
"""

import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, TypeAlias

import pytest

from builders import a_deployment, a_template
from nestling.api.json import JsonObject
from nestling.api.kinds import DEPLOYMENT, POD, REPLICA_SET
from nestling.controllers import deployment, replica_set
from nestling.host.component import CONTROLLERS
from nestling.machinery.clock import timestamp
from realhost import RealHost, real_host
from world import World, merge

pytestmark = pytest.mark.differential

FIGURES: Final = (
    "observedGeneration",
    "replicas",
    "updatedReplicas",
    "readyReplicas",
    "availableReplicas",
    "unavailableReplicas",
    "fullyLabeledReplicas",
    "terminatingReplicas",
    "collisionCount",
)
NOTES: Final = ("revision", "revision-history", "desired-replicas", "max-replicas")

FOLDED: Final = "(combined from similar events): "  # client-go's own words
SCALED: Final = re.compile(
    r"Normal ScalingReplicaSet Scaled (?:up|down) replica set (\S+) from (\d+) to (\d+)"
)

Step: TypeAlias = tuple[str, Any]


class Side(Protocol):
    """One implementation, as a user and a node see it."""

    def edit(self, patch: JsonObject) -> None:
        """Merge-patch the Deployment."""
        ...

    def drop(self, name: str) -> None:
        """Delete a pod as a user does."""
        ...

    def put_status(self, pod: JsonObject) -> None:
        """Bind a pod, if it is not yet, and write its status."""
        ...

    def reap(self) -> None:
        """Let terminating pods vanish."""
        ...

    def settle(self) -> None:
        """Wait until nobody writes any more."""
        ...

    def wait(self, seconds: int) -> None:
        """Let time pass."""
        ...

    def objects(self, kind: Literal["Deployment", "ReplicaSet", "Pod"]) -> list[JsonObject]:
        """All objects of a kind."""
        ...

    def events(self) -> list[str]:
        """What was said about the Deployment, in order."""
        ...


@dataclass
class Ours:
    """Our reconcilers on `World`."""

    world: World

    def edit(self, patch: JsonObject) -> None:
        self.world.edit(DEPLOYMENT, "web", patch)

    def drop(self, name: str) -> None:
        pod = self.world.get(POD, name)
        if "nodeName" in pod["spec"]:
            pod["metadata"]["deletionTimestamp"] = timestamp(self.world.now)
            self.world.put(pod)
        else:
            self.world.remove(pod)

    def put_status(self, pod: JsonObject) -> None:
        self.world.put(merge(pod, {"spec": {"nodeName": "n1"}}))

    def reap(self) -> None:
        self.world.reap()

    def settle(self) -> None:
        self.world.now += 1  # on the other side too every step takes a second, and age decides who goes first
        self.world.settle(deployment.CONTROLLER, replica_set.CONTROLLER)

    def wait(self, seconds: int) -> None:
        self.world.now += seconds

    def objects(self, kind: Literal["Deployment", "ReplicaSet", "Pod"]) -> list[JsonObject]:
        return self.world.all({"Deployment": DEPLOYMENT, "ReplicaSet": REPLICA_SET, "Pod": POD}[kind])

    def events(self) -> list[str]:
        # A ReplicaSet's own are of no interest here: they name pods.
        return [event for event in self.world.events if not event.split()[1].startswith("Successful")]


@dataclass
class Theirs:
    """kube-controller-manager on a real API server."""

    host: RealHost
    namespace: str
    apps: str = field(init=False)
    core: str = field(init=False)

    def __post_init__(self) -> None:
        self.apps = f"/apis/apps/v1/namespaces/{self.namespace}"
        self.core = f"/api/v1/namespaces/{self.namespace}"

    def ask(
        self, method: str, path: str, body: JsonObject | None = None, *, fine: tuple[int, ...] = ()
    ) -> Any:
        status, answer = self.host.request(method, path, body)
        assert status < 400 or status in fine, (method, path, answer)
        return answer

    def begin(self, spec: JsonObject) -> None:
        self.ask("POST", "/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        deadline = time.monotonic() + 30
        while self.host.request("GET", f"{self.core}/serviceaccounts/default")[0] != 200:
            assert time.monotonic() < deadline, "no default ServiceAccount"
            time.sleep(0.1)
        self.ask("POST", f"{self.apps}/deployments", {"metadata": {"name": "web"}, "spec": spec})

    def edit(self, patch: JsonObject) -> None:
        while True:  # its controllers write too
            path = f"{self.apps}/deployments/web"
            status, answer = self.host.request("PUT", path, merge(self.ask("GET", path), patch))
            if status < 400:
                return
            assert status == 409, answer

    def drop(self, name: str) -> None:
        self.ask("DELETE", f"{self.core}/pods/{name}")

    def put_status(self, pod: JsonObject) -> None:
        name = pod["metadata"]["name"]
        binding = {"metadata": {"name": name}, "target": {"kind": "Node", "name": "n1"}}
        self.ask("POST", f"{self.core}/pods/{name}/binding", binding, fine=(409,))
        fresh = self.ask("GET", f"{self.core}/pods/{name}")
        self.ask("PUT", f"{self.core}/pods/{name}/status", {**fresh, "status": pod["status"]})

    def reap(self) -> None:
        for pod in self.objects("Pod"):
            if "deletionTimestamp" in pod["metadata"]:
                now = {"gracePeriodSeconds": 0}
                self.ask("DELETE", f"{self.core}/pods/{pod['metadata']['name']}", now, fine=(404,))

    def settle(self) -> None:
        deadline = time.monotonic() + 30
        before, since = "", time.monotonic()
        while time.monotonic() - since < 0.8:
            assert time.monotonic() < deadline, "kube-controller-manager does not come to rest"
            now = str([(o["metadata"]["name"], o["metadata"]["resourceVersion"]) for o in self._everything()])
            if now != before:
                before, since = now, time.monotonic()
            time.sleep(0.05)

    def wait(self, seconds: int) -> None:
        time.sleep(seconds)

    def objects(self, kind: Literal["Deployment", "ReplicaSet", "Pod"]) -> list[JsonObject]:
        root = self.core if kind == "Pod" else self.apps
        return self.ask("GET", f"{root}/{kind.lower()}s")["items"]

    def events(self) -> list[str]:
        found = self.ask("GET", f"{self.core}/events")["items"]
        found = [event for event in found if event["involvedObject"]["kind"] == "Deployment"]
        found.sort(key=lambda event: int(event["metadata"]["resourceVersion"]))
        return [
            f"{event['type']} {event['reason']} {FOLDED if event['count'] > 1 else ''}{event['message']}"
            for event in found
        ]

    def _everything(self) -> list[JsonObject]:
        return [*self.objects("Deployment"), *self.objects("ReplicaSet"), *self.objects("Pod")]


# --- what is compared -----------------------------------------------------------------------------


def image_of(obj: JsonObject) -> str:
    spec = obj["spec"].get("template", obj)["spec"]
    return spec["containers"][0]["image"]


def snapshot(side: Side, names: dict[str, str]) -> JsonObject:
    """What both sides have to agree on, with ReplicaSets named after their image.

    `names` remembers those names, also of ReplicaSets that are gone.
    """
    sets = sorted(side.objects("ReplicaSet"), key=image_of)
    names.update((rs["metadata"]["name"], image_of(rs)) for rs in sets)

    def named(text: str) -> str:
        for name, image in names.items():
            text = text.replace(name, image)
        return text

    (web,) = side.objects("Deployment")
    conditions = {
        c["type"]: (c["status"], c["reason"], named(c["message"]))
        for c in web["status"].get("conditions", ())
    }
    # Whether kube-controller-manager takes the first pod of a new ReplicaSet for progress depends on how old
    # the Deployment in its cache is: one that still counts old pods as updated shows no growth.
    progressing = conditions.get("Progressing", ("", "", ""))
    if progressing[1] in {"NewReplicaSetCreated", "ReplicaSetUpdated"}:
        conditions["Progressing"] = (progressing[0], "on its way", "")
    return {
        "deployment": figures(web),
        "conditions": conditions,
        "revision": notes(web)["revision"],
        "sets": {image_of(rs): {"wanted": rs["spec"]["replicas"], **figures(rs), **notes(rs)} for rs in sets},
        "pods": Counter(
            f"{image_of(pod)}{' going' if 'deletionTimestamp' in pod['metadata'] else ''}"
            for pod in side.objects("Pod")
        ),
        "sizes": sizes_of([named(event) for event in side.events()]),
        "said": {named(event) for event in side.events() if "ScalingReplicaSet" not in event},
    }


def sizes_of(events: list[str]) -> JsonObject | None:
    """Sizes that each ReplicaSet has gone through; None if client-go has folded several events into one.

    Pods become ready one after the other there and all at once here, so the same way has more steps: only the
    turning points count.
    """
    ways: dict[str, list[int]] = {}
    for event in events:
        if FOLDED in event:
            return None
        match = SCALED.fullmatch(event)
        if match is None:
            continue
        way = ways.setdefault(match[1], [int(match[2])])
        assert way[-1] == int(match[2]), "a size that nobody told of"
        if len(way) > 1 and (way[-1] > way[-2]) == (int(match[3]) > way[-1]):
            way.pop()
        way.append(int(match[3]))
    return ways


def figures(obj: JsonObject) -> JsonObject:
    """Counts of a status. Go leaves out zeros, we write them; generations differ by the number of writes."""
    status = obj.get("status") or {}
    found = {name: status.get(name, 0) for name in FIGURES}
    found["observedGeneration"] = found["observedGeneration"] == obj["metadata"]["generation"]
    return found


def notes(obj: JsonObject) -> JsonObject:
    annotations = obj["metadata"].get("annotations") or {}
    return {name: annotations.get(f"deployment.kubernetes.io/{name}") for name in NOTES}


# --- steps ----------------------------------------------------------------------------------------


def alive(side: Side) -> list[JsonObject]:
    """Pods that still serve, in an order that is the same on both sides but for equal ones."""
    pods = [
        pod
        for pod in side.objects("Pod")
        if "deletionTimestamp" not in pod["metadata"] and (pod.get("status") or {}).get("phase") != "Failed"
    ]
    return sorted(pods, key=lambda pod: (image_of(pod), is_ready(pod), pod["metadata"]["name"]))


def is_ready(pod: JsonObject) -> bool:
    return any(
        c["type"] == "Ready" and c["status"] == "True"
        for c in (pod.get("status") or {}).get("conditions") or ()
    )


def with_status(pod: JsonObject, phase: str, *, ready: bool) -> JsonObject:
    entry = {"type": "Ready", "status": str(ready), "lastTransitionTime": timestamp(time.time() - 3600)}
    return {**pod, "status": {"phase": phase, "conditions": [entry]}}


def take(side: Side, step: Step) -> None:
    """Do one step on one side, and wait until it is quiet."""
    match step:
        case "image", str(image):
            side.edit({"spec": {"template": a_template(image=image)}})
        case "spec", dict():
            side.edit({"spec": step[1]})
        case "annotate", dict():
            side.edit({"metadata": {"annotations": step[1]}})
        case "ready", (str(image), int(number)):
            chosen = [pod for pod in alive(side) if image_of(pod) == image and not is_ready(pod)]
            for pod in chosen[:number]:
                side.put_status(with_status(pod, "Running", ready=True))
        case "unready", (str(image), int(number)):
            chosen = [pod for pod in alive(side) if image_of(pod) == image and is_ready(pod)]
            for pod in chosen[:number]:
                side.put_status(with_status(pod, "Running", ready=False))
        case "fail", (str(image), int(number)):
            for pod in [pod for pod in alive(side) if image_of(pod) == image and is_ready(pod)][:number]:
                side.put_status(with_status(pod, "Failed", ready=False))
        case "drop", (str(image), int(number)):
            for pod in [pod for pod in alive(side) if image_of(pod) == image and is_ready(pod)][:number]:
                side.drop(pod["metadata"]["name"])
        case "reap", _:
            side.reap()
        case "wait", int(seconds):
            side.wait(seconds)
        case _:
            raise AssertionError(step)
    side.settle()


ALL = 99
STORIES: dict[str, tuple[JsonObject, list[Step]]] = {
    "rolling": (
        {"replicas": 6},
        [
            ("ready", ("web:1", 3)),
            ("ready", ("web:1", ALL)),
            ("image", "web:2"),
            ("ready", ("web:2", 1)),
            ("ready", ("web:2", ALL)),
            ("reap", None),
            ("ready", ("web:2", ALL)),
            ("ready", ("web:2", ALL)),
            ("ready", ("web:2", ALL)),
            ("reap", None),
            ("image", "web:1"),
            ("ready", ("web:1", ALL)),
            ("ready", ("web:1", ALL)),
            ("ready", ("web:1", ALL)),
            ("reap", None),
        ],
    ),
    "rollover and a broken image": (
        {"replicas": 10, "strategy": {"rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}},
        [
            ("ready", ("web:1", ALL)),
            ("image", "web:2"),
            ("unready", ("web:1", 1)),
            ("image", "web:3"),
            ("ready", ("web:3", 2)),
            ("image", "web:1"),
            ("ready", ("web:1", ALL)),
            ("ready", ("web:1", ALL)),
            ("reap", None),
        ],
    ),
    "scaling amid a rollout": (
        {"replicas": 10, "strategy": {"rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}},
        [
            ("ready", ("web:1", ALL)),
            ("image", "web:2"),
            ("spec", {"replicas": 15}),
            ("ready", ("web:1", ALL)),
            ("spec", {"replicas": 4}),
            ("ready", ("web:2", ALL)),
            ("ready", ("web:2", ALL)),
            ("spec", {"replicas": 0}),
            ("reap", None),
            ("spec", {"replicas": 3}),
        ],
    ),
    "pause and resume": (
        {"replicas": 4},
        [
            ("ready", ("web:1", ALL)),
            ("spec", {"paused": True}),
            ("image", "web:2"),
            ("spec", {"replicas": 6}),
            ("ready", ("web:1", ALL)),
            ("spec", {"paused": False}),
            ("ready", ("web:2", ALL)),
            ("spec", {"paused": True}),
            ("spec", {"replicas": 12}),
            ("spec", {"paused": False}),
            ("ready", ("web:2", ALL)),
        ],
    ),
    "recreate": (
        {"replicas": 3, "strategy": {"type": "Recreate", "rollingUpdate": None}},
        [
            ("ready", ("web:1", ALL)),
            ("image", "web:2"),
            ("reap", None),
            ("ready", ("web:2", 1)),
            ("ready", ("web:2", ALL)),
            ("spec", {"replicas": 5}),
            ("image", "web:3"),
        ],
    ),
    "history": (
        {"replicas": 1, "revisionHistoryLimit": 1},
        [
            ("ready", ("web:1", ALL)),
            ("annotate", {"kubernetes.io/change-cause": "second"}),
            ("image", "web:2"),
            ("ready", ("web:2", ALL)),
            ("reap", None),
            ("image", "web:3"),
            ("ready", ("web:3", ALL)),
            ("reap", None),
            ("annotate", {"deprecated.deployment.rollback.to": "2"}),
            ("ready", ("web:2", ALL)),
            ("reap", None),
            ("annotate", {"deprecated.deployment.rollback.to": "77"}),
        ],
    ),
    "deadline": (
        {"replicas": 2, "progressDeadlineSeconds": 2},
        [("ready", ("web:1", 1)), ("wait", 5), ("ready", ("web:1", ALL)), ("image", "web:2"), ("wait", 5)],
    ),
    "no deadline": (
        {"replicas": 2, "progressDeadlineSeconds": 2**31 - 1},
        [("ready", ("web:1", ALL)), ("image", "web:2"), ("ready", ("web:2", ALL)), ("ready", ("web:2", ALL))],
    ),
    "pods come and go": (
        {"replicas": 4, "minReadySeconds": 1},
        [
            ("ready", ("web:1", ALL)),
            ("fail", ("web:1", 1)),
            ("drop", ("web:1", 2)),
            ("ready", ("web:1", ALL)),
            ("reap", None),
            ("unready", ("web:1", 3)),
            ("spec", {"minReadySeconds": 0}),
            ("spec", {"replicas": 1}),
        ],
    ),
}


# kube-controller-manager decides on caches that lag behind its own writes, so on a busy machine its answers
# vary from run to run: a difference is what differs every time.
ATTEMPTS = 3


@pytest.fixture(scope="module")
def kubernetes() -> Iterator[RealHost]:
    """A real control plane that runs Deployments and ReplicaSets."""
    with real_host(controllers=(*CONTROLLERS, "deployment-controller", "replicaset-controller")) as host:
        yield host


def first_difference(
    kubernetes: RealHost, story: str, attempt: int
) -> tuple[str, JsonObject, JsonObject] | None:
    """Play a story on both sides; where they first differ, and what each of them says (ours first)."""
    spec, steps = STORIES[story]
    full = merge(a_deployment(replicas=1)["spec"], spec)
    theirs = Theirs(kubernetes, f"story-{list(STORIES).index(story)}-{attempt}")
    native = merge(full, {"template": {"spec": {"terminationGracePeriodSeconds": 600}}})
    theirs.begin(native)
    ours = Ours(World(a_deployment(spec=full), now=time.time()))
    names: list[dict[str, str]] = [{}, {}]
    for number, step in enumerate([("wait", 0), *steps]):
        for side in (ours, theirs):
            take(side, step)
        found, expected = snapshot(ours, names[0]), snapshot(theirs, names[1])
        if expected["sizes"] is None:
            found["sizes"] = None
        if found != expected:
            return f"step {number} of {story!r}: {step}", found, expected
    return None


@pytest.mark.timeout(600)
@pytest.mark.parametrize("story", STORIES)
def test_both_sides_say_and_do_the_same(kubernetes: RealHost, story: str) -> None:
    difference = None
    for attempt in range(ATTEMPTS):
        difference = first_difference(kubernetes, story, attempt)
        if difference is None:
            return
        print(f"attempt {attempt}: {difference[0]}")
    assert difference is not None
    where, found, expected = difference
    assert found == expected, where
