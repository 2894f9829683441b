"""What could not be read is kept as it came, whatever that was, until it is saved."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from ecauto_pipeline.domain.shopify.mirror import BadRecord, Entity, Shape
from ecauto_pipeline.storage.shopify.dead_letters import DeadLetter, DeadLetters
from ecauto_pipeline.storage.storable import storable_value
from ecauto_pipeline_tests.fakes import MIDDAY, FakeClock

ORDERS, CUSTOMERS = Entity.ORDERS, Entity.CUSTOMERS


@pytest.fixture
def letters(engine: sa.Engine, clock: FakeClock) -> DeadLetters:
    return DeadLetters(engine, clock)


def bad(
    record_id: str = "1", payload: Mapping[str, Any] | None = None, reason: str = "no updated_at"
) -> BadRecord:
    return BadRecord(record_id, Shape.NODE, payload or {"id": record_id}, reason)


def test_a_letter_is_kept_as_it_came(letters: DeadLetters) -> None:
    assert letters.add("one", ORDERS, [bad("7", {"名": "花子 🍵", "n": [1, None, 2.5]})]) == 1
    (letter,) = letters.open_letters()
    assert letter == DeadLetter(
        id=letter.id,
        store_id="one",
        entity=ORDERS,
        record_id="7",
        shape=Shape.NODE,
        payload={"名": "花子 🍵", "n": [1, None, 2.5]},
        reason="no updated_at",
        seen=1,
        first_seen_at=MIDDAY,
        last_seen_at=MIDDAY,
    )
    assert isinstance(letter.entity, Entity)
    assert isinstance(letter.shape, Shape)


def test_a_letter_that_comes_again_is_counted_and_renewed(
    letters: DeadLetters, clock: FakeClock
) -> None:
    letters.add("one", ORDERS, [bad()])
    clock.advance(hours=1)
    assert letters.add("one", ORDERS, [bad(), bad(payload={"new": 1}, reason="other")]) == 1
    (letter,) = letters.open_letters()
    assert (letter.seen, letter.payload, letter.reason) == (2, {"new": 1}, "other")
    assert (letter.first_seen_at, letter.last_seen_at) == (MIDDAY, clock.now())


def test_nothing_bad_is_no_letter(letters: DeadLetters) -> None:
    assert letters.add("one", ORDERS, []) == 0


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("\ud83d half", "\ufffd half"),
        ("nul \x00", "nul "),
        (r"\u0000", r"\u0000"),
        (float("nan"), None),
        (float("inf"), None),
        (2**63 - 1, 2**63 - 1),
        (2**64, str(2**64)),
        (-(2**70), str(-(2**70))),
        ([{"a\ud800": (1, 2)}, float("-inf"), "\ud800", 2**80], None),
    ],
)
def test_a_payload_that_json_cannot_hold_is_kept_as_well_as_it_can_be(
    letters: DeadLetters, value: Any, kept: Any
) -> None:
    letters.add("one", ORDERS, [bad("1", {"value": value}), bad("2")])
    first, _ = letters.open_letters()
    if isinstance(value, list):
        kept = [{"a\ufffd": [1, 2]}, "-inf", "\ufffd", str(2**80)]
    elif isinstance(value, float):
        kept = str(value)
    assert first.payload == {"value": kept}


def test_a_payload_of_endless_depth_is_cut(letters: DeadLetters) -> None:
    payload: dict[str, Any] = {}
    for _ in range(900):
        payload = {"in": payload}
    letters.add("one", ORDERS, [bad("1", payload)])
    assert json.dumps(letters.open_letters()[0].payload).count("in") == 100


def test_ids_and_reasons_of_any_text_are_kept(letters: DeadLetters) -> None:
    letters.add("one", ORDERS, [bad("\x00" + "x" * 200, reason="bad \ud800")])
    (letter,) = letters.open_letters()
    assert letter.record_id == "x" * 100
    assert letter.reason == "bad \ufffd"
    assert letters.resolve("one", ORDERS, ["\x00" + "x" * 200]) == 1


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
    max_leaves=8,
)


@given(payload=st.dictionaries(st.text(st.characters()), ANYTHING))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_payload_can_be_stored_and_read(letters: DeadLetters, payload: dict[str, Any]) -> None:
    letters.add("one", ORDERS, [bad("1", payload)])
    (letter,) = letters.open_letters()
    assert storable_value(letter.payload) == letter.payload
    assert not payload or len(letter.payload) <= len(payload)


def test_letters_are_listed_by_store_and_entity_the_oldest_first(letters: DeadLetters) -> None:
    letters.add("one", ORDERS, [bad("1"), bad("2")])
    letters.add("one", CUSTOMERS, [bad("3")])
    letters.add("two", ORDERS, [bad("4")])
    ids = {
        name: [each.record_id for each in found]
        for name, found in {
            "all": letters.open_letters(),
            "first": letters.open_letters(limit=1),
            "of a store": letters.open_letters("one"),
            "of an entity": letters.open_letters(entity=ORDERS),
            "of both": letters.open_letters("one", CUSTOMERS),
        }.items()
    }
    assert ids == {
        "all": ["1", "2", "3", "4"],
        "first": ["1"],
        "of a store": ["1", "2", "3"],
        "of an entity": ["1", "2", "4"],
        "of both": ["3"],
    }
    assert letters.counts() == {("one", ORDERS): 2, ("one", CUSTOMERS): 1, ("two", ORDERS): 1}


def test_letters_are_taken_and_removed_by_their_ids(letters: DeadLetters) -> None:
    letters.add("one", ORDERS, [bad("1"), bad("2"), bad("3")])
    first, second, _ = letters.open_letters()
    assert letters.get([second.id, first.id, 999, first.id]) == [first, second]
    assert letters.remove([first.id, 999]) == 1
    assert [each.record_id for each in letters.open_letters()] == ["2", "3"]
    assert letters.get([]) == []


def test_a_letter_goes_once_its_record_is_saved(letters: DeadLetters) -> None:
    letters.add("one", ORDERS, [bad("1"), bad("2")])
    letters.add("two", ORDERS, [bad("1")])
    letters.add("one", CUSTOMERS, [bad("1")])
    many = [str(number) for number in range(1200) if number != 2]
    assert letters.resolve("one", ORDERS, many) == 1
    left = {(each.store_id, each.entity, each.record_id) for each in letters.open_letters()}
    assert left == {("one", ORDERS, "2"), ("two", ORDERS, "1"), ("one", CUSTOMERS, "1")}


def test_where_there_are_no_letters_nothing_is_written(
    letters: DeadLetters, engine: sa.Engine
) -> None:
    letters.add("two", ORDERS, [bad("1")])
    statements: list[str] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement.split(maxsplit=1)[0])

    assert letters.resolve("one", ORDERS, ["1"]) == 0
    assert "DELETE" not in statements
