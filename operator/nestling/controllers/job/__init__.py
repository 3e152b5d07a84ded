"""The Job controller: pods that are meant to end, counted exactly once each.

`reconcile` looks at one Job and plans; every policy has a small module of its own. `routes` says whose
changes make it look.
"""
