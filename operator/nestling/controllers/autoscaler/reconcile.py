"""One look at one autoscaler: what its target has, what the metrics ask for, and how far it may go.

Reads the autoscaler, its target and the target's pods; what the pods use it is told by a `Meter`. Writes the
target's scale and then the autoscaler's own status, every fifteen seconds or when its spec changes. Usage
changes without a word, so every look is at a time and not at an event.
Source: Kubernetes 1.37, pkg/controller/podautoscaler/horizontal.go.
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Final, Literal

from nestling.api.json import JsonObject
from nestling.api.kinds import HORIZONTAL_POD_AUTOSCALER
from nestling.api.quantity import milli
from nestling.controllers.autoscaler import pace
from nestling.controllers.autoscaler.demand import (
    Demand,
    Meter,
    NoMetric,
    Tolerance,
    by_average,
    by_utilization,
    measured,
)
from nestling.controllers.autoscaler.metrics import METRICS, Action, Facts, towards
from nestling.controllers.autoscaler.report import (
    ABLE,
    ACTIVE,
    LIMITED,
    TO_ZERO,
    Report,
    metric_status,
)
from nestling.controllers.autoscaler.target import Target, target_of
from nestling.controllers.status_change import status_write
from nestling.machinery.cache import Change
from nestling.machinery.controller import Controller, Route
from nestling.machinery.names import Key
from nestling.machinery.plan import Emit, Patch, Plan, Write
from nestling.machinery.records.autoscaler import DEFAULT_TOLERANCE, HorizontalPodAutoscaler
from nestling.machinery.records.pod import Pod
from nestling.machinery.view import View

COMPONENT: Final = "horizontal-pod-autoscaler"
UNSCALABLE: Final = "the HPA controller was unable to get the target's current scale: {}"
NO_CUSTOM: Final = (
    "unable to fetch metrics from custom metrics API: "
    "no custom metrics API (custom.metrics.k8s.io) registered"
)
NO_EXTERNAL: Final = (
    "unable to fetch metrics from external metrics API: "
    "the server could not find the requested resource (get {}.external.metrics.k8s.io)"
)


class Look:
    """What one look finds and says."""

    def __init__(self, view: View, hpa: HorizontalPodAutoscaler, meter: Meter) -> None:
        self._view = view
        self._hpa = hpa
        self._meter = meter
        self.report = Report(hpa, hpa.body, view.now)
        self.events: list[Write] = []
        self.failed = False
        self._asked: list[tuple[str, Action | None]] = []

    def plan(self, *writes: Write, why: str, action: Action = "none") -> Plan:
        """Events, then writes, then the status, if it changes; and the next look."""
        status = status_write(self._hpa, self.report.stored, self.report.finish())
        said = () if status is None else (status,)
        facts = Facts(action, self.failed, self._asked)
        wake_at = self._view.now + pace.SYNC_S
        return Plan.of(*self.events, *writes, *said, wake_at=wake_at, why=why, measure=facts.measure)

    def emit(self, kind: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        """Say something about the autoscaler."""
        self.events.append(_event(self._hpa, kind, reason, message))

    def selector_is_clear(self, target: Target, pods: Iterable[Pod]) -> bool:
        """Whether the target's pods are its own, and no other autoscaler's."""
        if target.selector.nothing or target.selector.everything:
            self.emit("Warning", "SelectorRequired", "selector is required")
            message = "the HPA target's scale is missing a selector"
            self.report.set(ACTIVE, "False", "InvalidSelector", message)
            self.emit("Warning", "FailedComputeMetricsReplicas", "selector is required")
            return False
        others = [
            hpa
            for hpa in self._view.in_namespace(HorizontalPodAutoscaler, self._hpa.key.namespace)
            if hpa.key == self._hpa.key or self._shares(hpa, pods)
        ]
        if len(others) < 2:
            return True
        named = " ".join(hpa.key.display for hpa in others[:2])
        text = f"pods by selector {target.selector} are controlled by more than one HPA (e.g. [{named}])"
        self.emit("Warning", "AmbiguousSelector", text)
        self.report.set(ACTIVE, "False", "AmbiguousSelector", text)
        self.emit("Warning", "FailedComputeMetricsReplicas", text)
        return False

    def _shares(self, other: HorizontalPodAutoscaler, pods: Iterable[Pod]) -> bool:
        target = target_of(self._view, other)
        return not isinstance(target, str) and any(target.selector.matches(pod.labels) for pod in pods)

    def demand(self, target: Target) -> tuple[int, str, list[JsonObject]] | None:
        """The most that a metric asks for, that metric's name, and the metrics' statuses; None if unknown."""
        pods = list(self._view.selected(Pod, self._hpa.key.namespace, target.selector))
        if not self.selector_is_clear(target, pods):
            self.failed = True
            self.report.count(target.replicas, self._hpa.desired, ())
            return None
        most, name = 0, ""
        statuses: list[JsonObject] = []
        failures: list[tuple[str, str, str]] = []
        for spec in self._hpa.metrics:
            try:
                found = self._measure(spec, target, pods)
            except NoMetric as error:
                self.failed = True
                self._asked.append((spec["type"], None))
                reason, text, wrapped = _failure(spec, str(error), self._hpa.key.namespace)
                failures.append((reason, text, wrapped))
                self.emit("Warning", reason, text)
                statuses.append({"type": ""})
                continue
            self._asked.append((spec["type"], towards(self._hpa.current, found.replicas)))
            statuses.append(metric_status(spec, found))
            if most == 0 or found.replicas > most:
                most, name = found.replicas, _name(spec)
        if failures and (len(failures) == len(self._hpa.metrics) or most < target.replicas):
            reason, text, wrapped = failures[0]
            message = f"the HPA was unable to compute the replica count: {text}"
            self.report.set(ACTIVE, "False", reason, message)
            self.report.count(target.replicas, self._hpa.desired, statuses)
            summary = (
                f"invalid metrics ({len(failures)} invalid out of {len(statuses)}), first error is: {wrapped}"
            )
            self.emit("Warning", "FailedComputeMetricsReplicas", summary)
            return None
        found_one = f"the HPA was able to successfully calculate a replica count from {name}"
        self.report.set(ACTIVE, "True", "ValidMetricFound", found_one)
        return most, name, statuses

    def _measure(self, spec: JsonObject, target: Target, pods: Iterable[Pod]) -> Demand:
        source: JsonObject = spec.get("resource") or spec.get("containerResource") or {}
        if spec["type"] not in {"Resource", "ContainerResource"}:
            raise NoMetric("")
        container = source.get("container", "")
        sample = measured(pods, self._meter, source["name"], container, self._view.now)
        wanted: JsonObject = source["target"]
        up, down = self._hpa.up, self._hpa.down
        tolerance = Tolerance(
            DEFAULT_TOLERANCE if down is None else down.tolerance,
            DEFAULT_TOLERANCE if up is None else up.tolerance,
        )
        if wanted.get("averageValue") is not None:
            return by_average(sample, milli(wanted["averageValue"]), target.replicas, tolerance)
        share = wanted.get("averageUtilization")
        if share is None:
            raise NoMetric(
                "invalid resource metric source: neither an average utilization target nor an average value "
                "(usage) target was set"
            )
        return by_utilization(sample, share, target.replicas, tolerance, container)


def reconcile(view: View, key: Key, *, meter: Meter) -> Plan:
    """Plan the scale of one autoscaler's target, the autoscaler's status, and the next look."""
    hpa = view.get(HorizontalPodAutoscaler, key)
    if hpa is None:
        return Plan.done("gone")
    look = Look(view, hpa, meter)
    target = target_of(view, hpa)
    if isinstance(target, str):
        look.failed = True
        look.emit("Warning", "FailedGetScale", target)
        look.report.set(ABLE, "False", "FailedGetScale", UNSCALABLE.format(target))
        return look.plan(why=target)
    report = look.report
    report.set(
        ABLE, "True", "SucceededGetScale", "the HPA controller was able to get the target's current scale"
    )
    current = target.replicas
    advice = pace.begun(hpa.advice, current, view.now)
    statuses: list[JsonObject] = []
    reason = ""
    from_zero = report.is_true(TO_ZERO)
    if current == 0 and not (from_zero and (hpa.least or _outside(hpa))):
        report.set(
            ACTIVE,
            "False",
            "ScalingDisabled",
            "scaling is disabled since the replica count of the target is zero",
        )
        desired = 0
    elif current > hpa.most:
        reason, desired = "Current number of replicas above Spec.MaxReplicas", hpa.most
    elif 0 < current < hpa.least:
        reason, desired = "Current number of replicas below Spec.MinReplicas", hpa.least
    else:
        asked = look.demand(target)
        if asked is None:
            report.remember(advice)
            return look.plan(why="no metric tells how many pods are needed")
        wanted, name, statuses = asked
        if wanted > current:
            reason = f"{name} above target"
        elif wanted < current:
            reason = "All metrics below target"
        going = pace.step(hpa, advice, current, wanted, view.now)
        report.set(ABLE, "True", *going.able)
        report.set(LIMITED, "True" if going.limited else "False", *going.limit)
        advice = pace.recorded(advice, wanted, pace.windows_s(hpa), view.now)
        desired = going.replicas
        if current == 0 and desired < hpa.least:
            desired = hpa.least
            reason = reason or "Current number of replicas below Spec.MinReplicas"
    report.remember(advice)
    if desired == current:
        report.count(current, current, statuses)
        return look.plan(why=f"{current} pods are right")
    return _rescaled(view, look, hpa, target, desired, reason, statuses, advice)


def _rescaled(
    view: View,
    look: Look,
    hpa: HorizontalPodAutoscaler,
    target: Target,
    desired: int,
    reason: str,
    statuses: list[JsonObject],
    advice: tuple[pace.Advice, ...],
) -> Plan:
    """Write the scale, and what has become of it. A refusal is said before it is tried again."""
    report, current = look.report, target.replicas
    said = f"New size: {desired}; reason: {reason}"
    scale = Patch(
        target.record.KIND,
        target.record.key,
        target.record.uid,
        {"spec": {"replicas": desired}},
        subresource="scale",
        on_success=_event(hpa, "Normal", "SuccessfulRescale", said),
        on_failure=partial(_refused, hpa, said),
    )
    why = f"from {current} to {desired} pods"
    if view.refusal:
        message = f"the HPA controller was unable to update the target scale: {view.refusal}"
        report.set(ABLE, "False", "FailedUpdateScale", message)
        report.count(current, hpa.desired, statuses)
        told = look.plan(why=why, action=towards(current, desired))
        return replace(told, writes=(*told.writes, scale))
    message = f"the HPA controller was able to update the target scale to {desired}"
    report.set(ABLE, "True", "SucceededRescale", message)
    if current > 0 and desired == 0 and hpa.least == 0 and _outside(hpa):
        report.set(TO_ZERO, "True", "ScaledToZero", "the HPA controller scaled the workload to zero")
    else:
        report.set(
            TO_ZERO, "False", "NotScaledToZero", "the HPA controller did not scale the workload to zero"
        )
    report.count(current, desired, statuses, rescaled=True)
    report.remember(advice, pace.rescaled(hpa, current, desired, view.now))
    return look.plan(scale, why=why, action=towards(current, desired))


def _outside(hpa: HorizontalPodAutoscaler) -> bool:
    """Whether anything but the pods themselves is measured: without it none could wake up again."""
    return any(spec["type"] in {"Object", "External"} for spec in hpa.metrics)


def _name(spec: JsonObject) -> str:
    """A metric as messages name it."""
    source: JsonObject = spec.get("resource") or spec.get("containerResource") or {}
    if source["target"].get("averageValue") is not None:
        return f"{source['name']} resource"
    container = "container " if spec["type"] == "ContainerResource" else ""
    return f"{source['name']} {container}resource utilization (percentage of request)"


def _failure(spec: JsonObject, error: str, namespace: str) -> tuple[str, str, str]:
    """Reason and text of the event about a metric that failed, and the text as the summary has it."""
    kind = spec["type"]
    reason = f"FailedGet{kind}Metric"
    if kind == "Pods":
        text = f"unable to get metric {spec['pods']['metric']['name']}: {NO_CUSTOM}"
        return reason, text, f"failed to get pods metric value: {text}"
    if kind == "Object":
        source = spec["object"]
        thing = source["describedObject"]
        what = f"{source['metric']['name']} on {thing['kind']} {namespace}/{thing['name']}"
        text = f"unable to get metric {what}: {NO_CUSTOM}"
        return reason, text, f"failed to get object metric value: {text}"
    if kind == "External":
        name = spec["external"]["metric"]["name"]
        text = f"unable to get external metric {namespace}/{name}/nil: {NO_EXTERNAL.format(name)}"
        return (
            reason,
            text,
            f"failed to get {name} external metric value: failed to get {name} external metric: {text}",
        )
    source = spec.get("resource") or spec.get("containerResource") or {}
    plain = source["target"].get("averageValue") is None
    text = f"failed to get {source['name']} {'utilization' if plain else 'usage'}: {error}"
    if error.startswith("invalid resource metric source"):
        text = error
    if kind == "Resource":
        return reason, text, f"failed to get {source['name']} resource metric value: {text}"
    return reason, text, f"failed to get {source['container']} container metric value: {text}"


def _event(
    hpa: HorizontalPodAutoscaler, kind: Literal["Normal", "Warning"], reason: str, message: str
) -> Emit:
    return Emit(HORIZONTAL_POD_AUTOSCALER, hpa.key, hpa.uid, kind, reason, message, COMPONENT)


def _refused(hpa: HorizontalPodAutoscaler, said: str, error: str) -> Emit:
    return _event(hpa, "Warning", "FailedRescale", f"{said}; error: {error}")


def _asked_anew(view: View, change: Change) -> Iterable[Key]:
    """An autoscaler that is new, or whose spec has changed; its own status writes wake nobody."""
    del view
    old, new = change.old, change.new
    if new is None or (old is not None and old.generation == new.generation):
        return ()
    return (change.key,)


def controller(meter: Meter) -> Controller:
    """The loop, with somebody to ask what pods use."""
    return Controller(
        name="horizontalpodautoscaler",
        reconcile=partial(reconcile, meter=meter),
        concerns={HORIZONTAL_POD_AUTOSCALER: (Route(_asked_anew),)},
        metrics=METRICS,
    )
