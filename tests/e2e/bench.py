"""The host of the end-to-end tests: a kind cluster, the image in it, helm, kubectl, and an audit log.

Everything is done as users do it: by command line, with the rights that the chart gives.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pytest_kind import KindCluster

ROOT: Final = Path(__file__).parents[2]
CHART: Final = ROOT / "helm" / "nestling"
IMAGE: Final = "nestling:e2e"
IMAGE_VALUES: Final = (
    "image.registry=",
    "image.repository=nestling",
    "image.tag=e2e",
    "image.pullPolicy=Never",
)
AUDIT_LOG: Final = "/var/log/kubernetes/audit/audit.log"
# Only who we are: the log of everything would be a second load on the disk.
AUDIT_POLICY: Final = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: None
    userGroups: ["system:nodes", "system:masters", "kubeadm:cluster-admins"]
  - level: None
    users:
      - system:apiserver
      - system:kube-scheduler
      - system:kube-controller-manager
      - system:kube-proxy
  - level: None
    userGroups: ["system:serviceaccounts:kube-system", "system:serviceaccounts:local-path-storage"]
  - level: Metadata
    userGroups: ["system:serviceaccounts"]
"""
# `extraArgs` is a map in one version of kubeadm's configuration and a list in the next; kind takes what fits.
KIND_CONFIG: Final = """\
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes:
  - role: control-plane
    extraMounts:
      - hostPath: {policy}
        containerPath: /etc/kubernetes/audit/policy.yaml
        readOnly: true
    kubeadmConfigPatches:
      - |
        apiVersion: kubeadm.k8s.io/v1beta4
        kind: ClusterConfiguration
        apiServer:
          extraArgs:
            - name: audit-policy-file
              value: /etc/kubernetes/audit/policy.yaml
            - name: audit-log-path
              value: {log}
          extraVolumes: &volumes
            - name: audit-policy
              hostPath: /etc/kubernetes/audit
              mountPath: /etc/kubernetes/audit
              readOnly: true
            - name: audit-log
              hostPath: /var/log/kubernetes/audit
              mountPath: /var/log/kubernetes/audit
              pathType: DirectoryOrCreate
      - |
        apiVersion: kubeadm.k8s.io/v1beta3
        kind: ClusterConfiguration
        apiServer:
          extraArgs:
            audit-policy-file: /etc/kubernetes/audit/policy.yaml
            audit-log-path: {log}
          extraVolumes:
            - name: audit-policy
              hostPath: /etc/kubernetes/audit
              mountPath: /etc/kubernetes/audit
              readOnly: true
            - name: audit-log
              hostPath: /var/log/kubernetes/audit
              mountPath: /var/log/kubernetes/audit
              pathType: DirectoryOrCreate
"""
Object = dict[str, Any]


class Failed(AssertionError):
    """A command did not do what it should; the text is all it said."""


def run(
    command: Sequence[str | Path],
    *,
    env: dict[str, str] | None = None,
    stdin: str | None = None,
    timeout_s: float = 300,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end. Raises Failed with everything it said."""
    done = subprocess.run(
        [str(word) for word in command],
        env={**os.environ, **(env or {})},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


@dataclass(frozen=True)
class Bench:
    """A kind cluster with our image in it."""

    cluster: KindCluster
    helm_bin: Path
    # When each host namespace began to lose its release (seconds since 1970).
    leaving: dict[str, float] = field(default_factory=dict[str, float])

    @property
    def env(self) -> dict[str, str]:
        """Where commands find the cluster."""
        return {"KUBECONFIG": str(self.cluster.kubeconfig_path)}

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout_s: float = 300) -> str:
        """Standard output of kubectl. Raises Failed."""
        command = [str(self.cluster.kubectl_path), *arguments]
        return run(command, env=self.env, stdin=stdin, timeout_s=timeout_s).stdout

    def tries(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """kubectl, and the caller looks at how it ended."""
        command = [str(self.cluster.kubectl_path), *arguments]
        return run(command, env=self.env, stdin=stdin, check=False)

    def get(self, *arguments: str) -> Any:
        """What kubectl gets, as JSON; None when it is not there."""
        text = self.kubectl("get", *arguments, "-o", "json", "--ignore-not-found")
        return json.loads(text) if text.strip() else None

    def items(self, *arguments: str) -> list[Object]:
        """The items of a list."""
        return (self.get(*arguments) or {"items": []})["items"]

    def helm(self, *arguments: str, timeout_s: float = 300) -> str:
        """Standard output of helm. Raises Failed."""
        return run([self.helm_bin, *arguments], env=self.env, timeout_s=timeout_s).stdout

    def install(self, space: str, *values: str, release: str = "nestling", wait: bool = True) -> None:
        """helm install of the chart in the checkout, with the image of the checkout."""
        if self.has_kinds() and not any(value.startswith("crds.") for value in values):
            values = (*values, "crds.enabled=false")  # they are of a release before this one
        settings = [word for value in (*IMAGE_VALUES, *values) for word in ("--set", value)]
        waiting = ["--wait", "--timeout", "300s"] if wait else []
        chart = [release, str(CHART), "-n", space, "--create-namespace", *waiting, *settings]
        try:
            self.helm("install", *chart, timeout_s=400)
        except Failed as failure:
            if "request did not complete within requested timeout" not in str(failure):
                raise
            print("the API server is too busy to take all kinds at once; a second try")
            self.helm("upgrade", "--install", *chart, timeout_s=400)

    def uninstall(self, space: str) -> None:
        """helm uninstall, as users type it."""
        self.leaving.setdefault(space, time.time())
        self.helm("uninstall", "nestling", "-n", space, "--ignore-not-found")

    def delete_namespace(self, space: str) -> None:
        """kubectl delete namespace, to the end."""
        self.leaving.setdefault(space, time.time())
        self.kubectl("delete", "namespace", space, "--timeout=120s")

    def has_kinds(self) -> bool:
        """Whether the host knows our kinds."""
        return self.get("customresourcedefinition", "virtualpods.nestling.dev") is not None

    def node_exec(self, *command: str) -> str:
        """Run a command on kind's node."""
        return run(["docker", "exec", f"{self.cluster.name}-control-plane", *command]).stdout

    def audit(self) -> Iterator[Object]:
        """What the API server remembers of requests by service accounts."""
        whole = self.node_exec("cat", AUDIT_LOG).rpartition("\n")[
            0
        ]  # the last line may still be being written
        for line in whole.splitlines():
            yield json.loads(line)

    def state(self, space: str) -> str:
        """What a person would look at when something is wrong."""
        parts = [
            self.tries("-n", space, "get", "pods,jobs", "-o", "wide").stdout,
            self.tries("-n", space, "get", "events", "--sort-by=.lastTimestamp").stdout[-3000:],
            self.tries(
                "-n", space, "logs", "-l", "app.kubernetes.io/part-of=nestling", "--tail=30", "--prefix"
            ).stdout[-6000:],
        ]
        return "\n".join(parts)


def until(what: str, condition: Callable[[], object], *, within_s: float, every_s: float = 0.5) -> Any:
    """Wait until `condition` says something, and return it. Raises Failed with the last thing it said."""
    deadline = time.monotonic() + within_s
    while True:
        said = condition()
        if said:
            return said
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {within_s:g} s; last: {said!r}")
        time.sleep(every_s)


def missing() -> str:
    """Why there can be no kind cluster here; empty when there can."""
    if shutil.which("docker") is None:
        return "docker is not in PATH"
    answer = subprocess.run(["docker", "info"], capture_output=True, check=False)
    return "" if answer.returncode == 0 else "the Docker daemon does not answer"
