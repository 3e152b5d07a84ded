"""A cluster without a VirtualCluster and one with an empty VirtualCluster behave alike."""

from typing import Any

from nestling.api.crd import crds
from nestling.machinery.records.cluster import Settings


def defaulted(schema: dict[str, Any], value: Any) -> Any:
    """`value` with what the API server would fill in."""
    if not isinstance(value, dict):
        return value
    filled = dict(value)
    for name, below in schema.get("properties", {}).items():
        if name not in filled and "default" in below:
            filled[name] = below["default"]
        if name in filled:
            filled[name] = defaulted(below, filled[name])
    return filled


def test_defaults_of_the_schema_are_those_of_the_loops() -> None:
    schema = crds()["virtualclusters"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    spec = defaulted(schema, {})["spec"]
    assert len(spec) >= 8
    assert Settings.of(spec) == Settings()
