"""What a Job is given when it is made: defaults, a selector of its own, and labels that go with it.

Kubernetes' API server does this while it creates a Job. A host cannot do it for a custom resource, as the
selector is made of the UID, so the controller's first write completes the object: from then on it reads as a
native one does, and every other look finds nothing to add.
Source: Kubernetes 1.37, pkg/apis/batch/v1/defaults.go, pkg/registry/batch/job/strategy.go (generateSelector).
"""

from collections.abc import Mapping
from typing import Any

from nestling.api.json import JsonObject
from nestling.api.kinds import JOB
from nestling.machinery.plan import Patch
from nestling.machinery.records.base import EMPTY
from nestling.machinery.records.job import (
    CONTROLLER_UID,
    JOB_NAME,
    LEGACY_CONTROLLER_UID,
    LEGACY_JOB_NAME,
    Job,
)


def completion(job: Job, body: JsonObject) -> Patch | None:
    """The write that completes a Job; None if there is nothing to add."""
    spec: JsonObject = body.get("spec") or {}
    missing: JsonObject = {name: value for name, value in _values(job).items() if spec.get(name) is None}
    own = {} if spec.get("manualSelector") is True else _generated(job)
    if own:
        if spec.get("selector") is None:
            missing["selector"] = {"matchLabels": {CONTROLLER_UID: job.uid}}
        added = {name: value for name, value in own.items() if name not in job.template_labels}
        if added:
            missing["template"] = {"metadata": {"labels": added}}
    patch: JsonObject = {"spec": missing} if missing else {}
    labels = {**job.template_labels, **own}
    if labels and not job.labels:
        patch["metadata"] = {"labels": labels}
    return Patch(JOB, job.key, job.uid, patch, version=job.version) if patch else None


def _values(job: Job) -> Mapping[str, Any]:
    """The defaults of this Job: its record has them already."""
    found: JsonObject = {
        "parallelism": job.parallelism,
        "backoffLimit": job.backoff_limit,
        "completionMode": "Indexed" if job.indexed else "NonIndexed",
        "suspend": job.suspended,
        "podReplacementPolicy": "Failed" if job.only_failed else "TerminatingOrFailed",
        "manualSelector": False,
    }
    if job.completions is not None:
        found["completions"] = job.completions
    return found


def _generated(job: Job) -> Mapping[str, str]:
    """The labels by which the Job's pods are known."""
    if job.selector.nothing:
        return EMPTY
    name, uid = job.key.name, job.uid
    return {LEGACY_CONTROLLER_UID: uid, LEGACY_JOB_NAME: name, CONTROLLER_UID: uid, JOB_NAME: name}
