"""What can be wrong between a user and a running virtual cluster, one check each.

A check asks the host and answers with findings: what was found, how bad it is, and the next step. Checks
never raise for what they are there to find; later ones are skipped when what they stand on is missing.
"""

import datetime as dt
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Final, Literal, TypeAlias

from nestling.api import kinds
from nestling.api.json import JsonObject
from nestling.cli import age, definitions, leases
from nestling.cli.explanation import scheduling_of
from nestling.cli.output import counted
from nestling.cli.together import together
from nestling.machinery import names
from nestling.machinery.client import Client
from nestling.machinery.errors import HostError, NotFound, Refused

Level: TypeAlias = Literal["PASS", "WARN", "FAIL", "SKIP"]

SLOW_S: Final = 1.0
# A namespace whose nodes are younger may be served and not have been got round to yet.
FIRST_BEAT_S: Final = 40.0
REVIEW: Final = kinds.Kind(
    "SelfSubjectAccessReview", "selfsubjectaccessreviews", group="authorization.k8s.io", version="v1"
)
# What the operator does on the host; whoever runs it needs these.
RIGHTS: Final[Sequence[tuple[str, str, tuple[str, ...]]]] = (
    (kinds.GROUP, "virtualpods", ("get", "list", "watch", "create", "update", "patch", "delete")),
    (kinds.GROUP, "virtualpods/status", ("update", "patch")),
    (kinds.GROUP, "virtualdeployments", ("list", "watch")),
    ("", "events", ("create", "patch")),
    ("coordination.k8s.io", "leases", ("get", "create", "update", "patch")),
)
_TOP: Final = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    check: str
    level: Level
    found: str
    next_step: str = ""

    def to_json(self) -> JsonObject:
        """The finding as JSON."""
        return asdict(self)


async def examine(client: Client, namespace: str, now: dt.datetime) -> list[Finding]:
    """Every finding about the host, in the order in which things stand on one another."""
    server = await api_server(client)
    if server.level == "FAIL":
        return [server, *(_skipped(check) for check in ("kinds", "rights", "operator", "nodes", "pods"))]
    installed = await kinds_installed(client)
    found = [server, installed, await rights(client, namespace)]
    space = await _namespace(client, namespace) if namespace else {}
    if space is None:
        step = f"nestling install -n {namespace} --create-namespace"
        found.append(Finding("namespace", "FAIL", f"the host has no namespace {namespace}", step))
        return [*found, *(_skipped(check) for check in ("operator", "nodes", "pods"))]
    leaving = _is_leaving(space)
    if leaving:
        found.append(terminating(space, now))
    if installed.level == "FAIL":
        return [*found, *(_skipped(check) for check in ("operator", "nodes", "pods"))]
    if leaving:
        found.append(await operator_of_leaving(client, namespace, now))
        return [*found, *(_skipped(check, "the namespace is being deleted") for check in ("nodes", "pods"))]
    stuck = [] if namespace else await stuck_namespaces(client)
    found += [terminating(one, now) for one in stuck]
    held = [one["metadata"]["name"] for one in stuck]
    found += await together(
        (operator(client, namespace, now, leaving=held), nodes(client, namespace), pods(client, namespace))
    )
    return found


async def _namespace(client: Client, namespace: str) -> JsonObject | None:
    """The host namespace; empty if we may not look at it, None if the host has none of that name."""
    try:
        return await client.call("GET", f"/api/v1/namespaces/{namespace}")
    except NotFound:
        return None
    except HostError:
        return {}  # not ours to look at, which says nothing about whether it is there


def terminating(space: JsonObject, now: dt.datetime) -> Finding:
    """That a host namespace is being deleted."""
    name, since = space["metadata"]["name"], age.since(space["metadata"]["deletionTimestamp"], now)
    return Finding(
        "namespace",
        "WARN",
        f"{name} is Terminating: its deletion was asked for {since} ago",
        f"if it stays: nestling uninstall -n {name}",
    )


