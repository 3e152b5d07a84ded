"""What both sides have to agree on: the objects of a chronicle, and everything that was said.

An object becomes its labels, annotations, owners, finalizers, spec and status, with masked names and without
zero values, for Go leaves out zeros where we write them. Times shrink to whether they are set. Of a pod's
status only that part is kept which controllers read or write: how a kubelet describes containers is judged
elsewhere. Objects of one masked name are a multiset. What is left out on purpose stands in `intended`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

import intended
import orjson
from chronicle import Chronicle
from scenario import NODE_LABEL, native_name

from nestling.api.json import JsonObject

Picture: TypeAlias = dict[str, dict[str, int]]
"""By kind and masked name, or by event: how the objects look, as JSON, and how many look so."""

# The API server's, the kubelet's and each side's own.
_METADATA: Final = ("labels", "annotations", "finalizers")
_FOREIGN: Final = ("nestling.dev/", "sim.nestling.dev/", "kwok.x-k8s.io/", "kubectl.kubernetes.io/")
_PASSING: Final = frozenset({"endpoints.kubernetes.io/last-change-trigger-time"})
# Times that say when something was last looked at, and not that it has happened.
_RESTLESS: Final = frozenset({"lastTransitionTime", "lastUpdateTime", "lastProbeTime", "lastHeartbeatTime"})
# The two sides live at different times of day; whole minutes and the time zone stay.
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?=:\d\d)")
_SCALED: Final = re.compile(intended.SCALED)
_UNORDERED: Final = re.compile(intended.UNORDERED)
_UNSAID: Final = re.compile(intended.UNSAID)
_ADDRESSES: Final = frozenset({"clusterIP", "clusterIPs", "addresses", "nodePort", "podIP", "hostIP"})


def picture(chronicle: Chronicle) -> Picture:
    """The world as it is now, and everything that was said so far."""
    found: dict[str, Counter[str]] = {}
    for name, obj in chronicle:
        if obj["kind"] in {"Event", "Namespace"}:
            continue
        seen = found.setdefault(f"{obj['kind']}/{name}", Counter())
        seen[orjson.dumps(_look(chronicle, obj), option=orjson.OPT_SORT_KEYS).decode()] += 1
    said = [text for event in chronicle.said if (text := _sentence(chronicle, event))]
    sentences = [text for text in said if not _UNSAID.search(text)]
    for text in sentences:
        if not _SCALED.search(text):
            found.setdefault(f"Event {text}", Counter())["said"] += 1
        if text.split()[2] in intended.SAID_AGAIN:
            found[f"Event {text}"]["said"] = 1
    for name, way in _ways(sentences).items():
        found[f"Sizes of {name}"] = Counter([orjson.dumps(way).decode()])
    return {key: dict(looks) for key, looks in found.items()}


def _ways(sentences: Iterable[str]) -> dict[str, list[int]]:
    """The turning points of the sizes that each ReplicaSet has gone through, as `intended.SCALED` says."""
    ways: dict[str, list[int]] = {}
    for text in sentences:
        match = _SCALED.search(text)
        if match is None:
            continue
        way = ways.setdefault(match[1], [int(match[2])])
        if len(way) > 1 and (way[-1] > way[-2]) == (int(match[3]) > way[-1]):
            way.pop()
        way.append(int(match[3]))
    return ways


def differences(ours: Picture, theirs: Picture) -> list[str]:
    """Lines about everything that is not alike, for people."""
    return [
        line
        for key in sorted(ours.keys() | theirs.keys())
        if ours.get(key) != theirs.get(key)
        for line in _difference(key, ours.get(key, {}), theirs.get(key, {}))
    ]


def _difference(key: str, ours: Mapping[str, int], theirs: Mapping[str, int]) -> Iterator[str]:
    if key.startswith("Event "):
        yield f"{key}: {ours.get('said', 0)} times here, {theirs.get('said', 0)} there"
        return
    here = list((Counter(ours) - Counter(theirs)).elements())
    there = list((Counter(theirs) - Counter(ours)).elements())
    for mine, other in zip(here, there, strict=False):
        for path, (a, b) in sorted(_paths(orjson.loads(mine), orjson.loads(other))):
            yield f"{key}{path}: {a} here, {b} there"
    for number, side, rest in (
        (len(here) - len(there), "here", here[len(there) :]),
        (len(there) - len(here), "there", there[len(here) :]),
    ):
        if number > 0:
            yield f"{key}: {number} more {side}: {rest[0][:600]}"


def _paths(ours: Any, theirs: Any, path: str = "") -> Iterator[tuple[str, tuple[str, str]]]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in ours.keys() | theirs.keys():
            if ours.get(key) != theirs.get(key):
                yield from _paths(ours.get(key), theirs.get(key), f"{path}.{key}")
    elif ours != theirs:
        yield path, (_short(ours), _short(theirs))


def _reference(chronicle: Chronicle, found: JsonObject) -> str:
    return f"{native_name(found['kind'])}/{chronicle.name_of(native_name(found['kind']), found['name'])}"


def _short(value: Any) -> str:
    return "nothing" if value is None else orjson.dumps(value).decode()[:400]


def _look(chronicle: Chronicle, obj: JsonObject) -> JsonObject:
    kind, meta, spec = obj["kind"], obj["metadata"], obj.get("spec") or {}
    status: JsonObject = {k: v for k, v in (obj.get("status") or {}).items() if k not in intended.STATUS}
    look: JsonObject = {name: meta.get(name) for name in _METADATA}
    if kind in intended.LABELLED_BY_TEMPLATE:
        del look["labels"]
    look["deleting"] = "deletionTimestamp" in meta
    look["owners"] = [_owner(chronicle, owner) for owner in meta.get("ownerReferences") or ()]
    if "observedGeneration" in status:
        status = {**status, "observedGeneration": status["observedGeneration"] >= meta["generation"]}
    match kind:
        case "Node":
            return _clean(chronicle, {name: spec.get(name) for name in intended.NODE})
        case "Pod":
            look["spec"] = _pod_spec(spec)
            look["status"] = _pod_status(status)
        case "ControllerRevision":
            look["revision"] = obj.get("revision")
        case "EndpointSlice":
            look["addressType"] = obj.get("addressType")
            # Natively in the order of their hashes, which is none.
            look["ports"] = sorted(obj.get("ports") or (), key=orjson.dumps)
            look["endpoints"] = [_endpoint(entry) for entry in obj.get("endpoints") or ()]
        case "CronJob":
            active = [_reference(chronicle, job) for job in status.get("active") or ()]
            look["spec"], look["status"] = _workload_spec(spec), {**status, "active": active}
        case _:
            look["spec"], look["status"] = _workload_spec(spec), status
    found = _clean(chronicle, look)
    if kind == "EndpointSlice" and "endpoints" in found:
        found["endpoints"].sort(key=orjson.dumps)  # by masked names now
    if kind != "Node" and isinstance(found.get("status"), dict) and "conditions" in found["status"]:
        # Their order is that of their first appearance; nobody reads it.
        found["status"]["conditions"].sort(key=orjson.dumps)
    return found


def _owner(chronicle: Chronicle, owner: JsonObject) -> str:
    words = [f"{owner['kind']}/{chronicle.name_of(owner['kind'], owner['name'])}"]
    words += [flag for flag in ("controller", "blockOwnerDeletion") if owner.get(flag)]
    return " ".join(words)


def _workload_spec(spec: JsonObject) -> JsonObject:
    found = intended.without_rolling_defaults(spec)
    if isinstance(found.get("template"), dict) and "spec" in found["template"]:
        found["template"] = {
            **found["template"],
            "spec": intended.without_defaults(found["template"]["spec"]),
        }
    if "jobTemplate" in found:
        found["jobTemplate"] = {
            **found["jobTemplate"],
            "spec": _workload_spec(found["jobTemplate"].get("spec") or {}),
        }
    return found


def _pod_spec(spec: JsonObject) -> JsonObject:
    return {**intended.without_defaults(spec), "bound": "nodeName" in spec}


def _pod_status(status: JsonObject) -> JsonObject:
    return {
        "phase": status.get("phase"),
        "reason": status.get("reason"),
        "message": status.get("message"),
        "conditions": [
            {name: entry.get(name) for name in ("type", "status", "reason", "message")}
            for entry in status.get("conditions") or ()
            if entry["type"] in intended.POD_CONDITIONS
        ],
        "containers": [_container(entry) for entry in status.get("containerStatuses") or ()],
    }


def _container(entry: JsonObject) -> JsonObject:
    state = next(iter(entry.get("state") or {"waiting": {}}))
    found: JsonObject = {"ready": entry.get("ready"), "restarts": entry.get("restartCount"), "state": state}
    if state == "terminated":
        found["exit"] = entry["state"]["terminated"].get("exitCode")
    return found


def _endpoint(endpoint: JsonObject) -> JsonObject:
    target: JsonObject = endpoint.get("targetRef") or {}
    kept: JsonObject = {"target": target.get("name"), "conditions": endpoint.get("conditions")}
    kept["addresses"] = len(endpoint.get("addresses") or ())
    return kept


def _clean(chronicle: Chronicle, value: Any, key: str = "") -> Any:
    """The value with masked texts, and without zeros, passing times and what belongs to one side alone."""
    if isinstance(value, dict):
        kept: JsonObject = {}
        for name, entry in value.items():
            if (
                name in _RESTLESS
                or name == intended.TAINT_TIME
                or name in _PASSING
                or name.startswith(_FOREIGN)
                or name == NODE_LABEL
            ):
                continue
            found = "some" if name in _ADDRESSES and entry not in ("None", ["None"]) else None
            found = found if found and entry else _clean(chronicle, entry, name)
            if found or (isinstance(found, str) and key in {"labels", "annotations"}):
                kept[chronicle.masks.of(name)] = found
        return kept
    if isinstance(value, list):
        items = [_clean(chronicle, entry, key) for entry in value]
        if key == "finalizers":
            items = [item for item in items if not item.startswith(_FOREIGN)]
        return items
    if isinstance(value, str):
        if key.endswith(("Time", "Timestamp")):
            return "set"
        return _MOMENT.sub("<time>", _text(chronicle, value))
    return value


def _sentence(chronicle: Chronicle, event: JsonObject) -> str:
    about: JsonObject = event["involvedObject"]
    who = (event.get("source") or {}).get("component") or event.get("reportingComponent") or ""
    if who in intended.SILENT or about["kind"] == "Node":
        return ""
    name = chronicle.name_of(about["kind"], about["name"])
    return (
        f"{about['kind']}/{name} {event['type']} {event['reason']} "
        f"{_text(chronicle, event['message'])} ({who})"
    )


def _text(chronicle: Chronicle, text: str) -> str:
    return _UNORDERED.sub(lambda m: f"(e.g. {sorted(m[1].split())})", chronicle.masks.of(text))
