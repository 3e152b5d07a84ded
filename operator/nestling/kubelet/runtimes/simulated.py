"""A runtime that runs nothing: containers do what the pod's `sim.nestling.dev/*` annotations say.

Everything follows from (seed, pod UID, container name, attempt) and the annotations, so nothing has to be
remembered: after a restart of the kubelet each container is found exactly where it was. Images under
`fail/` and in registries whose host ends in `.invalid` (a domain that never resolves, RFC 2606) do not
exist.
"""

import hashlib
import itertools
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from nestling.api import quantity
from nestling.kubelet.runtimes.annotation import (
    LONGEST_S,
    MOST_LINES,
    PLAIN,
    Curve,
    Script,
    Spread,
    script_of,
)
from nestling.kubelet.runtimes.runtime import Answers, Container, Executed, ProbeKind, Pull, Run, Usage

FAILING: Final = "fail"
INVALID_DOMAIN: Final = ".invalid"
# A crash comes within this time where no run duration bounds it.
CRASH_WITHIN_S: Final = 60.0
CRASH_CODE: Final = 1
NO_SHELL: Final = 126

_REFERENCE: Final = re.compile(
    r"(?:[a-z0-9.-]+(?::\d+)?/)?[a-z0-9._-]+(?:/[a-z0-9._-]+)*(?::[\w.-]{1,128})?(?:@[a-z0-9]+:[0-9a-f]{32,})?",
    re.ASCII | re.IGNORECASE,
)


class Simulated:
    """The simulated runtime; without state of its own."""

    name = "simulated"
    version = "1.0.0"

    def pull(self, container: Container) -> Pull:
        """Refuse unknown images, take the start delay for known ones."""
        image: str = container.spec.get("image") or ""
        refusal = _refusal(image)
        if refusal is not None:
            never = container.spec.get("imagePullPolicy") == "Never"
            if never and refusal.error == "ErrImagePull":
                text = f'Container image "{image}" is not present with pull policy of Never'
                return Pull(error="ErrImageNeverPull", message=text)
            return refusal
        script = _script(container)
        if script.start_delay is None:
            return Pull(container.default_start_delay_s) if container.default_start_delay_s else _AT_ONCE
        return Pull(_pick(script.start_delay, container, "start-delay"))

    def image_id(self, image: str) -> str:
        """A digest that depends on the image's name alone."""
        return _image_id(image)

    def create(self, container: Container, attempt: int) -> str:
        """A made-up id that depends on the pod, the container and the attempt."""
        digest = hashlib.blake2b(f"{container.seed}/{container.uid}/{container.name}/{attempt}".encode())
        return f"simulated://{digest.hexdigest()[:64]}"

    def start(self, container: Container, attempt: int) -> Run:
        """Run for the scripted time, or crash on the way if the dice say so."""
        script = _script(container)
        whole = container.default_run_s
        if script.run_duration is not None:
            whole = _pick(script.run_duration, container, "run", attempt)
        elif whole is None and not script.crash_probability:
            return _ENDLESS
        if script.crash_probability and _dice(container, "crash", attempt) < script.crash_probability:
            span = CRASH_WITHIN_S if whole is None else whole
            return Run(span * _dice(container, "crash-after", attempt), script.exit_code or CRASH_CODE)
        return _ENDLESS if whole is None else Run(whole, script.exit_code)

    def probe(self, container: Container, attempt: int, kind: ProbeKind) -> Answers:
        """Succeed from the scripted moment on, until the container is scripted to become unhealthy."""
        script = _script(container)
        if script is PLAIN:
            return _ALWAYS
        if kind == "readiness" and script.never_ready:
            return Answers(since=LONGEST_S)
        since = {"startup": script.started_after, "readiness": script.ready_after}.get(kind)
        until = script.unhealthy_after if kind != "startup" else None
        return Answers(
            0.0 if since is None else _pick(since, container, f"{kind}-since", attempt),
            None if until is None else _pick(until, container, "unhealthy", attempt),
        )

    def stop(self, container: Container, attempt: int) -> float:
        """End after the scripted delay, or at once."""
        delay = _script(container).stop_delay
        return 0.0 if delay is None else _pick(delay, container, "stop", attempt)

    def exec(self, container: Container, attempt: int, command: Sequence[str]) -> Executed:
        """Refuse: there is no process that could run a command."""
        shown = " ".join(command)[:200]
        return Executed(
            NO_SHELL, stderr=f"{container.name} (run {attempt}) is simulated and cannot run: {shown}"
        )

    def logs(self, container: Container, attempt: int, ran_for: float) -> Iterable[str]:
        """The scripted lines: each `|`-separated part in turn, one a second."""
        text = _script(container).log_lines
        if not text:
            return ()
        parts = text.split("|")
        lines = min(int(ran_for) + 1, MOST_LINES)
        return tuple(parts[line % len(parts)].replace("{n}", str(line)) for line in range(lines))

    def stats(self, container: Container, attempt: int, ran_for: float) -> Usage:
        """The scripted curves at this moment; a tenth of the requests where nothing is scripted."""
        script = _script(container)
        requests = (container.spec.get("resources") or {}).get("requests") or {}
        cpu = _tenth(requests.get("cpu"), 1000)
        return Usage(
            _at(script.cpu, ran_for, cpu),
            int(_at(script.memory, ran_for, _tenth(requests.get("memory"), 1))),
            _until(script.cpu, ran_for, cpu) / 1000,
        )

    def complaints(self, container: Container) -> Iterable[str]:
        """What could not be read of the annotations."""
        return _script(container).complaints


