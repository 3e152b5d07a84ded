"""Which programs there are, at which versions, and from which Go package each is made.

A program of Kubernetes is a `main` of a few lines around the public command of its package, written here: the
module `k8s.io/kubernetes` cannot be installed directly, because it replaces its own staging modules by
folders.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

KUBERNETES_VERSION: Final = "v1.37.2"
ETCD_VERSION: Final = "v3.7.0"
KWOK_VERSION: Final = "v0.8.0"
HELM_VERSION: Final = "v3.22.0"
PROMETHEUS_VERSION: Final = "v0.316.0"
PROMETHEUS_SAYS: Final = "v3.16.0"
KUBECONFORM_VERSION: Final = "v0.8.0"
KUBE_SCORE_VERSION: Final = "v1.20.0"
# Kubernetes 1.37's go.mod asks for it.
OLDEST_GO: Final = (1, 26)


@dataclass(frozen=True, slots=True)
class Family:
    """Programs that are built in one Go module, and lie in one directory of the cache."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Program:
    """`package` holds `call`, the Go expression that runs it; without one the package is itself a main.

    `ask` makes it tell its version. `oldest` is the first minor version that will do when it is found
    somewhere; `kin` must all be of one minor version. `tags` are Go's build tags.
    """

    family: Family
    version: str
    package: str
    call: str = ""
    oldest: tuple[int, int] = (0, 0)
    kin: bool = False
    ask: tuple[str, ...] = ("--version",)
    tags: tuple[str, ...] = ()


# etcd is built along with Kubernetes, which pins it and shares most of its packages.
KUBERNETES: Final = Family("kubernetes", KUBERNETES_VERSION)
KWOK: Final = Family("kwok", KWOK_VERSION)
HELM: Final = Family("helm", HELM_VERSION)
PROMETHEUS: Final = Family("prometheus", PROMETHEUS_VERSION)
KUBECONFORM: Final = Family("kubeconform", KUBECONFORM_VERSION)
KUBE_SCORE: Final = Family("kube-score", KUBE_SCORE_VERSION)

# The oldest minor version whose API has all that our CRDs ask for (selectable fields, ratcheting, CEL
# libraries).
_OLDEST: Final = (1, 34)


def _kubernetes(package: str, constructor: str) -> Program:
    return Program(
        KUBERNETES, KUBERNETES_VERSION, package, f"os.Exit(cli.Run({constructor}))", _OLDEST, kin=True
    )


# Of Prometheus' ways to find targets only the one we need: the others bring the libraries of every cloud.
_ONLY_KUBERNETES: Final = ("remove_all_sd", "enable_kubernetes_sd")


def _prometheus(name: str) -> Program:
    package = f"github.com/prometheus/prometheus/cmd/{name}"
    # Its modules are numbered 0.316; itself it says 3.16.
    return Program(PROMETHEUS, PROMETHEUS_SAYS, package, oldest=(3, 0), tags=_ONLY_KUBERNETES)


_COMMANDS: Final = "k8s.io/kubernetes/cmd"
PROGRAMS: Final[Mapping[str, Program]] = {
    "etcd": Program(
        KUBERNETES, ETCD_VERSION, "go.etcd.io/etcd/server/v3/etcdmain", "etcdmain.Main(os.Args)", (3, 5)
    ),
    "kube-apiserver": _kubernetes(f"{_COMMANDS}/kube-apiserver/app", "app.NewAPIServerCommand()"),
    "kube-controller-manager": _kubernetes(
        f"{_COMMANDS}/kube-controller-manager/app", "app.NewControllerManagerCommand()"
    ),
    "kube-scheduler": _kubernetes(f"{_COMMANDS}/kube-scheduler/app", "app.NewSchedulerCommand()"),
    # A client may be a version older or newer than its server.
    "kubectl": replace(
        _kubernetes("k8s.io/kubectl/pkg/cmd", "cmd.NewDefaultKubectlCommand()"),
        kin=False,
        ask=("version", "--client"),
    ),
    "kwok": Program(KWOK, KWOK_VERSION, "sigs.k8s.io/kwok/cmd/kwok"),
    "helm": Program(
        HELM, HELM_VERSION, "helm.sh/helm/v3/cmd/helm", oldest=(3, 18), ask=("version", "--short")
    ),
    "prometheus": _prometheus("prometheus"),
    "promtool": _prometheus("promtool"),
    "kubeconform": Program(
        KUBECONFORM, KUBECONFORM_VERSION, "github.com/yannh/kubeconform/cmd/kubeconform", ask=("-v",)
    ),
    "kube-score": Program(
        KUBE_SCORE, KUBE_SCORE_VERSION, "github.com/zegl/kube-score/cmd/kube-score", ask=("version",)
    ),
}


def version_of(answer: str) -> str | None:
    """The version in an answer to `--version`: `Kubernetes v1.37.2`, `etcd Version: 3.7.0`, `v3.22`."""
    match = re.search(r"\bv?(\d+\.\d+(?:\.\d+)?(?:-[0-9A-Za-z.]+)?)", answer)
    return f"v{match[1]}" if match else None


def staging_version(version: str) -> str:
    """The version of the staging modules that belongs to a Kubernetes version: v1.37.2 -> v0.37.2."""
    return re.sub(r"^v1\.", "v0.", version)


def module_of(program: Program) -> str:
    """The module of a program whose package is a main below `cmd` of its own module."""
    return program.package.partition("/cmd/")[0]


def replaced_modules(go_mod: str) -> list[str]:
    """The modules that a go.mod replaces by folders of its own tree, in order."""
    return re.findall(r"^(?:replace)?\s*(\S+) => \./", go_mod, flags=re.MULTILINE)


def go_mod(requires: dict[str, str], replaces: dict[str, str]) -> str:
    """A go.mod with these requirements and replacements.

    Its `go` line also decides the runtime's compatibility settings, so it is that of Kubernetes 1.37.
    """
    lines = ["module nestling.dev/host", "", "go 1.26.0", "", "require ("]
    lines += [f"\t{module} {version}" for module, version in requires.items()]
    lines += [")"]
    if replaces:
        lines += ["", "replace (", *(f"\t{m} => {m} {version}" for m, version in replaces.items()), ")"]
    return "\n".join(lines) + "\n"


def main_go(program: Program) -> str:
    """The text of main.go around a program's public command."""
    alias = program.package.rsplit("/", 1)[1]
    imports = [f'{alias} "{program.package}"']
    if "cli.Run" in program.call:
        imports += [
            '"k8s.io/component-base/cli"',
            *(f'_ "k8s.io/component-base/{registered}"' for registered in _REGISTERED),
        ]
    lines = "\n".join(f"\t{line}" for line in imports)
    return f'package main\n\nimport (\n\t"os"\n\n{lines}\n)\n\nfunc main() {{ {program.call} }}\n'


# Packages that every program of Kubernetes links for what they register: log format and metrics.
_REGISTERED: Final = ("logs/json/register", "metrics/prometheus/clientgo", "metrics/prometheus/version")
