"""What the machine keeps in mind of each node, pod and cluster; all of it can be read off the cache again.

A seat is the machine's place for one object: its turn on the agenda, and a few facts that every look
needs and that would cost a parse each time.
"""

from nestling.kubelet.address import Pool
from nestling.kubelet.admission import Room
from nestling.kubelet.agenda import Item
from nestling.machinery.names import Key
from nestling.machinery.records.node import Node, Taint

LEASES, NODES, PODS = 0, 1, 2


class PodSeat(Item):
    """One bound pod. `admitted_at` is None until this process, or one before it, has admitted the pod."""

    __slots__ = (
        "admitted_at",
        "counted",
        "ip",
        "moments",
        "node",
        "operations",
        "running",
        "seen_at",
        "stopping",
        "uid",
    )

    def __init__(self, key: Key, uid: str, node: Key) -> None:
        super().__init__(key, PODS)
        self.uid = uid
        self.node = node
        self.ip = ""
        self.admitted_at: float | None = None
        self.seen_at: float | None = None
        self.stopping = False  # that its containers are being stopped has been told
        self.moments: dict[int, float] | None = None
        self.running = 0
        self.operations: tuple[str, ...] = ()
        self.counted = False  # among the pods started


class NodeSeat(Item):
    """One node of ours. `silent_since` is the last heartbeat of a machine that is switched off, else None."""

    __slots__ = (
        "address",
        "booted_at",
        "complained",
        "labels",
        "loaded",
        "pod_cidr",
        "pool",
        "rebooting",
        "registered",
        "room",
        "silent_since",
        "taints",
        "uid",
    )

    def __init__(self, key: Key, uid: str) -> None:
        super().__init__(key, NODES)
        self.uid = uid
        self.registered = False
        self.rebooting = False
        self.silent_since: float | None = None
        self.booted_at = 0.0
        self.complained = ""  # of which fault in its annotations has been told
        self.address = ""
        self.labels: dict[str, str] = {}
        self.taints: tuple[Taint, ...] = ()
        self.pod_cidr = ""
        self.pool: Pool | None = None
        self.room = Room({})
        self.loaded = False

    @property
    def running(self) -> bool:
        """Whether pods may run here: the machine has power, has booted and has reported itself."""
        return self.registered and not self.rebooting and self.silent_since is None

    def use_pool(self, record: Node) -> None:
        """Take over the node's pod CIDR; one that cannot be read gives no addresses."""
        if record.pod_cidr == self.pod_cidr:
            return
        self.pod_cidr = record.pod_cidr
        try:
            self.pool = Pool(record.pod_cidr) if record.pod_cidr else None
        except ValueError:
            self.pool = None
        self.loaded = False  # who holds which address has to be read again


class ClusterSeat(Item):
    """The heartbeat of one cluster."""

    __slots__ = ("next_beat", "nodes")

    def __init__(self, key: Key) -> None:
        super().__init__(key, LEASES)
        self.nodes: dict[Key, NodeSeat] = {}
        self.next_beat = 0.0
