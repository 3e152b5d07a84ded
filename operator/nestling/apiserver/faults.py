"""Faults on purpose: what a network, a proxy or an overloaded server would do, at chosen requests.

A `Rule` says which requests it concerns, how many of them to let pass first and how often to strike; nothing
is random, so a failing test fails again. The transports consult `Faults` around the core; the core knows
nothing of it, and over HTTP there is no way to reach it unless the server was built with a `Faults` object.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from nestling.apiserver.exchange import Request, Response
from nestling.apiserver.refusal import Refusal

Moment: TypeAlias = Literal["refuse", "lose-request", "lose-answer", "delay", "cut", "lose-event", "compact"]

CODES: Final = {
    403: "forbidden by a fault rule",
    409: "conflict by a fault rule",
    410: "expired by a fault rule",
    429: "too many requests, please try again later",
    500: "Internal error occurred: fault rule",
    503: "the server is currently unable to handle the request",
    504: "the server was unable to return a response in the time allotted",
}


@dataclass(slots=True)
class Rule:
    """One fault. Empty conditions match everything; counters make it strike the n-th matching request."""

    moment: Moment
    method: str = ""
    path: str = ""
    """A part of the path, such as `/virtualpods`."""
    watches: bool = False
    """Concern watches instead of single requests."""
    skip: int = 0
    times: int = 1
    """How often to strike; a negative number means for ever."""
    status: int = 500
    retry_after_s: int | None = None
    delay_s: float = 0.0
    after_lines: int = 0
    """For a cut: how many lines the stream may deliver first, counted from its start."""
    mid_line: bool = False
    """For a cut: end in the middle of the next line instead of before it."""
    event: str = ""
    """For a lost event: its type, such as DELETED; empty for any."""
    struck: int = field(default=0, init=False)

    def concerns(self, request: Request) -> bool:
        """Whether the conditions hold, without counting."""
        return (
            self.watches == request.watching
            and (not self.method or self.method == request.method)
            and self.path in request.path
        )

    def strike(self) -> bool:
        """Count one occasion and say whether the fault happens now."""
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times == 0:
            return False
        self.times -= 1
        self.struck += 1
        return True


class AnswerLost(Exception):
    """The client gets no answer. `applied` tells the test, not the client, whether the server acted."""

    def __init__(self, *, applied: bool) -> None:
        super().__init__("the answer was lost" if applied else "the request was lost")
        self.applied = applied


class Faults:
    """The rules in force, consulted by a transport in the order they were added."""

    def __init__(self, *rules: Rule) -> None:
        self.rules: list[Rule] = list(rules)

    def add(self, rule: Rule) -> Rule:
        """Put a rule in force and answer it, so that a test can look at `struck`."""
        self.rules.append(rule)
        return rule

    def clear(self) -> None:
        """Let everything through again."""
        self.rules.clear()

    def delay_s(self, request: Request) -> float:
        """How long to hold this request back."""
        return sum(rule.delay_s for rule in self._striking("delay", request))

    def pass_through(
        self, request: Request, handle: Callable[[Request], Response], compact: Callable[[], None]
    ) -> Response:
        """Answer by `handle` or by the rules. Raises AnswerLost when the client would hear nothing."""
        if self._striking("compact", request):
            compact()
        if self._striking("lose-request", request):
            raise AnswerLost(applied=False)
        if refusing := self._striking("refuse", request):
            return refusal_of(refusing[0]).response()
        response = handle(request)
        if self._striking("lose-answer", request):
            raise AnswerLost(applied=True)
        return response

    def stream(self, request: Request) -> "StreamFaults":
        """The faults of one watch, from its start to its end."""
        refusing = self._striking("refuse", request)
        return StreamFaults(
            refusal=refusal_of(refusing[0]) if refusing else None,
            cuts=[rule for rule in self.rules if rule.moment == "cut" and rule.concerns(request)],
            losses=[rule for rule in self.rules if rule.moment == "lose-event" and rule.concerns(request)],
        )

    def _striking(self, moment: Moment, request: Request) -> list[Rule]:
        return [r for r in self.rules if r.moment == moment and r.concerns(request) and r.strike()]


def refusal_of(rule: Rule) -> Refusal:
    """The answer of a refusing rule."""
    text = CODES.get(rule.status, "refused by a fault rule")
    return Refusal(rule.status, text, retry_after=rule.retry_after_s)


class StreamFaults:
    """What happens to the lines of one watch."""

    def __init__(self, *, refusal: Refusal | None, cuts: Sequence[Rule], losses: Sequence[Rule]) -> None:
        self.refusal = refusal
        self._cuts = cuts
        self._losses = losses
        self._delivered = 0

    def filter(self, lines: Sequence[bytes]) -> tuple[list[bytes], bool]:
        """The lines that arrive, and whether the stream is cut behind them."""
        passed: list[bytes] = []
        for line in lines:
            if any(_is_event(line, rule.event) and rule.strike() for rule in self._losses):
                continue
            for rule in self._cuts:
                if self._delivered >= rule.after_lines and rule.strike():
                    if rule.mid_line:
                        passed.append(line[: len(line) // 2])
                    return passed, True
            passed.append(line)
            self._delivered += 1
        return passed, False


def _is_event(line: bytes, type_: str) -> bool:
    return not type_ or line.startswith(b'{"type":"%s"' % type_.encode())
