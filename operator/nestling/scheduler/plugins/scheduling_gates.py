"""A pod with scheduling gates waits until the last one is taken away.

Source: Kubernetes 1.37, plugins/schedulinggates/scheduling_gates.go.
"""

from typing import ClassVar

from nestling.api.json import JsonObject
from nestling.scheduler.extension import PreEnqueuePlugin


class SchedulingGates(PreEnqueuePlugin):
    """Keep gated pods out of the queue."""

    name: ClassVar[str] = "SchedulingGates"

    def pre_enqueue(self, spec: JsonObject) -> str:
        """The gates by name, if there are any."""
        gates = [str(gate["name"]) for gate in spec.get("schedulingGates") or ()]
        return f"waiting for scheduling gates: [{' '.join(gates)}]" if gates else ""
