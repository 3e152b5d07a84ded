"""Measure preemption: pods per second that find no node, choose victims, and are bound once these are gone.

The shape of scheduler_perf's PreemptionAsync: every node is full of four lesser pods, and each new pod needs
the room of some of them. The whole machine takes part (queue, search, plans, hints), no host does: answers
come at once. `PYTHONPATH=tests python tests/benchmarks/preemption.py [--nodes 5000] [--pods 500]`; CPU time
of one process, the load is printed.
"""

import argparse
import copy
import os
import time
from collections.abc import Callable
from typing import Any

import structlog

from builders import NOW, a_node, a_pod
from nestling.api.json import JsonObject
from nestling.api.kinds import NODE, POD
from nestling.machinery.cache import Change
from nestling.machinery.controller import Outcome
from nestling.machinery.plan import Delete, Patch, Plan
from nestling.machinery.records.node import Node
from nestling.machinery.records.pod import Pod
from nestling.scheduler.machine import SchedulerMachine


def container(cpu: str) -> JsonObject:
    return {"name": "main", "image": "web:1", "resources": {"requests": {"cpu": cpu, "memory": "500Mi"}}}


class Bench:
    """A machine and the pods it has been shown, as the host would have them."""

    def __init__(self, nodes: int) -> None:
        self.machine = SchedulerMachine(now=lambda: NOW)
        self.pods: dict[str, JsonObject] = {}
        self.version = 0
        self.deleted = self.bound = 0
        self.spent = 0.0  # CPU seconds within the machine
        for index in range(nodes):
            record = Node.read(a_node(f"n{index}", cpu="4", memory="32Gi"))
            self.machine.observe(Change(NODE, record.key, None, record))
            for pod in range(4):
                spec = {"containers": [container("900m")], "priority": 0}
                self.show(a_pod(f"low-{index}-{pod}", node=f"n{index}", phase="Running", spec=spec))

    def show(self, pod: JsonObject) -> None:
        self.version += 1
        pod["metadata"]["resourceVersion"] = str(self.version)
        self.pods[pod["metadata"]["name"]] = pod
        record = Pod.read(copy.deepcopy(pod))
        self.timed(self.machine.observe, Change(POD, record.key, None, record))

    def gone(self, name: str) -> None:
        record = Pod.read(self.pods.pop(name))
        self.timed(self.machine.observe, Change(POD, record.key, record, None))

    def carry_out(self, plan: Plan) -> None:
        leaving: list[str] = []
        for write in plan.writes:
            if isinstance(write, Delete):
                leaving.append(write.key.host_name)
            elif isinstance(write, Patch):
                pod = self.pods[write.key.host_name]
                for part in ("spec", "status"):
                    body: dict[str, Any] = write.body.get(part, {})
                    pod.setdefault(part, {}).update({k: v for k, v in body.items() if v is not None})
                    self.bound += "nodeName" in body
                self.show(pod)
        self.timed(self.machine.settle, plan, Outcome(len(plan.writes)), NOW)
        for name in leaving:  # as if kubelets stopped containers at once
            self.deleted += 1
            self.gone(name)

    def timed(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Let the machine do something, on the clock."""
        started = time.process_time()
        try:
            return call(*arguments)
        finally:
            self.spent += time.process_time() - started

    def run(self) -> float:
        """CPU seconds of the machine until it has nothing left to do."""
        self.spent = 0.0
        while plans := self.timed(self.machine.step, NOW):
            for plan in plans:
                self.carry_out(plan)
        return self.spent


def main() -> None:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=5000)
    parser.add_argument("--pods", type=int, default=500)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    bench = Bench(options.nodes)
    spec = {"containers": [container("3")], "priority": 10}
    first = bench.run()
    for round_, count in (("first", 1), ("following", options.pods)):
        for index in range(count):
            bench.show(
                a_pod(f"{round_}-{index}", spec=copy.deepcopy(spec), phase="", status={"conditions": []})
            )
        bound, deleted = bench.bound, bench.deleted
        spent = bench.run()
        print(
            f"{round_}: {bench.bound - bound} bound, {bench.deleted - deleted} victims, "
            f"{spent * 1000:.1f} ms CPU, {count / spent:.0f} preemptions/s"
        )
    print(f"start {first * 1000:.0f} ms; load {os.getloadavg()[0]:.1f}; pods on nodes {len(bench.pods)}")


if __name__ == "__main__":
    main()
