"""What a DaemonSet says about itself: on how many nodes its pod should be, is, and serves.

Zeros are written out: every column has a figure.
Source: Kubernetes 1.37, pkg/controller/daemon/daemon_controller.go (updateDaemonSetStatus).
"""

from nestling.api.json import JsonObject
from nestling.api.selector import Selector
from nestling.controllers.daemon_set.household import Household
from nestling.controllers.status_change import selector_column
from nestling.machinery.records.workload import object_of


def status_of(house: Household, collisions: int) -> JsonObject:
    """The whole status. Of several pods on a node the first counts."""
    wanted = [node for node, fit in house.fits.items() if fit.runs]
    firsts = [pods[0] for node in wanted if (pods := house.on(node))]
    ready = [pod for pod in firsts if pod.ready]
    available = sum(map(house.available, ready))
    node_labels = object_of(object_of(house.template.get("spec")).get("nodeSelector"))
    status: JsonObject = {
        "currentNumberScheduled": len(firsts),
        "numberMisscheduled": sum(bool(house.on(node)) for node, fit in house.fits.items() if not fit.runs),
        "desiredNumberScheduled": len(wanted),
        "numberReady": len(ready),
        "updatedNumberScheduled": sum(map(house.updated, firsts)),
        "numberAvailable": available,
        "numberUnavailable": len(wanted) - available,
        "observedGeneration": house.ds.generation,
        "display": {
            "nodeSelector": selector_column(Selector.from_labels(node_labels)),
            "selector": selector_column(house.ds.selector),
        },
    }
    return {**status, "collisionCount": collisions} if collisions else status
