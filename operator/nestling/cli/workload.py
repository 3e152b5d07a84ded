"""The workload that a command is about, as people name it: `deployment/web` or `deployment web`."""

from dataclasses import dataclass
from typing import Final

from nestling.api import kinds
from nestling.api.kinds import DAEMON_SET, DEPLOYMENT, STATEFUL_SET, Kind
from nestling.cli import exit_codes
from nestling.cli.problem import Problem

_NATIVE_SHORT: Final = {DEPLOYMENT: "deploy", STATEFUL_SET: "sts", DAEMON_SET: "ds"}
ROLLED_OUT: Final = (DEPLOYMENT, STATEFUL_SET, DAEMON_SET)
KINDS_BY_WORD: Final = {
    word: kind
    for kind in ROLLED_OUT
    for name in (kind.name.lower(), kind.native.lower())
    for word in (name, f"{name}s", f"{name}.{kind.group}", f"{name}.apps", f"{name}s.apps",
                 f"{name}s.{kind.group}", _NATIVE_SHORT[kind], *kind.short_names)
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Workload:
    """A kind of object that is rolled out, and the name of one on the host."""

    kind: Kind
    name: str

    @property
    def text(self) -> str:
        """As kubectl prints it: `virtualdeployment.nestling.dev/web`."""
        return printed(self.kind, self.name)

    @property
    def resource(self) -> str:
        """As errors about it begin: `virtualdeployments.nestling.dev "web"`."""
        return f'{self.kind.plural}.{self.kind.group} "{self.name}"'


def printed(kind: Kind, name: str) -> str:
    """An object as kubectl prints it in front of what was done to it."""
    return f"{kind.name.lower()}.{kinds.GROUP}/{name}"


def workloads(arguments: list[str]) -> list[Workload]:
    """What the arguments name: TYPE/NAME as often as wanted, or TYPE and then names. Raises Problem."""
    if arguments and "/" not in arguments[0]:
        kind = _kind(arguments[0])
        if len(arguments) == 1:
            raise _usage(f"which {kind.native.lower()} is not said", f"add its name: {arguments[0]}/NAME")
        return [Workload(kind, name) for name in arguments[1:]]
    found: list[Workload] = []
    for argument in arguments:
        word, slash, name = argument.partition("/")
        if not slash or not name or "/" in name:
            raise _usage(f"{argument} names no workload", "write TYPE/NAME, such as deployment/web")
        found.append(Workload(_kind(word), name))
    return found


def kind_alone(arguments: list[str]) -> Kind:
    """The only kind that the arguments name, of objects that are chosen otherwise. Raises Problem."""
    if len(arguments) != 1 or "/" in arguments[0]:
        raise _usage(
            "a selector chooses among all objects of one type", "write TYPE -l SELECTOR, without a name"
        )
    return _kind(arguments[0])


def one_workload(arguments: list[str]) -> Workload:
    """The only workload that the arguments name. Raises Problem."""
    found = workloads(arguments)
    if len(found) != 1:
        raise _usage(f"{len(found)} workloads are named", "name one")
    return found[0]


def _kind(word: str) -> Kind:
    kind = KINDS_BY_WORD.get(word.lower())
    if kind is None:
        known = ", ".join(kind.native.lower() for kind in ROLLED_OUT)
        raise _usage(f'"{word}" is nothing that is rolled out', f"use one of {known}")
    return kind


def _usage(problem: str, step: str) -> Problem:
    return Problem(problem, next_step=step, exit_code=exit_codes.USAGE)
