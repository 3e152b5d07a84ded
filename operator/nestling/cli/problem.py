"""Errors as people read them: one sentence of what happened and to which thing, then the next step.

Commands raise `Problem`; what the machinery and the host raise is put into the same form here, with the
exit status that belongs to it. Nothing else in the command prints an error.
"""

from dataclasses import dataclass
from typing import Final

from nestling.cli import exit_codes
from nestling.host.errors import HostNotFoundError, HostNotReadyError
from nestling.machinery.errors import (
    Conflict,
    HostError,
    NestlingError,
    NotFound,
    Throttled,
    Unavailable,
)


class Problem(NestlingError):
    """Something the user can do something about. `next_step` begins in lower case and has no full stop."""

    def __init__(self, problem: str, *, next_step: str = "", exit_code: int = exit_codes.ERROR) -> None:
        super().__init__(f"{problem}; {next_step}" if next_step else problem)
        self.problem = problem
        self.next_step = next_step
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to print about an error, and the exit status."""

    sentence: str
    exit_code: int


_SETUP_CODES: Final[dict[type[NestlingError], int]] = {
    HostNotFoundError: exit_codes.NOT_FOUND,
    HostNotReadyError: exit_codes.UNAVAILABLE,
}
NEXT_STEPS: Final = {
    401: "log in again, or choose another kubeconfig with --kubeconfig",
    403: "ask for the rights it names, or use another --context; `nestling doctor` lists what is missing",
}


def verdict(error: NestlingError | OSError) -> Verdict:
    """The sentence and exit status of any error that Nestling raises on purpose, or the system."""
    match error:
        case OSError():
            return Verdict(_one_line(_of_system(error)), exit_codes.ERROR)
        case Problem():
            return Verdict(_one_line(str(error)), error.exit_code)
        case NotFound() if missing_kind(error):
            return Verdict(
                f"the host does not know Nestling's kinds; {_next_step(error)}", exit_codes.NOT_FOUND
            )
        case HostError():
            step = _next_step(error)
            text = _one_line(error.message)
            return Verdict(f"{text}; {step}" if step else text, _exit_code(error))
        case _:
            return Verdict(_one_line(str(error)), _SETUP_CODES.get(type(error), exit_codes.ERROR))


def missing_kind(error: NotFound) -> bool:
    """Whether the server knows no such kind at all, as opposed to knowing the kind but not the object."""
    return not error.reason or "could not find the requested resource" in error.message


def _exit_code(error: HostError) -> int:
    match error:
        case NotFound():
            return exit_codes.NOT_FOUND
        case Unavailable() | Throttled():
            return exit_codes.UNAVAILABLE
        case _:
            return exit_codes.ERROR


def _next_step(error: HostError) -> str:
    match error:
        case Unavailable(status=0):
            return "start the host (`nestling host up`), or point KUBECONFIG at one that runs"
        case Unavailable():
            return "try again in a moment; `nestling doctor` shows whether the host is well"
        case Throttled():
            return f"try again in {error.retry_after_s:g} s"
        case NotFound() if missing_kind(error):
            return "install them first: `nestling install`"
        case Conflict():
            return "somebody changed it meanwhile: run the command again"
        case _:
            return NEXT_STEPS.get(error.status, "")


def _of_system(error: OSError) -> str:
    """What the system refused, and where: `/etc/x: permission denied`."""
    why = (error.strerror or str(error) or type(error).__name__).lower()
    return f"{error.filename}: {why}" if error.filename else why


def _one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")
