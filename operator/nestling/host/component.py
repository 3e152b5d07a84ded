"""The programs of a local control plane and the flags that each is started with.

Pure: addresses and files in, a command line out. Everything listens on loopback, everything asks for
credentials: etcd too, for whoever may write to etcd has no need of the API server's permission.
Source: Kubernetes 1.37, cmd/kube-apiserver/app/options and cmd/kube-controller-manager/app; etcd 3.7,
server/etcdmain.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nestling.host.folder import Folder

# The only directory of a host whose loss is a loss.
ETCD_DATA: Final = "etcd"
LOOPBACK: Final = "127.0.0.1"
SERVICE_CIDR: Final = "10.96.0.0/16"
ISSUER: Final = "https://kubernetes.default.svc.cluster.local"
# Namespace deletion and owner references are promises of the API, but these controllers keep them, not the
# API server; the third makes the `default` ServiceAccount without which no native Pod is admitted.
CONTROLLERS: Final = ("garbage-collector-controller", "namespace-controller", "serviceaccount-controller")


@dataclass(frozen=True, slots=True)
class Ports:
    """Loopback ports, chosen once and remembered, so that a kubeconfig stays true over a restart."""

    apiserver: int
    etcd: int
    etcd_peer: int


def tokens(files: Folder) -> Path:
    """Who may log in to the API server, one CSV line each."""
    return files.root / "pki" / "tokens.csv"


def controller_kubeconfig(files: Folder) -> Path:
    """The controller manager's kubeconfig."""
    return files.root / "pki" / "controller-manager.kubeconfig"


def server_url(ports: Ports) -> str:
    """Where the API server answers."""
    return f"https://{LOOPBACK}:{ports.apiserver}"


def marks(files: Folder) -> dict[str, str]:
    """For each component an argument of its command line that those of no other host have."""
    return {
        "etcd": f"--data-dir={files.data / ETCD_DATA}",
        "kube-apiserver": f"--tls-cert-file={files.root / 'pki' / 'apiserver.crt'}",
        "kube-controller-manager": f"--kubeconfig={controller_kubeconfig(files)}",
    }


def etcd_command(
    binary: Path, files: Folder, ports: Ports, *, fsync: bool, extra: tuple[str, ...]
) -> list[str]:
    """Command line of etcd: one member, client and peer listeners behind mutual TLS."""
    client, peer = f"https://{LOOPBACK}:{ports.etcd}", f"https://{LOOPBACK}:{ports.etcd_peer}"
    pki = files.root / "pki"
    return [
        str(binary),
        "--name=default",
        marks(files)["etcd"],
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--client-cert-auth",
        f"--trusted-ca-file={pki / 'etcd-ca.crt'}",
        f"--cert-file={pki / 'etcd-server.crt'}",
        f"--key-file={pki / 'etcd-server.key'}",
        "--peer-client-cert-auth",
        f"--peer-trusted-ca-file={pki / 'etcd-ca.crt'}",
        f"--peer-cert-file={pki / 'etcd-server.crt'}",
        f"--peer-key-file={pki / 'etcd-server.key'}",
        "--log-level=warn",
        *(() if fsync else ("--unsafe-no-fsync",)),
        *extra,
    ]


def apiserver_command(binary: Path, files: Folder, ports: Ports, *, extra: tuple[str, ...]) -> list[str]:
    """Command line of kube-apiserver: RBAC, tokens from a file, no anonymous requests."""
    pki = files.root / "pki"
    return [
        str(binary),
        f"--bind-address={LOOPBACK}",
        f"--advertise-address={LOOPBACK}",
        f"--secure-port={ports.apiserver}",
        # The `kubernetes` Service would need an endpoint that is not loopback: no Pod runs here that could
        # use it.
        "--endpoint-reconciler-type=none",
        f"--etcd-servers=https://{LOOPBACK}:{ports.etcd}",
        f"--etcd-cafile={pki / 'etcd-ca.crt'}",
        f"--etcd-certfile={pki / 'etcd-client.crt'}",
        f"--etcd-keyfile={pki / 'etcd-client.key'}",
        marks(files)["kube-apiserver"],
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        "--anonymous-auth=false",
        f"--token-auth-file={tokens(files)}",
        "--authorization-mode=RBAC",
        f"--service-account-issuer={ISSUER}",
        f"--service-account-key-file={pki / 'service-account.key'}",
        f"--service-account-signing-key-file={pki / 'service-account.key'}",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        "--allow-privileged",
        "--profiling=false",
        *extra,
    ]


def controller_manager_command(
    binary: Path, files: Folder, *, controllers: tuple[str, ...], extra: tuple[str, ...]
) -> list[str]:
    """Command line of kube-controller-manager with the named controllers alone, listening nowhere."""
    return [
        str(binary),
        marks(files)["kube-controller-manager"],
        f"--controllers={','.join(controllers)}",
        "--use-service-account-credentials",
        "--leader-elect=false",
        "--secure-port=0",
        # The defaults (20 and 30) are for a shared server; deleting a namespace of thousands would take
        # minutes.
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        "--profiling=false",
        *extra,
    ]
