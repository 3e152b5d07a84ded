"""How long a container waits before it is started again.

The first restart comes at once; then 10 seconds, doubling to 300, each counted from the end of the last
run. A run longer than 600 seconds starts the count over. Nothing is remembered: the step reached is read
off the status, from the time that passed between the last two runs, so a restart of the kubelet does not
shorten a back-off.
Source: Kubernetes 1.37, pkg/kubelet/kuberuntime (doBackOff) and client-go util/flowcontrol/backoff.go.
"""

import re
from typing import Final

FIRST_S: Final = 10
LONGEST_S: Final = 300
FORGIVEN_AFTER_S: Final = 600

_TOLD: Final = re.compile(r"back-off (?:(\d{1,3})m)?(\d{1,3})s ", re.ASCII)


def delay(restarts: int, *, waited_s: float | None, ran_s: float) -> int:
    """Seconds from the end of a run to the next start.

    `restarts` is how often the container was restarted before this end, `waited_s` the pause before the
    run that has ended (None if it was the first), `ran_s` how long that run was.
    """
    if restarts <= 0 or waited_s is None or ran_s > FORGIVEN_AFTER_S:
        return 0
    step = FIRST_S
    while step <= waited_s and step < LONGEST_S:
        step = min(step * 2, LONGEST_S)
    # While nobody looked (the kubelet was down) a pause grows by itself: the restarts bound it.
    return min(step, FIRST_S << min(restarts - 1, 5), LONGEST_S)


def message(seconds: int, container: str, pod: str) -> str:
    """The waiting message: `pod` is name_namespace(uid)."""
    return f"back-off {duration(seconds)} restarting failed container={container} pod={pod}"


def told(text: str) -> int | None:
    """The seconds that a waiting message names, or None if it is not ours."""
    match = _TOLD.match(text)
    return int(match[1] or 0) * 60 + int(match[2]) if match else None


def duration(seconds: int) -> str:
    """A duration as Go prints it: `10s`, `1m20s`, `5m0s`."""
    return f"{seconds // 60}m{seconds % 60}s" if seconds >= 60 else f"{seconds}s"
