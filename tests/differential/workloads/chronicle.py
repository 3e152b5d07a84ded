"""Everything that was seen of one namespace, and names for it that are the same on both sides.

A chronicle takes watch events, of the real side or of ours, and forgets no name: events speak of objects that
are long gone. What is drawn at random is masked consistently, by what the object is: the ReplicaSets of a
Deployment and the ControllerRevisions of a set are numbered in the order in which they appeared (`web-#1`),
and so are their hashes wherever they stand; the Jobs of a CronJob likewise; pods of one controller that have
no place of their own share a name (`web-#1-*`).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, Final

from nestling.api.json import JsonObject

ANY: Final = "*"
SUFFIX: Final = 5
FOLDED: Final = "(combined from similar events): "  # client-go's own words
_NUMBERED: Final = {
    ("ReplicaSet", "Deployment"),
    ("ControllerRevision", "StatefulSet"),
    ("ControllerRevision", "DaemonSet"),
    ("Job", "CronJob"),
}
_FIRST: Final = frozenset(kind for kind, _ in _NUMBERED)
_RANDOM: Final = frozenset({"ReplicaSet", "ReplicationController", "DaemonSet", "Job"})

Place = tuple[str, str]
"""Native kind and name."""


class Masks:
    """Replaces what may differ in any text: names, hashes and UIDs that were drawn at random."""

    def __init__(self) -> None:
        self._masks: dict[str, str] = {}

    def add(self, text: str, mask: str) -> None:
        """From now on `text` is written `mask`; who comes first keeps its mask."""
        if text and text not in self._masks:
            self._masks[text] = mask
            self.__dict__.pop("_pattern", None)

    def of(self, text: str) -> str:
        """The text with everything masked."""
        return self._pattern.sub(lambda m: self._masks[m[0]], text) if self._masks else text

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        longest_first = sorted(self._masks, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first)))


class Chronicle:
    """The objects of one namespace, as watches tell of them."""

    def __init__(self) -> None:
        self.objects: dict[Place, JsonObject] = {}
        self.masks = Masks()
        self.said: list[JsonObject] = []
        """Events in the order in which they were said, as often as they were."""
        self.changes = 0
        self._names: dict[Place, str] = {}
        self._nameless: list[tuple[Place, JsonObject]] = []
        self._times: dict[str, int] = {}
        self._order: dict[Place, int] = {}
        self._numbers: dict[tuple[str, Place], int] = {}
        self._uids: dict[Place, str] = {}

    def take(self, obj: JsonObject, *, deleted: bool = False) -> None:
        """Take in one object of the watch, with native kinds and names."""
        self.changes += 1
        place = (obj["kind"], obj["metadata"]["name"])
        if deleted:
            self.objects.pop(place, None)
            return
        self.objects[place] = obj
        if self._uids.get(place) != obj["metadata"]["uid"]:
            self._uids[place] = obj["metadata"]["uid"]
            self._order[place] = self.changes
            self._nameless.append((place, obj))

    def hear(self, event: JsonObject, times: int) -> None:
        """Take in an Event, said so many times by now.

        One that client-go has folded tells with each time what was said last.
        """
        self.changes += 1
        name = event["metadata"]["name"]
        said = {**event, "message": event["message"].removeprefix(FOLDED)}
        self.said += [said] * (times - self._times.get(name, 0))
        self._times[name] = times

    @property
    def names(self) -> Mapping[Place, str]:
        """Masked names, also of objects that are gone."""
        # Watches of different kinds do not wait for one another: who hands on a hash is named first.
        self._nameless.sort(key=lambda found: found[0][0] not in _FIRST)
        for place, obj in self._nameless:
            self._name(place, obj)
        self._nameless.clear()
        return self._names

    def found(self, target: str) -> list[JsonObject]:
        """The objects of one masked name (`Pod/web-#1-*`), those first seen first.

        `Pod/*` are all of a kind, in the order of their masked names.
        """
        kind, _, name = target.partition("/")
        names = self.names
        places = [
            place for place in self.objects if place[0] == kind and (name == ANY or names[place] == name)
        ]
        places.sort(key=lambda place: (names[place], self._order[place]))
        return [self.objects[place] for place in places]

    def name_of(self, kind: str, name: str) -> str:
        """The masked name of an object that was seen, or the name itself with everything in it masked."""
        return self.names.get((kind, name)) or self.masks.of(name)

    def __iter__(self) -> Iterator[tuple[str, JsonObject]]:
        """Every object with its masked name."""
        names = self.names
        return ((names[place], obj) for place, obj in self.objects.items())

    def _name(self, place: Place, obj: JsonObject) -> None:
        kind, name = place
        owner = controller_of(obj)
        masked = name
        if owner is not None:
            whose = self._names.get(owner) or self.masks.of(owner[1])
            if (kind, owner[0]) in _NUMBERED:
                number = self._numbers[kind, owner] = self._numbers.get((kind, owner), 0) + 1
                masked = f"{whose}-#{number}"
                for text in hashes_of(obj, owner[1]):
                    self.masks.add(text, f"#{number}")
            elif kind == "Pod" and owner[0] in _RANDOM:
                masked = f"{self.masks.of(name[:-SUFFIX])}*"
            elif kind == "EndpointSlice":
                masked = f"{whose}-*"
        elif kind == "Node":
            masked = self.masks.of(name)
        self._names[place] = masked
        if masked != name:
            self.masks.add(name, masked)
        self.masks.add(obj["metadata"]["uid"], f"<{kind}/{masked}>")


def controller_of(obj: JsonObject) -> Place | None:
    """Kind and name of the object that controls this one."""
    owners: Iterable[Any] = obj["metadata"].get("ownerReferences") or ()
    return next(((o["kind"], o["name"]) for o in owners if o.get("controller")), None)


def hashes_of(obj: JsonObject, owner: str) -> Iterator[str]:
    """The random parts that an object of this name hands on to others."""
    labels: dict[str, str] = obj["metadata"].get("labels") or {}
    if obj["kind"] == "ReplicaSet":
        yield labels.get("pod-template-hash", "")
    elif obj["kind"] == "ControllerRevision":
        yield obj["metadata"]["name"].removeprefix(f"{owner}-")
