"""Write JSON values as YAML that kubectl and every other reader reads back as the same values.

Keys keep their order, text of several lines stays readable, nothing is written as an alias.
"""

from collections.abc import Iterable
from typing import Any, Final

import yaml

from nestling.api.json import JsonValue
from nestling.cli import yaml_reader

_STR: Final = "tag:yaml.org,2002:str"
# YAML 1.1 readers other than Go's take these for numbers or dates; quotes keep them text everywhere.
_DUMPER: Final[Any] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_DUMPER):
    """The library's writer with our rules for text."""

    def ignore_aliases(self, data: object) -> bool:
        """Values that occur twice are written twice."""
        del data
        return True


def _text(dumper: Any, value: str) -> Any:
    if "\n" in value and _fits_block(value):
        return dumper.represent_scalar(_STR, value, style="|")
    quoted = not isinstance(yaml_reader.resolve(value), str) or value.startswith((".", "+", "-"))
    return dumper.represent_scalar(_STR, value, style='"' if quoted else None)


def _fits_block(value: str) -> bool:
    """Whether text may stand as a block: no blank before a line end, and nothing invisible."""
    lines = value.split("\n")
    return not value[0].isspace() and all(
        not line.endswith((" ", "\t")) and (line.isprintable() or line.replace("\t", "").isprintable())
        for line in lines
    )


_Dumper.add_representer(str, _text)


def text(values: Iterable[JsonValue]) -> str:
    """One document per value, separated by `---`."""
    return "---\n".join(
        yaml.dump(
            value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=120
        )
        for value in values
    )
