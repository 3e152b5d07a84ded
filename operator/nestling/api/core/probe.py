"""What the kubelet does to a container besides running it: checks and hooks.

Fields, types and defaults are native; the sentences are ours.
Source: Kubernetes 1.37, k8s.io/api/core/v1.
"""

from typing import Literal

from nestling.api import rules
from nestling.api.schema import (
    AtLeastOne,
    Atomic,
    Count,
    Int64,
    LongText,
    PortNumber,
    PortReference,
    PositiveLong,
    Schema,
    Text,
)


class ExecAction(Schema):
    """A command run inside the container; exit code 0 is success."""

    command: Atomic[LongText] | None = None
    """Command and arguments, without a shell."""


class HTTPHeader(Schema):
    """One header of a request."""

    name: Text
    """Name of the header."""
    value: Text
    """Its value."""


class HTTPGetAction(Schema):
    """An HTTP request; an answer from 200 to 399 is success."""

    host: Text | None = None
    """Host to connect to; the pod's address if absent."""
    http_headers: Atomic[HTTPHeader] | None = None
    """Headers to send."""
    path: Text = "/"
    """Path to ask for."""
    port: PortReference
    """Port number, or the name of one of the container's ports."""
    protocol: Text | None = None
    """Wire protocol of the request; HTTP/1.1 if absent."""
    scheme: Literal["HTTP", "HTTPS"] = "HTTP"
    """Whether the request is encrypted."""


class TCPSocketAction(Schema):
    """A TCP connection; success is being accepted."""

    host: Text | None = None
    """Host to connect to; the pod's address if absent."""
    port: PortReference
    """Port number, or the name of one of the container's ports."""


class GRPCAction(Schema):
    """A call of the standard gRPC health service."""

    mode: Text | None = None
    """Plaintext, or TLS without verification of the certificate."""
    port: PortNumber
    """Port of the gRPC server."""
    service: Text = ""
    """Name of the service to ask about."""


class SleepAction(Schema):
    """A pause."""

    seconds: Int64
    """How long to pause."""


class Probe(Schema):
    """A check that the kubelet repeats; exactly one action is given."""

    validations = (
        rules.one_of(
            ("exec", "grpc", "httpGet", "tcpSocket"),
            "exactly one of exec, grpc, httpGet and tcpSocket is needed",
        ),
    )

    exec: ExecAction | None = None
    """Command to run in the container."""
    failure_threshold: AtLeastOne = 3
    """Failures in a row until the check counts as failed."""
    grpc: GRPCAction | None = None
    """Health call to make."""
    http_get: HTTPGetAction | None = None
    """HTTP request to make."""
    initial_delay_seconds: Count | None = None
    """Wait after the container's start before the first check."""
    period_seconds: AtLeastOne = 10
    """Time between checks."""
    success_threshold: AtLeastOne = 1
    """Successes in a row until the check counts as passed again."""
    tcp_socket: TCPSocketAction | None = None
    """TCP connection to open."""
    termination_grace_period_seconds: PositiveLong | None = None
    """Grace period used when this check ends the container, instead of the pod's."""
    timeout_seconds: AtLeastOne = 1
    """Time after which one check has failed."""


class LifecycleHandler(Schema):
    """What a hook does; exactly one action is given."""

    validations = (
        rules.one_of(
            ("exec", "httpGet", "sleep", "tcpSocket"),
            "exactly one of exec, httpGet, sleep and tcpSocket is needed",
        ),
    )

    exec: ExecAction | None = None
    """Command to run in the container."""
    http_get: HTTPGetAction | None = None
    """HTTP request to make."""
    sleep: SleepAction | None = None
    """Pause to make."""
    tcp_socket: TCPSocketAction | None = None
    """No longer supported by Kubernetes; accepted for old manifests."""


class Lifecycle(Schema):
    """Hooks around the life of a container."""

    post_start: LifecycleHandler | None = None
    """Done right after the start; failing ends the container."""
    pre_stop: LifecycleHandler | None = None
    """Done before the container is asked to stop, within the grace period."""
    stop_signal: Text | None = None
    """Signal that asks the container to stop."""
