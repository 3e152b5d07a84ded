"""What loops read of an object.

Small typed records beside the object's JSON bytes, one module per family of kinds.
"""
