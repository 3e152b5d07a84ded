"""From a path to what it names: a group version, a resource, a namespace, an object, a subresource."""

from dataclasses import dataclass

SUBRESOURCES_OF_NAMESPACES = ("status", "finalize")


@dataclass(frozen=True, slots=True)
class Route:
    """A path below `/api` or `/apis`, taken apart. An empty text stands for a part that is absent."""

    group: str
    version: str
    plural: str
    namespace: str | None = None
    name: str = ""
    subresource: str = ""


def route(path: str) -> Route | None:
    """Take a resource path apart; None when it is none.

    `/api/v1/namespaces/x` names a namespace, `/api/v1/namespaces/x/pods` pods in one: the number of parts
    decides, except for the subresources of a namespace itself.
    """
    parts = path.strip("/").split("/")
    match parts:
        case ["api", version, *rest]:
            group = ""
        case ["apis", group, version, *rest]:
            pass
        case _:
            return None
    if not rest or "" in rest:
        return None
    namespace: str | None = None
    if rest[0] == "namespaces" and len(rest) >= 3:
        if group == "" and len(rest) == 3 and rest[2] in SUBRESOURCES_OF_NAMESPACES:
            return Route(group, version, "namespaces", None, rest[1], rest[2])
        namespace, rest = rest[1], rest[2:]
    match rest:
        case [plural]:
            return Route(group, version, plural, namespace)
        case [plural, name]:
            return Route(group, version, plural, namespace, name)
        case [plural, name, subresource]:
            return Route(group, version, plural, namespace, name, subresource)
        case _:
            return None
