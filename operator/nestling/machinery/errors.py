"""What can go wrong between a loop and the host, sorted by what the caller can do about it.

The client raises these and chains the library's own error as the cause. They carry attributes; nobody parses
texts.
"""


class NestlingError(Exception):
    """Root of everything Nestling raises on purpose."""


class HostError(NestlingError):
    """The host API server answered no, or did not answer.

    `status` is the HTTP status, 0 without an answer.
    """

    def __init__(self, message: str, *, status: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.reason = reason


class Conflict(HostError):
    """The object has moved on since we looked (409): look again, decide again."""


class AlreadyExists(Conflict):
    """Something of this name is there already (409 on create).

    Perhaps our own write whose answer was lost.
    """


class NotFound(HostError):
    """No such object, or no such kind (404)."""


class Gone(HostError):
    """The history asked for is compacted (410): list again."""


class Throttled(HostError):
    """The host asks us to wait (429) for at least `retry_after_s` seconds."""

    def __init__(
        self, message: str, *, status: int = 429, reason: str = "", retry_after_s: float = 1.0
    ) -> None:
        super().__init__(message, status=status, reason=reason)
        self.retry_after_s = retry_after_s


class Unavailable(HostError):
    """No answer, or a 5xx: the write may or may not have happened. Retry with jitter."""


class Refused(HostError):
    """The host says no for good (400, 401, 403, 405, 413, 415, 422): retrying the same will not help."""
