"""`nestling demo`.

A virtual cluster comes alive, lives through some trouble, and goes, with tables on the way.
"""
