"""Build programs of a host from Go modules, once."""

from collections.abc import Mapping, Sequence

from nestling.host.errors import BinaryMissingError
from nestling.host.record import Progress
from nestling.host.release import Family


def build(family: Family, names: Sequence[str], *, env: Mapping[str, str], progress: Progress) -> None:
    """Build programs of one family into the cache. Raises BinaryMissingError when that cannot be done."""
    raise BinaryMissingError(f"{', '.join(names)} not found", next_step="set KUBEBUILDER_ASSETS")