async def stuck_namespaces(client: Client) -> list[JsonObject]:
    """The host namespaces that are being deleted and still hold nodes or pods of ours."""
    try:
        spaces = (await client.call("GET", "/api/v1/namespaces")).get("items") or ()
        leaving = {one["metadata"]["name"]: one for one in spaces if _is_leaving(one)}
        held = {
            item["metadata"]["namespace"]
            for name in leaving
            for kind in (kinds.NODE, kinds.POD)
            for item in (await client.list(kind, name, metadata_only=True)).items
        }
    except HostError:
        return []  # not ours to look at
    return [leaving[name] for name in sorted(held)]


async def api_server(client: Client) -> Finding:
    """Whether the API server answers, which version it is, and how fast it answers."""
    before = time.monotonic()
    try:
        version = await client.call("GET", "/version")
    except HostError as error:
        return Finding("API server", "FAIL", error.message, _host_step(error))
    took = time.monotonic() - before
    found = f"Kubernetes {version.get('gitVersion', '?')}, answered in {took * 1000:.0f} ms"
    if took > SLOW_S:
        return Finding("API server", "WARN", found, "expect slow clusters: the host or the way to it is busy")
    return Finding("API server", "PASS", found)


async def kinds_installed(client: Client) -> Finding:
    """Whether our definitions are there, established, and those of this version."""
    try:
        live = await definitions.installed(client)
    except Refused as error:
        return Finding(
            "kinds", "SKIP", f"may not be looked at: {error.message}", "ask for the right to list CRDs"
        )
    except HostError as error:
        return Finding("kinds", "FAIL", error.message, _host_step(error))
    wanted = definitions.ours()
    missing = sorted(wanted.keys() - live.keys())
    if missing:
        gone = "none is installed" if len(missing) == len(wanted) else f"missing: {', '.join(missing)}"
        return Finding("kinds", "FAIL", gone, "nestling install")
    broken = [f"{name}: {why}" for name in sorted(wanted) if (why := definitions.trouble(live[name]))]
    if broken:
        return Finding("kinds", "FAIL", "; ".join(broken[:_TOP]), "wait a moment, then nestling install")
    other = [name for name in sorted(wanted) if definitions.differs(wanted[name], live[name])]
    if other:
        some = ", ".join(other[:_TOP]) + (" ..." if len(other) > _TOP else "")
        return Finding(
            "kinds", "WARN", f"{counted(len(other), 'kind')} of another version: {some}", "nestling install"
        )
    return Finding("kinds", "PASS", f"{len(wanted)} installed and served, of this version")


async def rights(client: Client, namespace: str) -> Finding:
    """Whether we may do what the operator does, in `namespace` or everywhere."""
    asked = [(group, resource, verb) for group, resource, verbs in RIGHTS for verb in verbs]
    try:
        answers = await together(_may(client, namespace, *one) for one in asked)
    except (NotFound, Refused):
        return Finding("rights", "SKIP", "this host does not answer questions about rights")
    except HostError as error:
        return Finding("rights", "FAIL", error.message, _host_step(error))
    denied: dict[str, list[str]] = {}
    for (group, resource, verb), allowed in zip(asked, answers, strict=True):
        if not allowed:
            denied.setdefault(f"{resource}.{group}" if group else resource, []).append(verb)
    where = f"in namespace {namespace}" if namespace else "in all namespaces"
    if denied:
        said = "; ".join(f"{', '.join(verbs)} {resource}" for resource, verbs in denied.items())
        return Finding("rights", "FAIL", f"missing {where}: {said}", "ask for a Role that allows it")
    return Finding("rights", "PASS", f"all that the operator needs {where}")


