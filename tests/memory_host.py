"""The embedded API server in this process, as the host of the machinery's tests."""

from dataclasses import dataclass, field

from nestling.apiserver.api import Api
from nestling.apiserver.exchange import Request
from nestling.apiserver.faults import Faults
from nestling.apiserver.inprocess import InProcess
from nestling.machinery.client import Client
from nestling.machinery.clock import ManualClock


@dataclass
class Host:
    """A server in memory with a namespace `team-a`, a client of it, and the faults that strike in between."""

    clock: ManualClock = field(default_factory=ManualClock)
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        self.api = Api(clock=self.clock)
        self.client = Client(InProcess(self.api, self.faults))
        body = b'{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"team-a"}}'
        headers = {"content-type": "application/json"}
        assert self.api.handle(Request("POST", "/api/v1/namespaces", {}, headers, body)).status == 201
