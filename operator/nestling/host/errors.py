"""What can go wrong while a host is found, built, started or stopped, each with the step that helps.

A command prints `str(error)` and nothing else: one sentence of what happened, to which thing, and what to do
next.
"""

from nestling.machinery.errors import NestlingError


class HostSetupError(NestlingError):
    """A host could not be brought to the wanted state.

    `problem` says what happened, `next_step` what to do.
    """

    def __init__(self, problem: str, *, next_step: str) -> None:
        super().__init__(f"{problem}; {next_step}")
        self.problem = problem
        self.next_step = next_step


class BinaryMissingError(HostSetupError):
    """A program that the host needs is neither here nor can it be built here."""


class HostNotReadyError(HostSetupError):
    """A process was started and has ended, or has not become ready in time."""


class HostNotFoundError(HostSetupError):
    """No host of this name has ever been brought up, or none is running."""