async def operator(
    client: Client, namespace: str, now: dt.datetime, *, leaving: Sequence[str] = ()
) -> Finding:
    """Whether somebody runs the roles, and serves `namespace` (or all that have nodes): Leases are fresh.

    From namespaces that are `leaving` they may be gone already.
    """
    try:
        told, scope = await _sightings(client, namespace, now)
        homes = await _homes(client, scope)
    except HostError as error:
        return Finding("operator", "FAIL", error.message, _host_step(error))
    start = "start it: nestling run" + (f" -n {namespace}" if namespace else "")
    if not told and leaving:
        return _nobody_lets_go(leaving)
    if not told:
        return Finding("operator", "FAIL", "it has never run here: there is no Lease of it", start)
    concerned = leases.about(told, namespace)
    alive = sorted({one.role for one in concerned if one.alive})
    dead = sorted(
        {
            f"{one.role} (last seen {one.seen} ago)"
            for one in concerned
            if not one.alive and one.role not in alive
        }
    )
    if not alive:
        gone = f"nobody runs it any more: {', '.join(dead)}" if dead else "nobody runs it here"
        return Finding("operator", "FAIL", gone, start)
    served = leases.served(told)
    deserted = sorted(homes.keys() - served)
    if deserted and (not dead or any(role.startswith("kubelet") for role in alive)):
        young = all(_seconds_since(homes[name], now) <= FIRST_BEAT_S for name in deserted)
        return _deserted(concerned, deserted, served, level="FAIL" if namespace and not young else "WARN")
    if dead:
        return Finding("operator", "WARN", f"alive: {', '.join(alive)}; gone: {', '.join(dead)}", start)
    where = {one.namespace for one in concerned if one.alive}
    if namespace and namespace not in where:
        return Finding(
            "operator",
            "WARN",
            f"alive with Leases in {_listed(where)}: {', '.join(alive)}; "
            f"nothing tells whether it serves {namespace}",
            f"apply a VirtualNodePool in {namespace}, then ask again",
        )
    return Finding("operator", "PASS", f"alive: {', '.join(alive)}")


def _deserted(
    concerned: Sequence[leases.Sighting], deserted: Sequence[str], served: set[str], *, level: Level
) -> Finding:
    """Roles are alive, but these namespaces have nodes for which no kubelet beats."""
    roles = sorted({one.role for one in concerned if one.alive})
    where = _listed({one.namespace for one in concerned if one.alive})
    step = "restart it with these namespaces too: nestling run " + " ".join(
        f"-n {name}" for name in sorted({*served, *deserted})
    )
    return Finding(
        "operator",
        level,
        f"alive with Leases in {where}: {', '.join(roles)}; "
        f"but nobody serves {_listed(deserted)}: no kubelet beats there",
        step if level == "FAIL" else f"if it stays so, {step}",
    )


async def operator_of_leaving(client: Client, namespace: str, now: dt.datetime) -> Finding:
    """Whether somebody lets the objects go of a host namespace that is being deleted, Leases and all."""
    try:
        told = leases.about((await _sightings(client, namespace, now))[0], namespace)
    except HostError as error:
        return Finding("operator", "FAIL", error.message, _host_step(error))
    alive = sorted({one.role for one in told if one.alive})
    if alive:
        return Finding("operator", "PASS", f"alive: {', '.join(alive)}")
    return _nobody_lets_go([namespace])


def _nobody_lets_go(spaces: Sequence[str]) -> Finding:
    return Finding(
        "operator",
        "FAIL",
        f"nobody runs it, so nobody lets the objects in {_listed(spaces)} go",
        "nestling uninstall " + " ".join(f"-n {name}" for name in spaces),
    )


async def _sightings(client: Client, namespace: str, now: dt.datetime) -> tuple[list[leases.Sighting], str]:
    """The operator's Leases, on the whole host if we may look at it; and the namespace they tell about."""
    try:
        return leases.sightings((await client.list(kinds.LEASE)).items, now), namespace
    except Refused:
        scope = namespace or names.DEFAULT_NAMESPACE
        return leases.sightings((await client.list(kinds.LEASE, scope)).items, now), scope


async def _homes(client: Client, namespace: str) -> dict[str, str]:
    """The namespaces that have nodes, or pools that want some, and since when; without those that leave."""
    try:
        machines, pools = await together(
            client.list(kind, namespace or None) for kind in (kinds.NODE, kinds.NODE_POOL)
        )
    except HostError:
        return {}  # not ours to look at
    homes: dict[str, str] = {}
    wanted = [pool for pool in pools.items if (pool.get("spec") or {}).get("replicas", 1)]
    for one in (*machines.items, *wanted):
        meta = one["metadata"]
        if not meta.get("deletionTimestamp"):
            home, born = meta["namespace"], meta["creationTimestamp"]
            homes[home] = min(homes.get(home, born), born)
    return homes


