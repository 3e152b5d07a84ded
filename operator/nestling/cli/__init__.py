"""The `nestling` command, also `kubectl nestling`."""
