"""Bind a pod by naming its node in one write, the scheduler's own (`plans.bind`).

Source: Kubernetes 1.37, plugins/defaultbinder/default_binder.go.
"""

from typing import ClassVar

from nestling.scheduler.extension import BindPlugin


class DefaultBinder(BindPlugin):
    """The one way to bind; a profile without it binds nothing."""

    name: ClassVar[str] = "DefaultBinder"
