"""What a reconciler decides: a short list of writes, and when to look again.

A Plan is a value: it can be compared, printed, cut short at any write (every prefix is a crash point in the
property tests) and carried out later by the executor. Writes name the UID or resourceVersion they were
decided on, so a plan that has gone stale is refused by the host instead of doing harm.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Self, TypeAlias

from nestling.api.json import JsonObject
from nestling.api.kinds import Kind, Uid
from nestling.machinery.measure import Measure
from nestling.machinery.names import Key

Propagation: TypeAlias = Literal["Background", "Foreground", "Orphan"]


@dataclass(frozen=True, slots=True)
class Create:
    """Create an object under a name that depends only on what it is for, so that a twin meets a 409."""

    kind: Kind
    key: Key
    body: JsonObject
    # Said once when it is done, and once when the host refuses: the event texts are the owner's.
    on_success: "Emit | None" = None
    on_failure: "Callable[[str], Emit] | None" = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Patch:
    """Merge-patch metadata and spec (or one subresource) of the object with this UID.

    With `version` the write succeeds only on exactly that resourceVersion; without, on any version of that
    UID.
    """

    kind: Kind
    key: Key
    uid: Uid
    body: JsonObject
    version: int | None = None
    subresource: Literal["", "status", "scale"] = ""
    on_success: "Emit | None" = None
    on_failure: "Callable[[str], Emit] | None" = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete the object with this UID; one of the same name created since is left alone."""

    kind: Kind
    key: Key
    uid: Uid
    version: int | None = None
    propagation: Propagation = "Background"
    on_success: "Emit | None" = None
    on_failure: "Callable[[str], Emit] | None" = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Emit:
    """Tell people, by a Kubernetes Event about one object. Best effort: an event never holds up a write."""

    kind: Kind
    key: Key
    uid: Uid
    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    component: str
    action: str = ""


@dataclass(frozen=True, slots=True)
class Tls:
    """How to speak TLS with a service: files or PEM text (which counts before its file), "" for none."""

    insecure: bool = False
    server_name: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    ca_data: str = ""
    cert_data: str = ""
    key_data: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask a service beside the host, by an HTTP POST of JSON; `about` and `uid` name whose fate waits for it.

    Nothing is repeated: whatever comes of it within `timeout_s` seconds is the answer.
    """

    about: Key
    uid: Uid
    url: str
    body: bytes
    timeout_s: float
    tls: Tls | None = None


Write: TypeAlias = Create | Patch | Delete | Emit


@dataclass(frozen=True, slots=True)
class Plan:
    """Writes in order, and when (seconds since 1970, UTC) the key wants to be looked at again.

    Neighbouring writes of the same verb on the same kind form one stage and may run side by side; a stage
    starts when the one before it has succeeded, and the first failure drops the rest: the next look decides
    anew. Equality ignores `why`, which is for the log and for whoever reads a failing test, and `measure`,
    which says what to count once it is known how the plan went.

    A plan may ask instead of writing: all of `asks` go out side by side, and the answers come back in the
    outcome. So a loop that needs to know what somebody outside thinks stays a pure function.
    """

    writes: tuple[Write, ...] = ()
    wake_at: float | None = None
    why: str = field(default="", compare=False)
    asks: tuple[Ask, ...] = ()
    measure: Measure | None = field(default=None, compare=False)

    @classmethod
    def done(cls, why: str = "") -> Self:
        """Nothing to write and nothing to wait for: the next event will wake us."""
        return cls(why=why)

    @classmethod
    def wait_until(cls, when: float, why: str = "") -> Self:
        """Nothing to write; look again at `when`, seconds since 1970."""
        return cls(wake_at=when, why=why)

    @classmethod
    def of(
        cls,
        *writes: Write,
        why: str = "",
        wake_at: float | None = None,
        measure: Measure | None = None,
    ) -> Self:
        """Do these writes, in this order."""
        return cls(writes=writes, why=why, wake_at=wake_at, measure=measure)

    def stages(self) -> list[tuple[Write, ...]]:
        """The writes as runs of equal verb, kind and subresource, in order."""
        runs: list[list[Write]] = []
        for write in self.writes:
            if runs and _stage(runs[-1][0]) == _stage(write):
                runs[-1].append(write)
            else:
                runs.append([write])
        return [tuple(run) for run in runs]


def _stage(write: Write) -> tuple[object, ...]:
    return (type(write), write.kind, write.subresource if isinstance(write, Patch) else "")
