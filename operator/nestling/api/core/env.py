"""Where a container's environment comes from.

Fields, types and defaults are native; the sentences are ours.
Source: Kubernetes 1.37, k8s.io/api/core/v1.
"""

from nestling.api import rules
from nestling.api.schema import Amount, EnvName, LongText, Schema, Text


class ConfigMapKeySelector(Schema):
    """One key of a ConfigMap."""

    atomic = True

    key: Text
    """Key to take."""
    name: Text = ""
    """Name of the ConfigMap."""
    optional: bool | None = None
    """Whether the container may start without it."""


class SecretKeySelector(Schema):
    """One key of a Secret."""

    atomic = True

    key: Text
    """Key to take."""
    name: Text = ""
    """Name of the Secret."""
    optional: bool | None = None
    """Whether the container may start without it."""


class ObjectFieldSelector(Schema):
    """A field of the pod itself."""

    atomic = True

    api_version: Text = "v1"
    """Version whose field names are used."""
    field_path: Text
    """Path of the field, such as metadata.name."""


class ResourceFieldSelector(Schema):
    """A request or limit of a container."""

    atomic = True

    container_name: Text | None = None
    """Container whose figure is taken; in env the own one if absent."""
    divisor: Amount | None = None
    """Unit that the figure is divided by, rounded up."""
    resource: Text
    """Figure that is taken, such as limits.cpu."""


class FileKeySelector(Schema):
    """One key of an env file in a volume."""

    atomic = True

    key: Text
    """Key to take."""
    optional: bool | None = None
    """Whether the variable is left out when file or key are missing."""
    path: Text
    """File inside the volume, relative."""
    volume_name: Text
    """Volume that holds the file."""


class EnvVarSource(Schema):
    """Where the value of a variable is taken from; exactly one of them."""

    validations = (
        rules.one_of(
            ("configMapKeyRef", "fieldRef", "fileKeyRef", "resourceFieldRef", "secretKeyRef"),
            "exactly one source is needed",
        ),
    )

    config_map_key_ref: ConfigMapKeySelector | None = None
    """Key of a ConfigMap."""
    field_ref: ObjectFieldSelector | None = None
    """Field of the pod."""
    file_key_ref: FileKeySelector | None = None
    """Key of an env file."""
    resource_field_ref: ResourceFieldSelector | None = None
    """Request or limit of a container."""
    secret_key_ref: SecretKeySelector | None = None
    """Key of a Secret."""


class EnvVar(Schema):
    """One environment variable."""

    validations = (rules.ENV_VALUE,)

    name: EnvName
    """Name of the variable."""
    value: LongText | None = None
    """Its value; $(NAME) is replaced by earlier variables."""
    value_from: EnvVarSource | None = None
    """Where the value is taken from instead."""


class ConfigMapEnvSource(Schema):
    """A ConfigMap whose keys become variables."""

    name: Text = ""
    """Name of the ConfigMap."""
    optional: bool | None = None
    """Whether the container may start without it."""


class SecretEnvSource(Schema):
    """A Secret whose keys become variables."""

    name: Text = ""
    """Name of the Secret."""
    optional: bool | None = None
    """Whether the container may start without it."""


class EnvFromSource(Schema):
    """Many variables at once."""

    config_map_ref: ConfigMapEnvSource | None = None
    """ConfigMap whose keys become variables."""
    prefix: Text | None = None
    """Text put before each name."""
    secret_ref: SecretEnvSource | None = None
    """Secret whose keys become variables."""
