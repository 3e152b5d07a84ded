"""What the command's exit status means. Scripts depend on these numbers: they never change."""

from typing import Final

OK: Final = 0
ERROR: Final = 1
"""It did not work, or (doctor, convert --strict) it found something wrong."""
USAGE: Final = 2
"""The command line makes no sense."""
NOT_FOUND: Final = 3
"""The object, file or host asked for does not exist."""
UNAVAILABLE: Final = 4
"""The host did not answer, or not in time: the same command may work later."""
