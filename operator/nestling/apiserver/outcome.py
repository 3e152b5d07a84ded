"""What a write came to, before it is put into the form that the client wants."""


class Outcome:
    """What a write came to: the object's bytes in storage form, whether it is new, and warnings."""

    __slots__ = ("created", "data", "deleted", "warnings")

    def __init__(
        self, data: bytes, warnings: tuple[str, ...] = (), *, created: bool = False, deleted: bool = False
    ) -> None:
        self.data = data
        self.warnings = warnings
        self.created = created
        self.deleted = deleted
