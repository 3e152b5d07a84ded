"""The kinds Nestling knows, in one table: their names here and in Kubernetes, and where they live in the API.

Read by every package; writes nothing. The full schemas are in the modules beside this one, and are imported
only by the CRD generator: the loops never pay for them.
"""

from dataclasses import dataclass
from typing import Final, NewType

GROUP: Final = "nestling.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

Uid = NewType("Uid", str)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object on the host API server.

    `scoped` says whether the *virtual* object belongs to a virtual namespace; on the host every kind is
    namespaced. `native_api_version` and `native` name the Kubernetes kind it stands for, empty where
    Kubernetes has none.
    """

    name: str
    plural: str
    group: str = GROUP
    version: str = VERSION
    native: str = ""
    native_api_version: str = ""
    short_names: tuple[str, ...] = ()
    scoped: bool = True
    scale: bool = False

    @property
    def api_version(self) -> str:
        """`group/version`, or the bare version in the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def root(self) -> str:
        """Path of the group version: `/apis/nestling.dev/v1alpha1`, or `/api/v1` in the core group."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def path(self, host_namespace: str | None = None, host_name: str = "", subresource: str = "") -> str:
        """Path of one object, of a namespace's collection, or (without a namespace) of them all."""
        space = f"/namespaces/{host_namespace}" if host_namespace is not None else ""
        name = f"/{host_name}" if host_name else ""
        return f"{self.root}{space}/{self.plural}{name}{f'/{subresource}' if subresource else ''}"


def _virtual(native: str, api_version: str, *short: str, scoped: bool = True, scale: bool = False) -> Kind:
    name = f"Virtual{native}"
    lower = name.lower()
    plural = f"{lower[:-1]}ies" if lower.endswith("y") else f"{lower}{'es' if lower.endswith('s') else 's'}"
    return Kind(
        name=name,
        plural=plural,
        native=native,
        native_api_version=api_version,
        short_names=tuple(short),
        scoped=scoped,
        scale=scale,
    )


CLUSTER: Final = Kind("VirtualCluster", "virtualclusters", short_names=("vcl",), scoped=False)
NODE_POOL: Final = Kind("VirtualNodePool", "virtualnodepools", short_names=("vnp",), scoped=False, scale=True)
NODE: Final = _virtual("Node", "v1", "vno", scoped=False)
NAMESPACE: Final = _virtual("Namespace", "v1", "vns", scoped=False)
POD: Final = _virtual("Pod", "v1", "vpo")
REPLICATION_CONTROLLER: Final = _virtual("ReplicationController", "v1", "vrc", scale=True)
SERVICE: Final = _virtual("Service", "v1", "vsvc")
DEPLOYMENT: Final = _virtual("Deployment", "apps/v1", "vdeploy", scale=True)
REPLICA_SET: Final = _virtual("ReplicaSet", "apps/v1", "vrs", scale=True)
STATEFUL_SET: Final = _virtual("StatefulSet", "apps/v1", "vsts", scale=True)
DAEMON_SET: Final = _virtual("DaemonSet", "apps/v1", "vds")
CONTROLLER_REVISION: Final = _virtual("ControllerRevision", "apps/v1", "vcrev")
JOB: Final = _virtual("Job", "batch/v1", "vjob")
CRON_JOB: Final = _virtual("CronJob", "batch/v1", "vcj")
ENDPOINT_SLICE: Final = _virtual("EndpointSlice", "discovery.k8s.io/v1", "vepslice")
PRIORITY_CLASS: Final = _virtual("PriorityClass", "scheduling.k8s.io/v1", "vpc", scoped=False)
POD_DISRUPTION_BUDGET: Final = _virtual("PodDisruptionBudget", "policy/v1", "vpdb")
HORIZONTAL_POD_AUTOSCALER: Final = _virtual("HorizontalPodAutoscaler", "autoscaling/v2", "vhpa")

VIRTUAL_KINDS: Final[tuple[Kind, ...]] = (
    CLUSTER,
    NODE_POOL,
    NODE,
    NAMESPACE,
    POD,
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    DEPLOYMENT,
    STATEFUL_SET,
    DAEMON_SET,
    JOB,
    CRON_JOB,
    SERVICE,
    ENDPOINT_SLICE,
    CONTROLLER_REVISION,
    PRIORITY_CLASS,
    POD_DISRUPTION_BUDGET,
    HORIZONTAL_POD_AUTOSCALER,
)

# Reused from the host, under the same naming rule; they carry no prefix because they are the host's own.
EVENT: Final = Kind("Event", "events", group="", version="v1")
LEASE: Final = Kind("Lease", "leases", group="coordination.k8s.io", version="v1", scoped=False)
CONFIG_MAP: Final = Kind("ConfigMap", "configmaps", group="", version="v1")
SECRET: Final = Kind("Secret", "secrets", group="", version="v1")

BY_PLURAL: Final = {kind.plural: kind for kind in (*VIRTUAL_KINDS, EVENT, LEASE, CONFIG_MAP, SECRET)}
BY_NATIVE: Final = {(kind.native_api_version, kind.native): kind for kind in VIRTUAL_KINDS if kind.native}
