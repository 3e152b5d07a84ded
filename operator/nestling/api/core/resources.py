"""What a container or pod asks for and where its limits are.

Fields, types and defaults are native; the sentences are ours.
Source: Kubernetes 1.37, k8s.io/api/core/v1.
"""

from typing import Literal

from nestling.api import rules
from nestling.api.schema import Amounts, ByName, Schema, Text


class ResourceClaim(Schema):
    """A claim of the pod that the container uses."""

    name: Text
    """Name of an entry in the pod's resourceClaims."""
    request: Text | None = None
    """One request of the claim; all of them if absent."""


class ResourceRequirements(Schema):
    """Requests that the scheduler reserves, and limits that the kubelet enforces."""

    validations = (rules.REQUESTS_WITHIN_LIMITS,)

    claims: ByName[ResourceClaim] | None = None
    """Claims of the pod that are used here."""
    limits: Amounts | None = None
    """Most that may be used, per resource."""
    requests: Amounts | None = None
    """Least that is reserved, per resource; equals the limit if only that is given."""


class ContainerResizePolicy(Schema):
    """What a resize in place does to a running container."""

    resource_name: Text
    """Resource that changes."""
    restart_policy: Literal["NotRequired", "RestartContainer"]
    """Whether the container is restarted for it."""