async def nodes(client: Client, namespace: str) -> Finding:
    """Whether there are nodes, and all are Ready."""
    try:
        found = (await client.list(kinds.NODE, namespace or None)).items
    except HostError as error:
        return Finding("nodes", "SKIP", error.message)
    if not found:
        return Finding(
            "nodes", "WARN", "there is none", "apply a VirtualNodePool, such as examples/cluster.yaml"
        )
    waiting = [node["metadata"]["name"] for node in found if not _is_ready(node)]
    if waiting:
        some = ", ".join(sorted(waiting)[:_TOP]) + (" ..." if len(waiting) > _TOP else "")
        return Finding(
            "nodes",
            "WARN",
            f"{len(found) - len(waiting)} of {len(found)} Ready; not: {some}",
            "see why: kubectl describe virtualnode",
        )
    return Finding("nodes", "PASS", f"all {len(found)} Ready")


async def pods(client: Client, namespace: str) -> Finding:
    """How many pods wait for a node, and for what."""
    try:
        found = (await client.list(kinds.POD, namespace or None)).items
    except HostError as error:
        return Finding("pods", "SKIP", error.message)
    unplaced = [pod for pod in found if not (pod.get("spec") or {}).get("nodeName")]
    crashing = [pod for pod in found if _display(pod) in {"CrashLoopBackOff", "ImagePullBackOff", "Error"}]
    phases = Counter((pod.get("status") or {}).get("phase") for pod in found)
    if unplaced:
        first = unplaced[0]["metadata"]
        return Finding(
            "pods",
            "WARN",
            f"{len(unplaced)} of {len(found)} wait for a node{_reasons(unplaced)}",
            f"nestling explain pod {first['name']} -n {first['namespace']}",
        )
    if crashing:
        first = crashing[0]["metadata"]
        return Finding(
            "pods",
            "WARN",
            f"{len(crashing)} of {len(found)} keep failing",
            f"nestling explain pod {first['name']} -n {first['namespace']}",
        )
    completed = f"{phases['Succeeded']} completed, " if phases["Succeeded"] else ""
    said = f"{phases['Running']} of {len(found)} running, {completed}none waits for a node"
    return Finding("pods", "PASS", said)


async def _may(client: Client, namespace: str, group: str, resource: str, verb: str) -> bool:
    plain, _, subresource = resource.partition("/")
    attributes: JsonObject = {"verb": verb, "group": group, "resource": plain}
    if subresource:
        attributes["subresource"] = subresource
    if namespace:
        attributes["namespace"] = namespace
    body: JsonObject = {
        "apiVersion": REVIEW.api_version,
        "kind": REVIEW.name,
        "spec": {"resourceAttributes": attributes},
    }
    answer = await client.call("POST", REVIEW.path(), body=body)
    return bool((answer.get("status") or {}).get("allowed"))


def _is_leaving(space: JsonObject) -> bool:
    return bool((space.get("metadata") or {}).get("deletionTimestamp"))


def _seconds_since(text: str, now: dt.datetime) -> float:
    then = age.parse(text)
    return float("inf") if then is None else (now - then).total_seconds()


def _listed(spaces: Collection[str]) -> str:
    """`team-a`, or the first few of many."""
    return ", ".join(sorted(spaces)[:_TOP]) + (" ..." if len(spaces) > _TOP else "")


def _reasons(unplaced: Sequence[JsonObject]) -> str:
    counts: Counter[str] = Counter()
    for pod in unplaced:
        listed = scheduling_of(pod).get("reasons") or [{"reason": "not looked at yet"}]
        counts.update({str(one.get("reason")) for one in listed})
    if not counts:
        return ""
    return ": " + ", ".join(f"{reason} ({number})" for reason, number in counts.most_common(_TOP))


def _is_ready(node: JsonObject) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def _display(pod: JsonObject) -> str:
    return str(((pod.get("status") or {}).get("display") or {}).get("status") or "")


def _host_step(error: HostError) -> str:
    if error.status in {401, 403}:
        return "log in with rights on this host, or choose another --context"
    return "start the host: nestling host up"


def _skipped(check: str, why: str = "") -> Finding:
    return Finding(check, "SKIP", f"not looked at: {why}" if why else "not looked at")
