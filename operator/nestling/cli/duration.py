"""Lengths of time on the command line: `90s`, `5m`, `1h30m`, or plain seconds."""

from nestling.cli import exit_codes
from nestling.cli.problem import Problem
from nestling.kubelet.runtimes.annotation import duration_of


def seconds(text: str) -> float:
    """Seconds of a length of time. Raises Problem for anything else."""
    try:
        return duration_of(text)
    except ValueError as error:
        raise Problem(
            f'"{text}" is no length of time', next_step="write 90s, 5m or 1h30m", exit_code=exit_codes.USAGE
        ) from error
