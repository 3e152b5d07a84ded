"""When enough of an indexed Job is done: the rules of `spec.successPolicy`, the first that is met decides.

A rule names indexes (all of them, or with a count so many of them), or only a count of any.
Source: Kubernetes 1.37, pkg/controller/job/success_policy.go.
"""

from nestling.api.json import JsonObject
from nestling.controllers.job import indexes
from nestling.controllers.job.indexes import Intervals


def met_rule(policy: JsonObject | None, completions: int, succeeded: Intervals) -> str | None:
    """The message of the first rule that is met; None while none is."""
    if not policy or not succeeded:
        return None
    for number, rule in enumerate(policy.get("rules") or ()):
        if _is_met(rule, completions, succeeded):
            return f"Matched rules at index {number}"
    return None


def _is_met(rule: JsonObject, completions: int, succeeded: Intervals) -> bool:
    count: int | None = rule.get("succeededCount")
    named: str | None = rule.get("succeededIndexes")
    if named is None:
        return count is not None and indexes.total(succeeded) >= count
    required = indexes.parse(named, completions)
    if not required:
        return False  # it cannot be read, or names nothing that this Job has
    done = indexes.overlap(required, succeeded)
    return done == indexes.total(required) or (count is not None and done >= count)
