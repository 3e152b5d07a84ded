"""A kind cluster as host: Kubernetes in Docker containers, when `docker` and `kind` are there.

Leaves everything to the `kind` command and keeps only the kubeconfig. `down` stops the node containers and
keeps what is stored in them; `down --purge` deletes the cluster.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from nestling.host import probe
from nestling.host.errors import BinaryMissingError, HostNotFoundError, HostNotReadyError
from nestling.host.folder import Folder
from nestling.host.paths import write_private
from nestling.host.record import ComponentStatus, Host, HostStatus, Progress, silent

# Creating takes 15 to 60 s once the image is there; pulling it has no bound worth guessing.
CREATE_TIMEOUT_S: Final = 1800.0
ANSWER_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class KindSettings:
    """`image` is the node image; empty takes the one that this `kind` was made for."""

    name: str
    root: Path
    image: str = ""


class KindHost:
    """One kind cluster of ours, called `nestling-<name>`; other kind clusters are never touched."""

    def __init__(self, settings: KindSettings, *, env: Mapping[str, str] = os.environ) -> None:
        self.settings = settings
        self.files = Folder(settings.root, settings.root / "data", ())
        self._env = dict(env)

    @property
    def cluster(self) -> str:
        """The cluster's name in `kind get clusters`."""
        return f"nestling-{self.settings.name}"

    def up(self, progress: Progress = silent) -> Host:
        """Create the cluster, or start its containers again.

        Raises BinaryMissingError without Docker or kind.
        """
        self._check_tools()
        with self.files.alone():
            self.files.claim()
            if self.cluster in self._run(["kind", "get", "clusters"]).splitlines():
                nodes = self._nodes()
                progress(f"starting the containers of kind cluster {self.cluster}")
                self._run(["docker", "start", *nodes])
                text = self._run(["kind", "get", "kubeconfig", "--name", self.cluster])
                write_private(self.files.kubeconfig, text.encode())
            else:
                progress(f"creating kind cluster {self.cluster}; the first time its image is downloaded")
                image = ["--image", self.settings.image] if self.settings.image else []
                kubeconfig = ["--kubeconfig", str(self.files.kubeconfig)]
                command = ["kind", "create", "cluster", "--name", self.cluster, "--wait", "120s"]
                self._run([*command, *kubeconfig, *image], timeout_s=CREATE_TIMEOUT_S)
            self.files.kubeconfig.chmod(0o600)
            host = self._host()
            self.files.remember(
                {
                    "name": self.settings.name,
                    "kind": "kind",
                    "server": host.server,
                    "image": self.settings.image,
                }
            )
            if not probe.wait_for(lambda: self._ask() is None, timeout_s=ANSWER_TIMEOUT_S, every_s=0.5):
                raise HostNotReadyError(
                    f"kind cluster {self.cluster} does not answer ({self._ask()})",
                    next_step=f"read `docker logs {self.cluster}-control-plane`",
                )
            return host

    def down(self, *, purge: bool = False, progress: Progress = silent) -> None:
        """Stop the containers; `purge` deletes the cluster and all state."""
        if not self.settings.root.exists():
            return
        self._check_tools()
        with self.files.alone():
            nodes = self._nodes()
            if purge:
                if nodes:
                    self._run(["kind", "delete", "cluster", "--name", self.cluster])
                    progress(f"deleted kind cluster {self.cluster}")
                self.files.purge()
            elif nodes:
                self._run(["docker", "stop", *nodes])
                progress(f"stopped the containers of kind cluster {self.cluster}")

    def status(self) -> HostStatus:
        """Which node containers run, and whether the API server answers."""
        if self.files.record() is None:
            raise HostNotFoundError(
                f"host {self.settings.name} has never been up",
                next_step="start it with `nestling host up kind`",
            )
        host = self._host()
        try:
            self._check_tools()
        except BinaryMissingError as error:
            return HostStatus(host, "stopped", error.problem)
        nodes = self._nodes()
        up = set(self._run(["docker", "ps", "--format", "{{.Names}}"]).split())
        parts = tuple(ComponentStatus(node, running=node in up) for node in nodes)
        if not any(part.running for part in parts):
            return HostStatus(host, "stopped", "" if nodes else "the cluster was deleted", parts)
        problem = self._ask()
        if problem is not None:
            return HostStatus(host, "degraded", f"the API server answers {problem}", parts)
        return HostStatus(host, "running", "", parts)

    def _nodes(self) -> list[str]:
        # `kind get nodes` says "No kind nodes found" on standard error, so an empty answer is none.
        return self._run(["kind", "get", "nodes", "--name", self.cluster]).split()

    def _check_tools(self) -> None:
        for tool, link in (("docker", "https://docs.docker.com"), ("kind", "https://kind.sigs.k8s.io")):
            if shutil.which(tool, path=self._env.get("PATH", "")) is None:
                raise BinaryMissingError(
                    f"a kind host needs `{tool}`, which is not in PATH",
                    next_step=f"install it ({link}) or use `nestling host up local`",
                )
        answer = subprocess.run(["docker", "info"], capture_output=True, check=False, env=self._env)  # noqa: S607
        if answer.returncode != 0:
            raise BinaryMissingError(
                "the Docker daemon does not answer",
                next_step="start Docker, or use `nestling host up local`",
            )

    def _run(self, command: Sequence[str], *, timeout_s: float = 300.0) -> str:
        try:
            answer = subprocess.run(  # noqa: S603  kind and docker with names of our own
                command, capture_output=True, text=True, check=False, env=self._env, timeout=timeout_s
            )
        except subprocess.TimeoutExpired as error:
            raise HostNotReadyError(
                f"`{' '.join(command[:3])}` has not ended after {timeout_s:.0f} s",
                next_step="look at `docker ps` and run the same command again",
            ) from error
        if answer.returncode != 0:
            said = [line.strip() for line in answer.stderr.splitlines() if line.strip()]
            wrong = next((line for line in said if line.startswith("ERROR")), said[-1] if said else "")
            raise HostNotReadyError(
                f"`{' '.join(command[:3])}` failed ({wrong[:300]})",
                next_step=f"run `{' '.join(command)}` to see all it says",
            )
        return answer.stdout

    def _host(self) -> Host:
        cluster = yaml.safe_load(self.files.kubeconfig.read_bytes())["clusters"][0]["cluster"]
        return Host(
            name=self.settings.name,
            kind="kind",
            server=cluster["server"],
            kubeconfig=self.files.kubeconfig,
            context=f"kind-{self.cluster}",
        )

    def _ask(self) -> str | None:
        """None when the API server is ready, else what it says."""
        from nestling.host.current import problem_of  # noqa: PLC0415  imports the client library, slow to load

        return problem_of(self.files.kubeconfig, f"kind-{self.cluster}")
