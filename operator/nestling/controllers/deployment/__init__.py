"""Deployments: one template, rolled out by way of ReplicaSets.

`reconcile` turns a decision into writes; the decisions are taken by `rolling`, `recreate` and
`proportional`, which know nothing but numbers. `status`, `progress` and `condition` say how it goes,
`revision` and `rollback` keep the history.
"""

from nestling.controllers.deployment.reconcile import reconcile
from nestling.controllers.deployment.rollback import revisions, template_of_revision, undo
from nestling.controllers.deployment.routes import CONTROLLER

__all__ = ["CONTROLLER", "reconcile", "revisions", "template_of_revision", "undo"]
