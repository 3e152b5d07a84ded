"""Do one action of a scenario on a side: the same requests, whatever answers them.

A side is a client, the namespace that the scenario has there, and what was seen of it. The few things that no
API does, killing a machine and letting time pass, each side does in its own way.
"""

import copy
from abc import ABC, abstractmethod
from typing import Any, Final

from chronicle import ANY, Chronicle
from scenario import (
    NODE_LABEL,
    SHARED,
    SHARED_NODES,
    Action,
    Scenario,
    code_of,
    complete,
    number_of,
    propagation_of,
    spelt_out,
)

from nestling.api.json import JsonObject
from nestling.api.kinds import Kind, Uid
from nestling.machinery.client import PATCH_TYPES, Client

SIMULATION: Final = "sim.nestling.dev/"
_OF_ONE: Final = frozenset({"scale", "undo"})
"""Verbs whose number says something else than how many objects are meant."""
REVISION: Final = "deployment.kubernetes.io/revision"


class Side(ABC):
    """One implementation with one scenario on it, as its user sees it."""

    namespace: str
    """Where its objects are."""

    def __init__(self, scenario: Scenario, client: Client, place: str) -> None:
        self.scenario = scenario
        self.client = client
        self.place = place
        self.seen = Chronicle()
        for name in scenario.nodes:
            mask = "<node>" if scenario.alike else f"<node {name}>"
            self.seen.masks.add(self.node_name(name), mask)
        self.seen.masks.add(place, "<scenario>")

    @property
    def nodes(self) -> str:
        """The value of the node label that this scenario's pods select."""
        return self.place if self.scenario.nodes else SHARED

    def node_name(self, name: str) -> str:
        """The whole name of a node of this scenario, or of those that all share."""
        return f"{self.place}-{name}" if name in self.scenario.nodes else name

    def node_labels(self, name: str) -> dict[str, str]:
        """The labels that a node is made with."""
        full = self.node_name(name)
        own: dict[str, str] = self.scenario.nodes.get(name, {})
        return {NODE_LABEL: self.nodes, "kubernetes.io/hostname": full, "kubernetes.io/os": "linux", **own}

    @property
    def node_names(self) -> tuple[str, ...]:
        """The nodes that the scenario's pods can go to."""
        return tuple(self.scenario.nodes) or SHARED_NODES

    @abstractmethod
    def kind(self, native: str) -> Kind:
        """The kind that a native one is there."""

    @abstractmethod
    def native(self, manifest: JsonObject) -> JsonObject:
        """A native manifest as it is written there."""

    @abstractmethod
    def now(self) -> float:
        """Seconds since 1970."""

    @abstractmethod
    async def wait(self, seconds: float) -> None:
        """Let time pass."""

    @abstractmethod
    async def power(self, node: str, *, on: bool) -> None:
        """Switch a machine off or on."""

    # What a user does.

    async def act(self, action: Action) -> None:
        """Do one action."""
        verb, argument = action
        argument = spelt_out(argument, place=self.place, now=self.now())
        match verb:
            case "settle":
                pass
            case "wait":
                await self.wait(argument)
            case "minute":
                await self.wait(60 - self.now() % 60 + argument)
            case "create":
                for manifest in argument if isinstance(argument, list) else [argument]:
                    await self.create(manifest)
            case "power":
                for name, on in argument.items():
                    await self.power(self.node_name(name), on=on)
            case "cordon" | "taint" | "label":
                for name, value in argument.items():
                    await self._change_node(verb, self.node_name(name), value)
            case _:
                for target, value in argument.items():
                    await self._act_on(verb, target, value)

    async def create(self, manifest: JsonObject) -> None:
        """Create an object from a manifest that may leave things out."""
        body = self.native(complete(manifest, self.nodes))
        await self.client.create(self.kind(manifest["kind"]), self.namespace, body)

    async def _change_node(self, verb: str, node: str, value: Any) -> None:
        path = self.kind("Node").path(self.node_space, node)
        body: JsonObject
        match verb:
            case "cordon":
                body = {"spec": {"unschedulable": value or None}}
            case "taint":
                # A merge patch replaces the list, and node controllers have entries in it too.
                found = await self.client.call("GET", path)
                theirs = (found.get("spec") or {}).get("taints") or []
                kept = [taint for taint in theirs if taint["key"].startswith("node.kubernetes.io/")]
                body = {"spec": {"taints": [*kept, *value] or None}}
            case _:
                body = {"metadata": {"labels": value}}
        await self.client.call("PATCH", path, body=body, content_type=PATCH_TYPES["merge"])

    @property
    def node_space(self) -> str | None:
        """The host namespace of nodes; None where they have none."""
        return None

    async def _act_on(self, verb: str, target: str, value: Any) -> None:
        kind = self.kind(target.partition("/")[0])
        found = self.seen.found(target)
        # What is being deleted is not meant where others are left.
        found.sort(key=lambda obj: "deletionTimestamp" in obj["metadata"])
        assert found or target.endswith(f"/{ANY}"), (
            f"{self.scenario.name}: nothing is called {target}; {sorted(self.seen.names.values())}"
        )
        for obj in found[: 1 if verb in _OF_ONE else number_of(value)]:
            name = obj["metadata"]["name"]
            match verb:
                case "patch":
                    await self.client.patch(kind, self.namespace, name, value)
                case "status":
                    body = {"status": value}
                    await self.client.patch(kind, self.namespace, name, body, subresource="status")
                case "scale":
                    body = {"spec": {"replicas": value}}
                    await self.client.patch(kind, self.namespace, name, body, subresource="scale")
                case "image":
                    await self._set_image(kind, name, str(value))
                case "undo":
                    await self._undo(kind, obj, int(value))
                case "delete":
                    uid = Uid(obj["metadata"]["uid"])
                    policy = propagation_of(value)
                    await self.client.delete(kind, self.namespace, name, uid=uid, propagation=policy)
                case "exit":
                    await self._script(kind, name, {"run-duration": "0s", "exit-code": code_of(value)})
                case "use":
                    usage = {resource: str(much) for resource, much in value.items() if resource != "number"}
                    await self._script(kind, name, usage)
                case "ready" | "unready":
                    await self._script(kind, name, {"readiness": "never" if verb == "unready" else "auto"})
                case _:
                    raise AssertionError(verb)

    async def _script(self, kind: Kind, name: str, settings: dict[str, str]) -> None:
        annotations = {f"{SIMULATION}{setting}": text for setting, text in settings.items()}
        await self.client.patch(kind, self.namespace, name, {"metadata": {"annotations": annotations}})

    async def _set_image(self, kind: Kind, name: str, image: str) -> None:
        found = await self.client.get(kind, self.namespace, name)
        path = "/spec/jobTemplate/spec/template" if "jobTemplate" in found["spec"] else "/spec/template"
        await self._json_patch(kind, name, f"{path}/spec/containers/0/image", image)

    async def _undo(self, kind: Kind, obj: JsonObject, revision: int) -> None:
        """As `kubectl rollout undo` does, the template of a revision becomes that of the object again."""
        kept = {
            _revision(other): other
            for place, other in self.seen.objects.items()
            if place[0] in {"ReplicaSet", "ControllerRevision"} and _is_of(other, obj)
        }
        chosen = kept[revision or sorted(kept)[-2]]
        template = copy.deepcopy((chosen.get("spec") or chosen["data"]["spec"])["template"])
        template.pop("$patch", None)
        template["metadata"]["labels"].pop("pod-template-hash", None)
        await self._json_patch(kind, obj["metadata"]["name"], "/spec/template", template)

    async def _json_patch(self, kind: Kind, name: str, path: str, value: Any) -> None:
        body = [{"op": "replace", "path": path, "value": value}]
        await self.client.patch(kind, self.namespace, name, body, how="json")


def _is_of(obj: JsonObject, owner: JsonObject) -> bool:
    uids = [one["uid"] for one in obj["metadata"].get("ownerReferences") or ()]
    return owner["metadata"]["uid"] in uids


def _revision(obj: JsonObject) -> int:
    annotations: dict[str, str] = obj["metadata"].get("annotations") or {}
    return int(obj.get("revision") or annotations.get(REVISION) or 0)
