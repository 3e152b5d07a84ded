"""The CronJob controller: Jobs that are made by the clock, each moment's Job at most once.

`schedule` knows when, `missed` what was due and when to look again, `reconcile` what to do about it.
"""
