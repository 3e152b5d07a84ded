"""Components of a host as processes: started once, found again by their pid file, awaited until ready."""

import os
from collections.abc import Callable, Sequence

from nestling.host import probe, process
from nestling.host.errors import HostNotReadyError
from nestling.host.folder import Folder
from nestling.host.process import Ending, Process
from nestling.host.record import ComponentStatus, Progress


def launch(
    folder: Folder,
    component: str,
    command: Sequence[str],
    *,
    ready: Callable[[], bool],
    timeout_s: float,
    progress: Progress,
) -> None:
    """Start a component unless it runs, and wait until it is ready. Raises HostNotReadyError with its log."""
    log = folder.log(component)
    found = running(folder, component)
    if found is None:
        progress(f"starting {component}")
        found = process.spawn(command, log=log, env=environment())
        process.remember(folder.pid(component), found)
    child = found
    in_time = probe.wait_for(lambda: not process.alive(child) or ready(), timeout_s=timeout_s)
    if not process.alive(child):
        halt(folder, component, grace_s=0)  # nothing is left to stop: takes note of its end
        said = probe.last_lines(log)[:300]
        raise HostNotReadyError(f"{component} ended right after its start ({said})", next_step=f"read {log}")
    if not in_time:
        raise HostNotReadyError(f"{component} is not ready after {timeout_s:.0f} s", next_step=f"read {log}")


def running(folder: Folder, component: str) -> Process | None:
    """The component's process, if it lives."""
    known = process.recall(folder.pid(component))
    return known if process.alive(known) else None


def adopt(folder: Folder, component: str, mark: str) -> None:
    """Find a component again whose pid file was never written, because we were killed right after its start.

    `mark` is an argument of its command line that no other host has.
    """
    if running(folder, component) is None:
        for orphan in process.having(mark):
            process.remember(folder.pid(component), orphan)


def halt(folder: Folder, component: str, *, grace_s: float) -> Ending:
    """Stop the component if it runs, and forget its pid."""
    ending = process.stop(process.recall(folder.pid(component)), grace_s=grace_s)
    folder.pid(component).unlink(missing_ok=True)
    return ending


def look(folder: Folder, component: str) -> ComponentStatus:
    """The component as it is now."""
    found, log = running(folder, component), folder.log(component)
    if found is None:
        return ComponentStatus(component, running=False, log=log)
    rss = process.rss_bytes(found)
    return ComponentStatus(component, running=True, pid=found.pid, rss_bytes=rss, log=log)


def environment() -> dict[str, str]:
    """What a component inherits: nothing that could send loopback traffic through a proxy."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "TMPDIR", "LANG"}}
    return {**kept, "NO_PROXY": "*"}
