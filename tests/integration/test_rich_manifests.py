"""What a real API server accepts as native it accepts as virtual, and fills in the same defaults.

Both sides are asked in dry runs: the native kind and ours get the same manifest, and what comes back is
compared.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from crd_install import install_crds
from nestling.api.kinds import BY_NATIVE, Kind
from nestling.machinery.names import host_name
from realhost import RealHost

pytestmark = pytest.mark.integration

MANIFESTS = Path(__file__).parent / "testdata/native_kinds.yaml"
DRY = "dryRun=All&fieldValidation=Strict"

# What only code can fill in, not a schema: values copied from other fields, or that depend on them.
BY_LOOPS = {
    "imagePullPolicy",  # by the tag of the image
    "pullPolicy",
    "backoffLimit",  # by backoffLimitPerIndex
    "podReplacementPolicy",  # by podFailurePolicy
    "completions",  # by parallelism
    "internalTrafficPolicy",  # by type, as the next four
    "externalTrafficPolicy",
    "allocateLoadBalancerNodePorts",
    "sessionAffinityConfig",
    "targetPort",
    "clusterIP",  # allocated, as the next five
    "clusterIPs",
    "ipFamilies",
    "ipFamilyPolicy",
    "nodePort",
    "healthCheckNodePort",
    "serviceAccount",  # the older name follows the newer one
    "requests",  # from limits
    "protocol",  # of an HTTP probe, by feature gate
    "divisor",  # "0" there
    "priority",  # by admission, as the next one
    "preemptionPolicy",
    "matchExpressions",  # of affinity, from matchLabelKeys
    "finalizers",  # of a namespace
    "taints",  # of a node, by admission
    "selector",  # of a Job, from its identity
    "labels",
    "manualSelector",
    "maxUnavailable",  # of a StatefulSet, by feature gate
    "tolerations",  # by admission
    "creationTimestamp",
}


def manifests() -> Iterator[Any]:
    """Each manifest of the file, named by kind and name."""
    for manifest in yaml.safe_load(MANIFESTS.read_text(encoding="utf-8")):
        yield pytest.param(manifest, id=f"{manifest['kind']}-{manifest['metadata']['name']}")


def kind_of(manifest: dict[str, Any]) -> Kind:
    """The virtual kind that stands for the manifest's."""
    return BY_NATIVE[manifest["apiVersion"], manifest["kind"]]


def virtual(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest as one of ours."""
    kind = kind_of(manifest)
    name = manifest["metadata"]["name"]
    metadata = {**manifest["metadata"], "name": host_name("default" if kind.scoped else "", name)}
    return {**manifest, "apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata}


def native_path(manifest: dict[str, Any]) -> str:
    """Where manifests of this native kind are posted."""
    kind = kind_of(manifest)
    api = kind.native_api_version
    root = f"/apis/{api}" if "/" in api else f"/api/{api}"
    plural = kind.plural.removeprefix("virtual")
    return f"{root}/{'namespaces/default/' if kind.scoped else ''}{plural}"


def missing(theirs: Any, ours: Any, path: str = "") -> Iterator[str]:
    """What the native answer has and ours lacks or has otherwise."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key, value in theirs.items():
            if key in BY_LOOPS and ours.get(key) != value:
                continue
            if key in ours or (isinstance(value, dict) and value):
                yield from missing(value, ours.get(key, {}), f"{path}.{key}")
            elif value not in ("", False, {}):  # absence says the same
                yield f"{path}.{key}: {value!r} there, absent here"
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for index, (there, here) in enumerate(zip(theirs, ours, strict=True)):
            yield from missing(there, here, f"{path}[{index}]")
    elif str(theirs) != str(ours):
        yield f"{path}: {theirs!r} there, {ours!r} here"


@pytest.fixture(scope="module")
def host(local_host: RealHost) -> RealHost:
    """The real API server with our kinds."""
    install_crds(local_host)
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    local_host.request("POST", "/api/v1/namespaces/default/serviceaccounts", account)  # or a controller has
    return local_host


@pytest.mark.parametrize("manifest", list(manifests()))
def test_native_manifest_is_accepted_and_defaulted_alike(manifest: dict[str, Any], host: RealHost) -> None:
    status, theirs = host.request("POST", f"{native_path(manifest)}?{DRY}", manifest)
    assert status == 201, theirs["message"]
    ours_path = kind_of(manifest).path("default")
    status, ours = host.request("POST", f"{ours_path}?{DRY}", virtual(manifest))
    assert status == 201, ours["message"]
    for answer in (theirs, ours):
        for field in ("metadata", "apiVersion", "kind", "status"):
            answer.pop(field, None)
    assert list(missing(theirs, ours)) == []
    # And nothing beyond: what we add is what the manifest of a native kind would have had.
    added = [line for line in missing(ours, theirs) if ".capacity" not in line]
    assert added == []
