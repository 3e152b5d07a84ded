"""The cluster that the user's kubeconfig points to, as host: looked at, never started and never stopped."""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from nestling.host.errors import HostNotFoundError, HostNotReadyError, HostSetupError
from nestling.host.folder import Folder
from nestling.host.paths import write_private
from nestling.host.record import Host, HostStatus, Progress, silent

TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class CurrentSettings:
    """`context` is a context of the kubeconfig; empty takes the current one."""

    name: str
    root: Path
    context: str = ""


class CurrentHost:
    """A cluster of somebody else."""

    def __init__(self, settings: CurrentSettings, *, env: Mapping[str, str] = os.environ) -> None:
        self.settings = settings
        self.files = Folder(settings.root, settings.root / "data", ())
        self._env = env

    def up(self, progress: Progress = silent) -> Host:
        """Find the context and ask its cluster whether it is ready."""
        with self.files.alone():
            host = self._find()
            progress(f"asking {host.server}")
            problem = problem_of(host.kubeconfig, host.context)
            if problem is not None:
                raise HostNotReadyError(
                    f"context {host.context} of {host.kubeconfig} does not answer ({problem})",
                    next_step="choose another context with `kubectl config use-context`",
                )
            self.files.remember(
                {
                    "name": self.settings.name,
                    "kind": "current",
                    "server": host.server,
                    "kubeconfig": str(host.kubeconfig),
                    "context": host.context,
                }
            )
            return host

    def down(self, *, purge: bool = False, progress: Progress = silent) -> None:
        """Forget the host; the cluster is not ours to stop. `purge` makes no difference."""
        del purge
        if self.settings.root.exists():
            with self.files.alone():
                self.files.purge()
            progress("forgot the host; its cluster is not ours and goes on running")

    def status(self) -> HostStatus:
        """Whether the cluster that was found then answers now."""
        known = self.files.record()
        if known is None:
            raise HostNotFoundError(
                f"host {self.settings.name} has never been up",
                next_step="choose it with `nestling host up current`",
            )
        host = Host(
            name=self.settings.name,
            kind="current",
            server=known["server"],
            kubeconfig=Path(known["kubeconfig"]),
            context=known["context"],
        )
        problem = problem_of(host.kubeconfig, host.context)
        return HostStatus(host, "running" if problem is None else "degraded", problem or "")

    def _find(self) -> Host:
        sources = kubeconfig_files(self._env)
        if not sources:
            raise HostNotFoundError(
                "no kubeconfig in KUBECONFIG or ~/.kube/config", next_step="use `nestling host up embedded`"
            )
        merged = merge([_read(source) for source in sources])
        name = self.settings.context or merged.get("current-context") or ""
        server = server_of(merged, name)
        if server is None:
            known = ", ".join(sorted(entry["name"] for entry in merged.get("contexts") or [])) or "none"
            said = f"context {name} is not" if name else "no current context is set"
            raise HostNotFoundError(
                f"{said} in {':'.join(map(str, sources))}, which has {known}",
                next_step="choose one with `kubectl config use-context`",
            )
        if len(sources) == 1:
            return Host(self.settings.name, "current", server, sources[0], name)
        # Every other command takes one file, so that is what it gets.
        copy = self.files.kubeconfig
        write_private(copy, yaml.safe_dump({**merged, "current-context": name}, sort_keys=False).encode())
        return Host(self.settings.name, "current", server, copy, name)


def kubeconfig_files(env: Mapping[str, str]) -> list[Path]:
    """The kubeconfig files that exist, in the order in which kubectl reads them."""
    named = [Path(part).expanduser() for part in env.get("KUBECONFIG", "").split(os.pathsep) if part]
    if not named:
        named = [Path(env["HOME"] if env.get("HOME") else Path.home()) / ".kube" / "config"]
    return [path.absolute() for path in named if path.is_file()]


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_bytes())
    except (OSError, yaml.YAMLError) as error:
        said = str(error).splitlines()[0]
        raise HostSetupError(
            f"{path} is not readable ({said})", next_step="repair it or set KUBECONFIG"
        ) from error
    if not isinstance(document, dict):
        raise HostSetupError(f"{path} is not a kubeconfig", next_step="repair it or set KUBECONFIG")
    return resolve(document, path.parent)


# Keys of clusters and users that hold paths, relative to their own file.
_PATHS: Final = ("certificate-authority", "client-certificate", "client-key", "tokenFile")


def resolve(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The kubeconfig with absolute paths, so that it may be read from another place."""

    def absolute(entry: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: str(folder / value) if key in _PATHS and value else value for key, value in entry.items()
        }

    parts = {
        kind: [{**entry, part: absolute(entry.get(part) or {})} for entry in document.get(kind) or []]
        for kind, part in (("clusters", "cluster"), ("users", "user"))
    }
    return {**document, **parts}


def merge(documents: list[dict[str, Any]]) -> dict[str, Any]:
    """One kubeconfig out of several: the first of two entries with one name wins.

    Source: Kubernetes documentation, Organizing Cluster Access Using kubeconfig Files.
    """
    merged: dict[str, Any] = {"apiVersion": "v1", "kind": "Config", "current-context": ""}
    for kind in ("clusters", "users", "contexts"):
        by_name: dict[str, Any] = {}
        for document in documents:
            for entry in document.get(kind) or []:
                by_name.setdefault(entry["name"], entry)
        merged[kind] = list(by_name.values())
    for document in documents:
        merged["current-context"] = merged["current-context"] or document.get("current-context") or ""
    return merged


def server_of(document: Mapping[str, Any], context: str) -> str | None:
    """The server that a context leads to; None when there is no such context, or it leads nowhere."""
    clusters = {entry["name"]: entry.get("cluster") or {} for entry in document.get("clusters") or []}
    for entry in document.get("contexts") or []:
        if entry["name"] == context:
            return clusters.get((entry.get("context") or {}).get("cluster"), {}).get("server")
    return None


def problem_of(kubeconfig: Path, context: str) -> str | None:
    """None when the API server behind a context is ready, else why not."""
    # Here and not above: the client library takes longer to load than everything else of this package
    # together.
    import urllib3.exceptions  # noqa: PLC0415
    from kubernetes import client, config  # noqa: PLC0415

    try:
        with contextlib.closing(config.new_client_from_config(str(kubeconfig), context)) as api:
            client.VersionApi(api).get_code(_request_timeout=TIMEOUT_S)
    except client.ApiException as error:
        return f"HTTP {error.status}"
    except config.ConfigException as error:
        return str(error)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        return _innermost(error)
    return None


def _innermost(error: BaseException) -> str:
    """The one line at the bottom of a chain of wrapped network errors."""
    reason = getattr(error, "reason", None)
    if isinstance(reason, BaseException):
        return _innermost(reason)
    return (str(error) or type(error).__name__).splitlines()[0][:200]
