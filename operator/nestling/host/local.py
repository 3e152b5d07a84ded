"""A real control plane on loopback: etcd, kube-apiserver, and the controllers that keep the API's promises.

Reads and writes one state directory (record, certificates, pid files, logs) and one data directory. The
processes outlive the command; the next `up` finds them, restarts those that died, and starts all anew when
none is left. Where the programs come from is `binaries`' concern.
Source: Kubernetes 1.37, cmd/kube-apiserver and cmd/kube-controller-manager; etcd 3.7.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

from nestling.host import kubeconfig, launch, pki, port, probe, process
from nestling.host.component import (
    CONTROLLERS,
    ETCD_DATA,
    LOOPBACK,
    Ports,
    apiserver_command,
    controller_kubeconfig,
    controller_manager_command,
    etcd_command,
    marks,
    server_url,
    tokens,
)
from nestling.host.errors import HostNotFoundError
from nestling.host.folder import Folder
from nestling.host.paths import private_dir, write_private
from nestling.host.record import Host, HostStatus, Progress, silent

Component = Literal["etcd", "kube-apiserver", "kube-controller-manager"]
STARTING_ORDER: Final[tuple[Component, ...]] = ("etcd", "kube-apiserver", "kube-controller-manager")
GRACE_S: Final[Mapping[Component, float]] = {"kube-controller-manager": 5, "kube-apiserver": 10, "etcd": 10}
# An API server never finishes its shutdown without etcd, so it goes first, and is not waited for when etcd is
# gone.
GRACE_WITHOUT_ETCD_S: Final = 1.0

# Who listens on which port.
LISTENERS: Final[Mapping[str, Component]] = {
    "apiserver": "kube-apiserver",
    "etcd": "etcd",
    "etcd_peer": "etcd",
}


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """What may differ between two local hosts.

    `fsync=False` loses acknowledged writes when the machine (not the process) dies, and is meant for tests.
    Without `controllers` deleting a namespace never ends and owners are not followed.
    """

    name: str
    root: Path
    data: Path
    fsync: bool = True
    controllers: tuple[str, ...] = CONTROLLERS
    ready_timeout_s: float = 60.0
    etcd_args: tuple[str, ...] = ()
    apiserver_args: tuple[str, ...] = ()
    controller_manager_args: tuple[str, ...] = ()

    @property
    def components(self) -> tuple[Component, ...]:
        """The processes that belong to it, in starting order."""
        return STARTING_ORDER if self.controllers else STARTING_ORDER[:2]


class LocalHost:
    """The processes of one local host, and the files that tell them from all others."""

    def __init__(self, settings: LocalSettings, binaries: Mapping[str, Path], *, version: str = "") -> None:
        self.settings = settings
        self.files = Folder(settings.root, settings.data, (ETCD_DATA,))
        self._binaries = binaries
        self._version = version

    # -- the three commands

    def up(self, progress: Progress = silent) -> Host:
        """Bring every component up, or find it up. Raises HostNotReadyError with the log to read."""
        with self.files.alone():
            self._adopt()
            ports = self._prepare(progress)
            for component in self.settings.components:
                self._start(component, ports, progress)
            for component in set(STARTING_ORDER) - set(self.settings.components):
                self._stop(component)  # it was asked for once, and no longer is
            return self._host(ports)

    def down(self, *, purge: bool = False, progress: Progress = silent) -> None:
        """Stop every component, the last started first; `purge` deletes the data and all state as well."""
        if not self.settings.root.exists():
            return
        with self.files.alone():
            self._adopt()
            for component in reversed(STARTING_ORDER):
                if self._stop(component) != "not running":
                    progress(f"stopped {component}")
            if purge:
                self.files.purge()
                progress(f"deleted the data of host {self.settings.name}")

    def status(self) -> HostStatus:
        """Which components run, and whether the API server answers.

        Raises HostNotFoundError when there is no such host.
        """
        ports = self._ports()
        if ports is None:
            raise HostNotFoundError(
                f"host {self.settings.name} has never been up",
                next_step="start it with `nestling host up local`",
            )
        parts = tuple(launch.look(self.files, component) for component in self.settings.components)
        missing = [part.name for part in parts if not part.running]
        host = self._host(ports)
        if len(missing) == len(parts):
            return HostStatus(host, "stopped", "", parts)
        if missing:
            return HostStatus(host, "degraded", f"{', '.join(missing)} not running", parts)
        answer = self._ask("/readyz")
        if not answer.ok:
            return HostStatus(
                host, "degraded", f"the API server answers {answer.status or answer.body}", parts
            )
        return HostStatus(host, "running", "", parts)

    # -- single components, for tests that break things on purpose

    def start(self, component: Component) -> None:
        """Start one component and wait until it is ready."""
        with self.files.alone():
            self._start(component, self._prepare(silent), silent)

    def stop(self, component: Component) -> process.Ending:
        """Stop one component with its grace."""
        with self.files.alone():
            return self._stop(component)

    def kill(self, component: Component) -> process.Ending:
        """SIGKILL one component, leaving its pid file behind as a crash would."""
        return process.stop(process.recall(self.files.pid(component)), grace_s=0)

    # -- steps

    def _adopt(self) -> None:
        for component, mark in marks(self.files).items():
            launch.adopt(self.files, component, mark)

    def _prepare(self, progress: Progress) -> Ports:
        """Directories, ports, certificates, tokens, kubeconfigs: made once, checked on every start."""
        files, now = self.files, dt.datetime.now(dt.UTC)
        files.claim()
        private_dir(files.data / ETCD_DATA)
        folder = files.root / "pki"
        ports = self._settle_ports(progress)
        etcd_ca = pki.authority(folder, "etcd", now)
        pki.leaf(etcd_ca, folder, "etcd-server", now, hosts=(LOOPBACK, "localhost"))
        pki.leaf(etcd_ca, folder, "etcd-client", now)
        ca = pki.authority(folder, "kubernetes", now)
        names = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
        pki.leaf(ca, folder, "apiserver", now, hosts=(LOOPBACK, *names))
        pki.signing_key(folder / "service-account.key")
        self._write_logins(server_url(ports), ca.cert.read_bytes())
        return ports

    def _write_logins(self, server: str, ca: bytes) -> None:
        """One token per user, kept over restarts; the kubeconfigs follow the server's address."""
        files, tokens_file = self.files, tokens(self.files)
        if not tokens_file.exists():
            lines = (
                f'{pki.token()},nestling-admin,nestling-admin,"system:masters"\n'
                f"{pki.token()},system:kube-controller-manager,kube-controller-manager,\n"
            )
            write_private(tokens_file, lines.encode())
        admin, manager = (line.split(",", 1)[0] for line in tokens_file.read_text().splitlines())
        name = f"nestling-{self.settings.name}"
        kubeconfig.write(files.kubeconfig, name=name, server=server, token=admin, ca=ca)
        kubeconfig.write(controller_kubeconfig(files), name=name, server=server, token=manager, ca=ca)

    def _settle_ports(self, progress: Progress) -> Ports:
        """The remembered ports, but a new one where a stranger listens by now, which is said."""
        known = self._ports()

        def ours(role: str) -> bool:
            return launch.running(self.files, LISTENERS[role]) is not None

        numbers = port.settle(tuple(LISTENERS), {} if known is None else asdict(known), ours=ours)
        ports = Ports(**numbers)
        if known is not None and ports != known:
            progress("another program took a port of this host; choosing a new one, so an address changes")
            if ports.etcd != known.etcd:
                self._stop("kube-apiserver")  # if it runs, it knows the old address
        self.files.remember(self._document(ports))
        return ports

    def _document(self, ports: Ports) -> dict[str, object]:
        settings = self.settings
        return {
            "name": settings.name,
            "kind": "local",
            "data_dir": str(settings.data),
            "controllers": list(settings.controllers),
            "fsync": settings.fsync,
            "version": self._version,
            "ports": asdict(ports),
        }

    def _start(self, component: Component, ports: Ports, progress: Progress) -> None:
        launch.launch(
            self.files,
            component,
            self.command(component, ports),
            ready=lambda: self._is_ready(component),
            timeout_s=self.settings.ready_timeout_s,
            progress=progress,
        )

    def _is_ready(self, component: Component) -> bool:
        match component:
            case "etcd":
                return self.ask_etcd("/health").ok
            case "kube-apiserver":
                return self._ask("/readyz").ok
            case "kube-controller-manager":
                return True  # it listens nowhere; that it lives is all there is to see

    def ask_etcd(
        self, path: str, *, method: str = "GET", body: bytes | None = None, with_certificate: bool = True
    ) -> probe.Answer:
        """One request to etcd's HTTP gateway."""
        ports, folder = self._ports(), self.files.root / "pki"
        assert ports is not None, "asked before the first start"
        cert = (folder / "etcd-client.crt", folder / "etcd-client.key") if with_certificate else None
        url = f"https://{LOOPBACK}:{ports.etcd}"
        return probe.ask(
            url, path, method=method, body=body, ca=folder / "etcd-ca.crt", cert=cert, timeout_s=30
        )

    def _ask(self, path: str) -> probe.Answer:
        server, token = probe.login_of(self.files.kubeconfig)
        return probe.ask(
            server, path, token=token, ca=self.files.root / "pki" / "kubernetes-ca.crt", timeout_s=5
        )

    def command(self, component: Component, ports: Ports) -> list[str]:
        """The command line of a component."""
        binary, settings = self._binaries[component], self.settings
        match component:
            case "etcd":
                return etcd_command(binary, self.files, ports, fsync=settings.fsync, extra=settings.etcd_args)
            case "kube-apiserver":
                return apiserver_command(binary, self.files, ports, extra=settings.apiserver_args)
            case "kube-controller-manager":
                return controller_manager_command(
                    binary,
                    self.files,
                    controllers=settings.controllers,
                    extra=settings.controller_manager_args,
                )

    def _stop(self, component: Component) -> process.Ending:
        stuck = component == "kube-apiserver" and launch.running(self.files, "etcd") is None
        return launch.halt(
            self.files, component, grace_s=GRACE_WITHOUT_ETCD_S if stuck else GRACE_S[component]
        )

    # -- looking

    def _ports(self) -> Ports | None:
        document = self.files.record()
        return None if document is None else Ports(**document["ports"])

    def _host(self, ports: Ports) -> Host:
        return Host(
            name=self.settings.name,
            kind="local",
            server=server_url(ports),
            kubeconfig=self.files.kubeconfig,
            context=f"nestling-{self.settings.name}",
            version=self._version,
            data_dir=self.settings.data,
        )
