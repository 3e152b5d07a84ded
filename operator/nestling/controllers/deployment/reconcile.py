"""Keep a Deployment's ReplicaSets at the sizes that its strategy wants, and say how the rollout goes.

Reads the Deployment and its ReplicaSets (and, for Recreate, their pods); writes ReplicaSets (create, scale,
note, adopt, delete), the Deployment's revision and its status. Pods are the ReplicaSets' business.
Source: Kubernetes 1.37, pkg/controller/deployment/deployment_controller.go (syncDeployment).
"""

from collections.abc import Iterable

from nestling.controllers.deployment import events, proportional, recreate, rollback, rolling
from nestling.controllers.deployment.family import Decision, family_of
from nestling.controllers.deployment.look import Look
from nestling.controllers.deployment.status import is_complete
from nestling.controllers.ownership import claim
from nestling.controllers.status_change import status_write
from nestling.machinery.names import Key
from nestling.machinery.plan import Plan
from nestling.machinery.records.pod import Pod
from nestling.machinery.records.workload import Deployment, ReplicaSet
from nestling.machinery.view import View


def reconcile(view: View, key: Key) -> Plan:
    """Plan one step of a Deployment towards its template and its number of pods, or what it has to say."""
    deployment = view.get(Deployment, key)
    if deployment is None:
        return Plan.done("gone")
    if deployment.selector.nothing:
        return Plan.done("its selector cannot be read, or is missing")
    if deployment.selector.everything:
        return _selecting_all(deployment)
    claims = claim(
        deployment,
        deployment.selector,
        view.owned(ReplicaSet, deployment.uid),
        view.selected(ReplicaSet, key.namespace, deployment.selector),
    )
    look = Look(view, deployment, deployment.body, family_of(deployment, claims.held), claims.writes)
    if deployment.deleting:
        return look.plan(Decision(estimate=False, why="on its way out: only its status is kept"))
    if deployment.paused:
        decision = proportional.decide(deployment, look.family, look.status)
        return look.plan(Decision(decision.sizes, settled=True, estimate=False, why="paused"), history=True)
    back_to = rollback.asked_for(look.annotations)
    if back_to is not None:
        return Plan.of(*claims.writes, rollback.write(view, deployment, back_to), why="asked to go back")
    if proportional.is_scaled(deployment, look.family):
        return look.plan(proportional.decide(deployment, look.family, look.status))
    if deployment.recreate:
        decision = recreate.decide(deployment, look.family, _pods(view, look.family.old))
    else:
        decision = rolling.decide(deployment, look.family)
    return look.plan(decision, history=decision.settled and is_complete(deployment, look.status))


def _selecting_all(deployment: Deployment) -> Plan:
    """Refuse to work, and say so once per change of the object."""
    if deployment.observed_generation >= deployment.generation:
        return Plan.done("selects all pods")
    status = status_write(deployment, None, {"observedGeneration": deployment.generation})
    said = events.selecting_all(deployment)
    return Plan(() if status is None else (status, said), why="selects all pods")


def _pods(view: View, sets: Iterable[ReplicaSet]) -> list[Pod]:
    return [pod for rs in sets for pod in view.owned(Pod, rs.uid) if pod.key.namespace == rs.key.namespace]
