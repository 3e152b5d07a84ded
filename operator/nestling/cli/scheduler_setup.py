"""Read a KubeSchedulerConfiguration for `nestling run` and `nestling schedule`."""

from pathlib import Path
from typing import TYPE_CHECKING

from nestling.cli import documents, exit_codes
from nestling.cli.problem import Problem

if TYPE_CHECKING:
    from nestling.scheduler.configuration import Setup


def scheduler_setup(path: Path) -> "Setup":
    """What a configuration file asks for. Raises Problem with a sentence per fault."""
    from nestling.api.scheduler_configuration import ConfigurationError, read_configuration
    from nestling.scheduler.configuration import Setup
    from nestling.scheduler.profiles import ProfileError

    found = documents.read([str(path)])
    if len(found) != 1:
        raise Problem(
            f"{path} holds {len(found)} documents",
            next_step="give a file with one KubeSchedulerConfiguration",
        )
    try:
        return Setup.of(read_configuration(found[0].value))
    except (ConfigurationError, ProfileError) as error:
        raise Problem(
            f"{found[0].place}: {error}", next_step="correct the file", exit_code=exit_codes.USAGE
        ) from error
