"""The pod that a controller stamps out.

Fields, types and defaults are native; the sentences are ours.
Source: Kubernetes 1.37, k8s.io/api/core/v1.
"""

from nestling.api.core.pod import PodSpec
from nestling.api.meta import ObjectMeta
from nestling.api.schema import Schema


class PodTemplateSpec(Schema):
    """Metadata and content of the pods to make."""

    metadata: ObjectMeta | None = None
    """Labels and annotations of the pods."""
    spec: PodSpec | None = None
    """What runs in the pods, and where they may run."""
