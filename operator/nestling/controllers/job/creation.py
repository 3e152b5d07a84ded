"""The pods of a Job: their names, and what they carry to be told apart.

The name depends on the Job's UID and on the place the pod fills (its index and how many pods that has had, or
its number among the Job's pods): a create that is repeated, by a retry or by a leader of yesterday, meets
its twin and is refused.
Source: Kubernetes 1.37, pkg/controller/job/indexed_job_utils.go, job_controller.go (manageJob).
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import count, islice
from typing import Final

from nestling.api.json import JsonObject
from nestling.api.kinds import POD
from nestling.controllers.job import events, per_index
from nestling.controllers.job.look import Look
from nestling.controllers.pod_template import STEM_LENGTH, free_keys, pod_of
from nestling.machinery.names import Key, suffix
from nestling.machinery.plan import Create
from nestling.machinery.records.job import Job
from nestling.machinery.records.pod import COMPLETION_INDEX, JOB_TRACKING, Pod
from nestling.machinery.view import View

INDEX_VARIABLE: Final = "JOB_COMPLETION_INDEX"
_FROM_LABEL: Final = {"fieldRef": {"fieldPath": f"metadata.labels['{COMPLETION_INDEX}']"}}


def creates(
    view: View, look: Look, make: Sequence[int], *, known: int, last: Mapping[int, Pod]
) -> Iterator[Create]:
    """The creates of these pods. `known` is how many pods of this Job there are, finished ones included."""
    if not make:
        return
    job = look.job
    template = _tracked(look.spec.get("template") or {})
    owner = job.as_owner()
    if not job.indexed:
        keys = free_keys(job.key, job.uid, lambda key: view.get(Pod, key) is not None, first=known)
        for key in islice(keys, len(make)):
            yield _create(job, key, pod_of(template, key=key, owner=owner))
        return
    template = _with_variable(template)
    for index in make:
        key = _index_key(view, job, index)
        numbered = _numbered(template, job, index)
        if job.backoff_limit_per_index is not None:
            numbered["metadata"]["annotations"] |= per_index.annotations_after(look, last.get(index))
        yield _create(job, key, pod_of(numbered, key=key, owner=owner))


def _create(job: Job, key: Key, body: JsonObject) -> Create:
    return Create(
        POD,
        key,
        body,
        on_success=events.created(job, key),
        on_failure=partial(events.not_created, job),
    )


def _index_key(view: View, job: Job, index: int) -> Key:
    """The name of the next pod of an index; a pod that has ended keeps its own."""
    tail = f"-{index}-"
    stem = job.key.name[: STEM_LENGTH - len(tail)] + tail
    for attempt in count():
        key = Key(job.key.cluster, job.key.namespace, stem + suffix(job.uid, index, attempt))
        if view.get(Pod, key) is None:
            return key
    raise AssertionError("unreachable: names do not end")


def _tracked(template: JsonObject) -> JsonObject:
    """The template with the tracking finalizer."""
    meta: JsonObject = template.get("metadata") or {}
    finalizers: list[str] = meta.get("finalizers") or []
    if JOB_TRACKING not in finalizers:
        finalizers = [*finalizers, JOB_TRACKING]
    return {**template, "metadata": {**meta, "finalizers": finalizers}}


def _with_variable(template: JsonObject) -> JsonObject:
    """The template with the index in the environment of every container that has no such variable."""
    spec: JsonObject = template.get("spec") or {}
    groups = {
        group: [_told_index(container) for container in spec[group]]
        for group in ("initContainers", "containers")
        if spec.get(group)
    }
    return {**template, "spec": {**spec, **groups}}


def _told_index(container: JsonObject) -> JsonObject:
    variables: list[JsonObject] = container.get("env") or []
    if any(variable.get("name") == INDEX_VARIABLE for variable in variables):
        return container
    return {**container, "env": [*variables, {"name": INDEX_VARIABLE, "valueFrom": _FROM_LABEL}]}


def _numbered(template: JsonObject, job: Job, index: int) -> JsonObject:
    """The template of one index."""
    meta: JsonObject = template["metadata"]
    mark = {COMPLETION_INDEX: str(index)}
    return {
        "metadata": {
            **meta,
            "labels": {**(meta.get("labels") or {}), **mark},
            "annotations": {**(meta.get("annotations") or {}), **mark},
        },
        "spec": {**template["spec"], "hostname": f"{job.key.name}-{index}"},
    }
