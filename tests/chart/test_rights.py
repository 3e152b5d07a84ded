"""Least privilege: what the Roles of every way of installing give is what the code does, and no more."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from rendering import MONITORING, NAMESPACE, Rendered, rendered, values_files

from nestling.api import kinds
from nestling.api.kinds import GROUP, VIRTUAL_KINDS, Kind
from nestling.chart import rights
from nestling.operators.roles import ROLES

PACKAGE: Final = Path(rights.__file__).parents[1]
# Which packages' writes each role performs.
PACKAGES: Final = {
    "scheduler": ("scheduler",),
    "controllers": ("controllers", "network"),
    "kubelet": ("kubelet",),
}
FORBIDDEN_VERBS: Final = {"*", "escalate", "bind", "impersonate", "approve", "sign"}
FORBIDDEN_RESOURCES: Final = {
    "*", "secrets", "configmaps", "serviceaccounts", "serviceaccounts/token", "pods", "pods/exec", "nodes",
    "roles", "rolebindings", "clusterroles", "clusterrolebindings", "mutatingwebhookconfigurations",
    "validatingwebhookconfigurations", "certificatesigningrequests",
}  # fmt: skip


def cases() -> list[Any]:
    """Every values file."""
    return [pytest.param(file, id=file.name.removesuffix("-values.yaml")) for file in values_files()]


def made_of(file: Path) -> Rendered:
    """The chart with one values file."""
    return rendered(files=(file,), apis=MONITORING)


def rules_of(made: Rendered) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every rule, and the name of its role."""
    for kind in ("Role", "ClusterRole"):
        for role in made.all(kind):
            for rule in role["rules"]:
                yield f"{kind} {role['metadata']['name']}", rule


@pytest.mark.parametrize("file", cases())
def test_no_rule_goes_too_far(file: Path) -> None:
    for name, rule in rules_of(made_of(file)):
        said = f"{name}: {rule}"
        assert not FORBIDDEN_VERBS & set(rule["verbs"]), said
        assert not FORBIDDEN_RESOURCES & set(rule.get("resources", ())), said
        assert "*" not in rule.get("apiGroups", ()), said
        assert "nonResourceURLs" not in rule, said
        if "coordination.k8s.io" in rule["apiGroups"] and {"patch", "update", "delete"} & set(rule["verbs"]):
            assert rule["resourceNames"], said
        if "namespaces" in rule["resources"]:
            assert (rule["verbs"], rule["resourceNames"]) == (["get"], [NAMESPACE]), said
        if "customresourcedefinitions" in rule["resources"]:
            assert rule["verbs"] == ["list", "watch"], said