_AT_ONCE: Final = Pull()
_ENDLESS: Final = Run()
_ALWAYS: Final = Answers()


def _script(container: Container) -> Script:
    if not container.annotations:
        return PLAIN
    return _script_of(tuple(container.annotations.items()), container.name)


@lru_cache(maxsize=4096)
def _script_of(annotations: tuple[tuple[str, str], ...], container: str) -> Script:
    """Pods of one template share their annotations, and one look asks several times."""
    return script_of(dict(annotations), container)


def _dice(container: Container, purpose: str, attempt: int = 0) -> float:
    """A number in [0, 1) that this container, purpose and attempt always get."""
    text = f"{container.seed}/{container.uid}/{container.name}/{attempt}/{purpose}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest(), "big") / 2**56


def _pick(spread: Spread, container: Container, purpose: str, attempt: int = 0) -> float:
    least, most = spread
    return least if least == most else least + (most - least) * _dice(container, purpose, attempt)


@lru_cache(maxsize=1024)
def _image_id(image: str) -> str:
    repository = image.partition("@")[0]
    head, slash, tail = repository.rpartition("/")
    bare = f"{head}{slash}{tail.partition(':')[0]}"
    return f"{bare}@sha256:{hashlib.sha256(image.encode()).hexdigest()}"


@lru_cache(maxsize=1024)
def _refusal(image: str) -> Pull | None:
    """Why an image cannot be had, or None. The texts are containerd's."""
    repository = image.partition("@")[0].rpartition(":")[0] if ":" in image.rpartition("/")[2] else image
    if not _REFERENCE.fullmatch(image):
        reason = "invalid reference format"
    elif repository != repository.lower():
        reason = "invalid reference format: repository name must be lowercase"
    else:
        reason = ""
    if reason:
        text = f'Failed to apply default image tag "{image}": couldn\'t parse image name "{image}": {reason}'
        return Pull(error="InvalidImageName", message=text)
    first, slash, rest = image.partition("/")
    host = first.partition(":")[0]
    tagged = image if ":" in image.rpartition("/")[2] or "@" in image else f"{image}:latest"
    if slash and host.endswith(INVALID_DOMAIN):
        path, _, tag = rest.partition(":")
        url = f"https://{first}/v2/{path}/manifests/{tag or 'latest'}"
        reference = tagged
        why = f'failed to do request: Head "{url}": dial tcp: lookup {host}: no such host'
    elif slash and first == FAILING:
        reference = f"docker.io/{tagged}"
        why = (
            "pull access denied, repository does not exist or may require authorization: "
            "server message: insufficient_scope: authorization failed"
        )
    else:
        return None
    text = (
        f'rpc error: code = Unknown desc = failed to pull and unpack image "{reference}": '
        f'failed to resolve reference "{reference}": {why}'
    )
    return Pull(error="ErrImagePull", message=text)


def _at(curve: Curve, when: float, default: float) -> float:
    """The curve's amount at `when`: straight between its points, level outside them."""
    if not curve:
        return default
    before = curve[0]
    for after in curve:
        if after[0] > when:
            if after is curve[0]:
                return after[1]
            share = (when - before[0]) / (after[0] - before[0])
            return before[1] + (after[1] - before[1]) * share
        before = after
    return before[1]


def _until(curve: Curve, when: float, default: float) -> float:
    """The area below the curve from 0 to `when`."""
    corners = [0.0, *(at for at, _ in curve if 0.0 < at < when), when]
    return sum(
        (_at(curve, after, default) + _at(curve, before, default)) / 2 * (after - before)
        for before, after in itertools.pairwise(corners)
    )


def _tenth(amount: object, scale: int) -> float:
    if not isinstance(amount, str | int | float):
        return 0.0
    try:
        return float(quantity.parse(amount)) * scale / 10
    except ValueError:
        return 0.0
