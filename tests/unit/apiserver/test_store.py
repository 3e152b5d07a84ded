"""Tables: current records, history, the past."""

import pytest

from nestling.apiserver.record import Change, Record
from nestling.apiserver.store import Compacted, Store, Table


def a_record(name: str, revision: int, namespace: str = "default") -> Record:
    return Record((namespace, name), revision, f"{name}@{revision}".encode())


class History:
    """Writes into a store, one revision each."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def put(self, name: str, namespace: str = "default") -> int:
        revision = self.store.revision + 1
        before = self.store.table("widgets").get((namespace, name))
        after = a_record(name, revision, namespace)
        self.store.commit(Change(revision, "widgets", (namespace, name), before, after))
        return revision

    def drop(self, name: str, namespace: str = "default") -> int:
        revision = self.store.revision + 1
        before = self.store.table("widgets").get((namespace, name))
        self.store.commit(Change(revision, "widgets", (namespace, name), before, None))
        return revision


@pytest.fixture
def store() -> Store:
    return Store(history=10)


def texts(table: Table, revision: int, namespace: str | None = None) -> list[str]:
    return [record.data.decode() for record in table.at(revision, namespace)]


def test_the_past_is_told_backwards_from_the_present(store: Store) -> None:
    history = History(store)
    history.put("a")
    then = history.put("b")
    history.put("a")
    history.drop("b")
    history.put("c", "other")
    table = store.table("widgets")
    assert texts(table, then) == ["a@1", "b@2"]
    assert texts(table, 3) == ["a@3", "b@2"]
    assert texts(table, 4) == ["a@3"]
    assert texts(table, 5) == ["a@3", "c@5"]
    assert texts(table, 5, "other") == ["c@5"]
    assert texts(table, 4, "other") == []


def test_history_forgets_the_oldest_changes(store: Store) -> None:
    history = History(store)
    for _ in range(15):
        history.put("a")
    table = store.table("widgets")
    assert [change.revision for change in table.since(5)] == list(range(6, 16))
    with pytest.raises(Compacted) as caught:
        table.since(4)
    assert caught.value.oldest == 5
    with pytest.raises(Compacted):
        table.at(4, None)


def test_a_list_under_way_outlives_history_but_not_compaction(store: Store) -> None:
    history = History(store)
    history.put("a")
    table = store.table("widgets")
    table.keep(1, None, table.records())
    for _ in range(15):
        history.put("a")
    assert texts(table, 1) == ["a@1"]
    store.compact()
    with pytest.raises(Compacted):
        table.at(1, None)


def test_records_are_in_order_of_namespace_and_name(store: Store) -> None:
    history = History(store)
    for name, namespace in (("b", "y"), ("a", "y"), ("c", "x")):
        history.put(name, namespace)
    table = store.table("widgets")
    assert [record.place for record in table.records()] == [("x", "c"), ("y", "a"), ("y", "b")]
    assert [record.place for record in table.records("y")] == [("y", "a"), ("y", "b")]
    history.drop("c", "x")
    assert [record.place for record in table.records()] == [("y", "a"), ("y", "b")]
    assert len(table) == 2


def test_a_table_remade_forgets_its_former_life(store: Store) -> None:
    history = History(store)
    history.put("a")
    history.drop("a")
    store.forget("widgets")
    with pytest.raises(Compacted):
        store.table("widgets").since(1)
    assert store.table("widgets").since(2) == []