@pytest.mark.parametrize("file", cases())
def test_roles_are_bound_to_accounts_of_the_release_only(file: Path) -> None:
    made = made_of(file)
    roles = {
        (one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"])
        for one in made.objects
        if one["kind"] in {"Role", "ClusterRole"}
    }
    for binding in (*made.all("RoleBinding"), *made.all("ClusterRoleBinding")):
        assert [subject["kind"] for subject in binding["subjects"]] == ["ServiceAccount"]
        assert binding["subjects"][0]["namespace"] == NAMESPACE
        ref = binding["roleRef"]
        assert (ref["kind"], binding["metadata"].get("namespace"), ref["name"]) in roles


@pytest.mark.parametrize("file", cases())
def test_namespaced_releases_bind_nothing_cluster_wide(file: Path) -> None:
    made = made_of(file)
    cluster_wide = "cluster" in file.name
    assert bool(made.all("ClusterRoleBinding")) is cluster_wide
    if not cluster_wide:
        aggregated = [
            any("aggregate-to" in label for label in one["metadata"]["labels"])
            for one in made.all("ClusterRole")
        ]
        assert all(aggregated)


def test_without_kinds_a_namespaced_release_is_namespaced_all_through() -> None:
    made = rendered({"crds": {"enabled": False}})
    without = [
        f"{one['kind']} {one['metadata']['name']}"
        for one in made.objects
        if one["metadata"].get("namespace") is None
    ]
    assert without == []


def test_several_namespaces_get_a_role_each() -> None:
    made = rendered({"namespaces": ["a", "b"]})
    places = [
        role["metadata"]["namespace"] for role in made.all("Role") if role["metadata"]["name"] == "nestling"
    ]
    assert places == ["a", "b"]
    assert made.one("Role", "nestling-own")["metadata"]["namespace"] == NAMESPACE


def test_leases_are_granted_by_name_per_shard() -> None:
    made = rendered({"topology": "split", "kubelet": {"shards": 2}})
    named = {
        role["metadata"]["name"]: [name for rule in role["rules"] for name in rule.get("resourceNames", ())]
        for role in made.all("Role")
    }
    assert named["nestling-scheduler-own"] == ["nestling-leader-scheduler"]
    assert named["nestling-controllers-own"] == ["nestling-leader-controllers", NAMESPACE]
    assert named["nestling-kubelet-own"] == ["nestling-leader-kubelet-0", "nestling-leader-kubelet-1"]
    assert named["nestling-kubelet"] == ["nestling-kubelet-0", "nestling-kubelet-1"]


def test_uninstalling_needs_no_standing_rights() -> None:
    made = rendered()
    standing = [
        role["metadata"]["name"]
        for role in made.all("Role")
        if "helm.sh/hook" not in role["metadata"].get("annotations", {})
    ]
    assert standing == ["nestling", "nestling-own"]


# The table of rights against the code.


def writes_in(package: str) -> Iterator[tuple[str, str, str, str]]:
    """Verb, name of the kind's constant, subresource and place of each write that names its kind."""
    for path in sorted((PACKAGE / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id not in {"Create", "Patch", "Delete"} or not node.args:
                continue
            kind, where = node.args[0], f"{path.relative_to(PACKAGE)}:{node.lineno}"
            subresource = next(
                (
                    word.value.value
                    for word in node.keywords
                    if word.arg == "subresource" and isinstance(word.value, ast.Constant)
                ),
                "",
            )
            name = kind.id if isinstance(kind, ast.Name) else ""
            yield node.func.id.lower(), name, str(subresource), where


def granted(role: str) -> dict[str, tuple[Kind, ...]]:
    """Kinds by what the role may do to them."""
    writes = rights.WRITES[role]
    return {
        "create": tuple(writes.creates),
        "patch": tuple(writes.patches),
        "patch/status": tuple(writes.status),
        "patch/scale": tuple(writes.scale),
        "delete": tuple(writes.deletes),
    }


@pytest.mark.parametrize("role", ROLES)
def test_every_write_in_the_code_is_granted(role: str) -> None:
    may = granted(role)
    seen = 0
    for package in PACKAGES[role]:
        for verb, name, subresource, where in writes_in(package):
            kind = getattr(kinds, name, None)
            if not isinstance(kind, Kind) or kind is kinds.LEASE:
                continue  # of a kind that is only known at run time, or granted by name in a template
            seen += 1
            allowed = may[f"{verb}/{subresource}" if subresource else verb]
            assert kind in allowed, f"{where}: {role} may not {verb} {kind.name} {subresource}"
    assert seen > 0


@pytest.mark.parametrize("role", ROLES)
def test_what_is_created_is_created_by_the_code(role: str) -> None:
    named = {
        name for package in PACKAGES[role] for verb, name, _, _ in writes_in(package) if verb == "create"
    }
    unused = [
        kind.name
        for kind in rights.WRITES[role].creates
        if not any(getattr(kinds, name, None) is kind for name in named)
    ]
    later = {"VirtualControllerRevision", "VirtualJob"}  # of controllers that are being written
    assert set(unused) <= later | {"VirtualPod"}


@pytest.mark.parametrize("role", ROLES)
def test_every_kind_that_a_role_reads_may_be_listed_and_watched(role: str) -> None:
    listed = {
        (rule.group, resource)
        for rule in rights.operator(role)
        if {"list", "watch"} <= set(rule.verbs)
        for resource in rule.resources
    }
    assert listed == {(record.KIND.group, record.KIND.plural) for record in ROLES[role].records}


def test_users_reach_every_kind() -> None:
    plurals = {kind.plural for kind in VIRTUAL_KINDS}
    assert {name for rule in rights.viewing() for name in rule.resources} == plurals
    assert plurals <= {name for rule in rights.editing() for name in rule.resources}
    assert {rule.group for rule in (*rights.viewing(), *rights.editing())} == {GROUP}
