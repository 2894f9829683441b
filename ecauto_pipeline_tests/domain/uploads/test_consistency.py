"""What disagrees between listings, queue and shop, and what may be done about it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecauto_pipeline.domain.shops.changes import Item
from ecauto_pipeline.domain.uploads.consistency import (
    MIN_LISTED,
    Adopt,
    Delist,
    FailRows,
    Finding,
    FindingKind,
    Follow,
    ListingState,
    LookUp,
    Mend,
    QueueState,
    differences,
    disbelief,
    find,
    strangers,
)
from ecauto_pipeline.domain.uploads.rules import LIVE, identifier_for
from ecauto_pipeline_tests.fakes import MIDDAY

A, B = "B0FGQJ45HW", "B000000002"

V1_FORMS = [
    f"b-{A}-20251201214453",
    f"b-{A}-20251201214453_2",
    f"s-{A}-1701412345",
    f"base-{A}-1701412345",
    f"BASE-{A}",
    f"b-{A}-1",
]


def listing(asin: str = A, **values: Any) -> ListingState:
    fields: dict[str, Any] = {
        "id": 1 if asin == A else 2,
        "account_id": "one",
        "item_id": None,
        "sku": None,
        "status": "pending",
        "visibility": "public",
        "selling_price": Decimal(1300),
    }
    return ListingState(asin=asin, **fields | values)


def listed(asin: str = A, item_id: str | None = "11", **values: Any) -> ListingState:
    return listing(asin, item_id=item_id, status="listed", **values)


def queued(status: str, asin: str = A, **values: Any) -> QueueState:
    fields: dict[str, Any] = {"id": 1 if asin == A else 2, "account_id": "one"}
    return QueueState(asin=asin, status=status, **fields | values)


def item(item_id: str = "11", identifier: str | None = None, **values: Any) -> Item:
    fields: dict[str, Any] = {"title": "t", "price_jpy": 1300, "stock": 1, "visible": True}
    return Item(item_id=item_id, identifier=identifier, **fields | values)


def look(
    listings: Sequence[ListingState] = (),
    queue: Sequence[QueueState] = (),
    items: Sequence[Item] | None = (),
) -> list[Finding]:
    return find("one", listings, queue, items, MIDDAY)


def only(findings: Sequence[Finding], kind: FindingKind) -> Finding:
    (finding,) = findings
    assert (finding.kind, finding.account_id) == (kind, "one")
    assert finding.safe == (finding.mend is not None)
    return finding


def test_what_agrees_is_not_found() -> None:
    assert look([listed()], [queued("success")], [item()]) == []
    assert look([listed()], [], [item(identifier="of another seller")]) == []
    assert look([listing()], [queued("pending")], []) == []
    assert look([listing()], [queued("failed")], []) == []


@pytest.mark.parametrize("identifier", V1_FORMS)
def test_an_upload_that_succeeded_is_adopted_by_its_identifier(identifier: str) -> None:
    found = item(identifier=identifier)
    finding = only(look([listing()], [queued("success")], [found]), FindingKind.SUCCESS_BUT_PENDING)
    assert finding.mend == Adopt(listing(), found, ())


def test_an_upload_that_succeeded_is_adopted_by_its_sku() -> None:
    mine = listing(sku="a name of its own")
    found = item(identifier="a name of its own")
    finding = only(look([mine], [queued("success")], [found]), FindingKind.SUCCESS_BUT_PENDING)
    assert finding.mend == Adopt(mine, found, ())


def test_an_upload_that_succeeded_is_adopted_by_its_item_id() -> None:
    mine = listing(item_id="11")
    finding = only(look([mine], [queued("success")], [item()]), FindingKind.SUCCESS_BUT_PENDING)
    assert finding.mend == Adopt(mine, item(), ())


def test_an_upload_that_made_nothing_that_is_there_is_for_a_person() -> None:
    row = queued("success")
    finding = only(look([listing()], [row], [item("9")])[:1], FindingKind.SUCCESS_BUT_PENDING)
    assert finding.mend == FailRows(listing(), (row,), ())
    assert finding.detail == "uploaded, says the queue, but pending: not on the shop"


def test_of_two_items_none_is_chosen() -> None:
    items = [item("11", f"b-{A}-1"), item("12", f"s-{A}-2")]
    kinds = [finding.kind for finding in look([listing()], [queued("success")], items)]
    assert kinds == [
        FindingKind.SUCCESS_BUT_PENDING,
        FindingKind.UNKNOWN_HERE,
        FindingKind.UNKNOWN_HERE,
        FindingKind.DOUBLED_IDENTIFIER,
    ]
    findings = look([listing()], [queued("success")], items)
    assert not any(finding.safe for finding in findings)


def test_a_pending_listing_with_an_item_is_listed_when_the_shop_has_it() -> None:
    mine, row = listing(item_id="11"), queued("pending")
    finding = only(look([mine], [row], [item()]), FindingKind.ITEM_ID_BUT_PENDING)
    assert finding.mend == Adopt(mine, item(), (row,))


@pytest.mark.parametrize(
    "items",
    [
        [],
        [item("11", f"b-{B}-1")],
    ],
    ids=["gone", "of another product"],
)
def test_a_pending_listing_keeps_an_item_that_is_in_doubt(items: list[Item]) -> None:
    finding = only(look([listing(item_id="11")], [], items), FindingKind.ITEM_ID_BUT_PENDING)
    assert not finding.safe


def test_an_item_id_that_is_gone_is_not_replaced_by_another_item() -> None:
    findings = look([listing(item_id="12")], [], [item("11", f"b-{A}-1")])
    assert [(finding.kind, finding.safe) for finding in findings] == [
        (FindingKind.ITEM_ID_BUT_PENDING, False),
        (FindingKind.UNKNOWN_HERE, False),
    ]


def test_a_sku_with_the_asin_of_another_product_proves_nothing() -> None:
    found = item(identifier=f"b-{B}-1")
    findings = look([listing(sku=f"b-{B}-1"), listing(B)], [], [found])
    orphan = only(findings[1:], FindingKind.ORPHAN)
    assert (findings[0].mend, orphan.asin) == (Adopt(listing(B), found, ()), A)


def test_an_item_that_two_listings_name_is_nobodys() -> None:
    both = [listing(item_id="11"), listed(B, "11")]
    for queue in ([], [queued("success")]):
        assert not any(finding.safe for finding in look(both, queue, [item()]))


def test_a_listed_item_that_is_gone_is_to_be_proven_again() -> None:
    finding = only(look([listed()], [queued("success")], []), FindingKind.GONE_FROM_SHOP)
    assert finding.mend == Delist(listed())


def test_a_listing_without_an_item_id_cannot_be_proven_gone() -> None:
    finding = only(look([listed(item_id=None)]), FindingKind.GONE_FROM_SHOP)
    assert not finding.safe


@pytest.mark.parametrize("identifier", V1_FORMS)
@pytest.mark.parametrize("queue", [[], [queued("pending")], [queued("failed")]])
def test_an_item_of_a_pending_listing_is_adopted(identifier: str, queue: list[QueueState]) -> None:
    found = item(identifier=identifier)
    finding = only(look([listing()], queue, [found]), FindingKind.UNKNOWN_HERE)
    waiting = tuple(row for row in queue if row.status == "pending")
    assert finding.mend == Adopt(listing(), found, waiting)


@pytest.mark.parametrize(
    "mine",
    [
        None,
        listing(B),
        listed(item_id="12"),
        listing(status="delisted"),
        listing(item_id="12"),
    ],
)
def test_any_other_item_is_only_reported(mine: ListingState | None) -> None:
    items = [item("11", f"b-{A}-1"), item("12")]
    findings = look([mine] if mine else [], [], items)
    strangers = [each for each in findings if each.kind == FindingKind.UNKNOWN_HERE]
    assert [each.detail for each in strangers if "item 11 " in each.detail]
    assert not any(each.safe for each in strangers)
    assert strangers[0].asin == A


@pytest.mark.parametrize("status", ["unknown", "uploading"])
def test_an_item_that_a_lost_upload_may_have_made_is_left_to_the_lookup(status: str) -> None:
    row = queued(status, lease_until=MIDDAY - timedelta(seconds=1), scheduled_time=MIDDAY)
    stranger, stuck = look([listing()], [row], [item(identifier=f"b-{A}-1")])
    assert (stranger.kind, stranger.safe) == (FindingKind.UNKNOWN_HERE, False)
    assert (stuck.kind, stuck.mend) == (FindingKind.STUCK_UPLOADING, LookUp(row))


def test_an_upload_that_is_under_way_is_no_disagreement() -> None:
    row = queued("uploading", lease_until=MIDDAY)
    assert look([listing()], [row], [item(identifier=f"b-{A}-1")]) == []
    going_on = queued("pending", item_id="11")
    assert look([listed(visibility="hidden")], [going_on], [item(price_jpy=9)]) == []
    assert look([listed()], [going_on], []) == []
    assert look([listing()], [queued("unknown", scheduled_time=MIDDAY + timedelta(1))]) == []


def test_an_upload_by_nobody_is_for_a_person() -> None:
    finding = only(look([listing()], [queued("uploading")]), FindingKind.STUCK_UPLOADING)
    assert not finding.safe


@pytest.mark.parametrize(
    ("identifiers", "asin", "name"),
    [
        ((f"b-{A}-1", f"b-{A}-1"), A, A),
        ((f"b-{A}-1", f"BASE-{A}"), A, A),
        (("mug", "mug"), None, "mug"),
    ],
)
def test_two_items_with_one_identifier_are_reported_and_never_touched(
    identifiers: tuple[str, str], asin: str | None, name: str
) -> None:
    items = [item(str(11 + number), each) for number, each in enumerate(identifiers)]
    *_, finding = look([listed()], [], items)
    assert (finding.kind, finding.asin) == (FindingKind.DOUBLED_IDENTIFIER, asin)
    assert finding.detail == f"the shop has {name} 2 times: 11, 12"
    assert not finding.safe


def test_a_pending_listing_that_was_never_queued_is_an_orphan() -> None:
    assert not only(look([listing()]), FindingKind.ORPHAN).safe
    assert look([listing(held=True)]) == []
    assert look([listing(item_id="11")], [], [])[0].kind == FindingKind.ITEM_ID_BUT_PENDING


@pytest.mark.parametrize(
    ("values", "detail"),
    [
        ({"price_jpy": 1500}, "item 11: price 1300 here, 1500 on the shop"),
        ({"visible": False}, "item 11: visibility public here, hidden on the shop"),
    ],
)
def test_what_was_changed_by_hand_is_followed(values: dict[str, Any], detail: str) -> None:
    changed = item(**values)
    finding = only(look([listed()], [], [changed]), FindingKind.DRIFTED)
    assert (finding.mend, finding.detail) == (Follow(listed(), changed), detail)


def test_without_the_shop_only_what_needs_none_is_found_and_nothing_is_mended() -> None:
    listings = [listing(), listed(B, "12"), listing("B000000003", id=3)]
    queue = [queued("success"), queued("unknown", B)]
    findings = look(listings, queue, None)
    assert [finding.kind for finding in findings] == [
        FindingKind.SUCCESS_BUT_PENDING,
        FindingKind.STUCK_UPLOADING,
        FindingKind.ORPHAN,
    ]
    assert not any(finding.safe for finding in findings)


@pytest.mark.parametrize(
    ("count", "items", "believed"),
    [
        (MIN_LISTED, [], True),
        (MIN_LISTED + 1, [], False),
        (MIN_LISTED + 1, [item("999")], False),
        (MIN_LISTED + 1, [item("1")], True),
    ],
)
def test_a_shop_that_shows_nothing_of_ours_is_not_believed(
    count: int, items: list[Item], *, believed: bool
) -> None:
    listings = [listed(item_id=str(number)) for number in range(count)]
    assert (disbelief(listings, items) is None) == believed


@pytest.mark.parametrize(
    ("items", "what"),
    [
        ([item()], None),
        ([item(price_jpy=1301)], "price"),
        ([item(visible=False)], "visibility"),
        ([item(price_jpy=1301, visible=False)], "price, visibility"),
        ([item("12")], "deleted"),
        ([], "deleted"),
    ],
)
def test_the_differences_tell_what_the_shop_shows_otherwise(
    items: list[Item], what: str | None
) -> None:
    listings = [listed(), replace(listed(B, "13"), status="delisted")]
    rows = differences(look(listings, [], items))
    assert [row["what"] for row in rows] == ([what] if what else [])


def test_a_difference_shows_both_sides() -> None:
    assert differences(look([listed(selling_price=None)], [], [item(visible=False)])) == [
        {
            "asin": A,
            "what": "price, visibility",
            "item_id": "11",
            "selling_price": None,
            "shop_price": 1300,
            "visibility": "public",
            "shop_visible": False,
        }
    ]


def test_strangers_are_the_items_that_no_listing_names() -> None:
    delisted = replace(listed(B, "12"), status="delisted")
    shown = [item(), item("12"), item("13"), item("77")]
    assert strangers(look([listed(), delisted], [], shown)) == shown[2:]


@dataclass
class Model:
    """Our rows, mended as the storage does it."""

    listings: list[ListingState]
    queue: list[QueueState]

    def findings(self, items: Sequence[Item] | None) -> list[Finding]:
        return find("one", self.listings, self.queue, items, MIDDAY)

    def set_rows(self, rows: Sequence[QueueState], **values: Any) -> None:
        ids = {row.id for row in rows}
        self.queue = [replace(row, **values) if row.id in ids else row for row in self.queue]

    def set_listing(self, mine: ListingState, **values: Any) -> None:
        assert mine in self.listings, "another mend has changed it"
        self.listings = [replace(mine, **values) if x == mine else x for x in self.listings]

    def apply(self, mend: Mend) -> None:
        if isinstance(mend, LookUp):
            self.set_rows([mend.row], status="unknown", scheduled_time=MIDDAY + timedelta(1))
        elif isinstance(mend, FailRows):
            self.set_rows(mend.rows, status="failed")
        elif isinstance(mend, Delist):
            self.set_listing(mend.listing, status="delisted")
        else:
            values: dict[str, Any] = {
                "selling_price": Decimal(mend.item.price_jpy),
                "visibility": "public" if mend.item.visible else "hidden",
            }
            if isinstance(mend, Adopt):
                values |= {"item_id": mend.item.item_id, "status": "listed"}
                status = {"status": "success"} if mend.item.visible else {}
                self.set_rows(mend.waiting, item_id=mend.item.item_id, **status)
            self.set_listing(mend.listing, **values)


ASINS = [f"B00000000{number}" for number in range(4)]
ITEM_IDS = ["11", "12", "13"]


@st.composite
def worlds(draw: Callable[..., Any]) -> tuple[Model, list[Item]]:
    """A few listings, rows and items, so few that they meet in every way."""
    listings = [
        listing(
            asin,
            id=number,
            item_id=draw(st.sampled_from([None, *ITEM_IDS])),
            sku=draw(st.sampled_from([None, identifier_for(asin, 1), f"own {number}"])),
            status=draw(st.sampled_from(["pending", "listed", "delisted"])),
            visibility=draw(st.sampled_from(["public", "hidden"])),
            held=draw(st.booleans()),
        )
        for number, asin in enumerate(ASINS)
        if draw(st.booleans())
    ]
    lease = st.sampled_from([None, MIDDAY - timedelta(1), MIDDAY + timedelta(1)])
    queue: list[QueueState] = []
    for asin in ASINS:
        statuses = draw(st.lists(st.sampled_from([*map(str, LIVE), "success", "failed"])))
        live = [status for status in statuses if status in LIVE][:1]
        queue += [
            queued(
                status,
                asin,
                id=draw(st.uuids()).int,
                item_id=draw(st.sampled_from([None, *ITEM_IDS])),
                lease_until=draw(lease),
                scheduled_time=draw(lease),
            )
            for status in [*live, *(each for each in statuses if each not in LIVE)]
        ]
    names = [None, "mug", "own 1", *(f"{form}-{a}-1" for a in ASINS for form in ("b", "base"))]
    items = [
        item(
            item_id,
            draw(st.sampled_from(names)),
            price_jpy=draw(st.sampled_from([1300, 1500])),
            visible=draw(st.booleans()),
        )
        for item_id in [*ITEM_IDS, "14", "15"]
        if draw(st.booleans())
    ]
    return Model(listings, queue), items


@given(worlds())
def test_what_is_mended_stays_mended(world: tuple[Model, list[Item]]) -> None:
    model, items = world
    for finding in model.findings(items):
        if finding.mend:
            model.apply(finding.mend)
    assert [finding for finding in model.findings(items) if finding.safe] == []


@given(worlds())
def test_an_item_is_given_to_one_listing_only(world: tuple[Model, list[Item]]) -> None:
    model, items = world
    mends = [finding.mend for finding in model.findings(items)]
    adopted = [mend for mend in mends if isinstance(mend, Adopt)]
    assert len({mend.item.item_id for mend in adopted}) == len(adopted)
    assert len({mend.listing.id for mend in adopted}) == len(adopted)
    for mend in adopted:
        others = [each for each in model.listings if each.id != mend.listing.id]
        assert mend.item.item_id not in {each.item_id for each in others}


@given(worlds())
def test_without_the_shop_nothing_is_ever_mended(world: tuple[Model, list[Item]]) -> None:
    model, _ = world
    assert not any(finding.safe for finding in model.findings(None))


@given(worlds())
def test_what_an_upload_has_in_its_hands_is_not_touched(
    world: tuple[Model, list[Item]],
) -> None:
    model, items = world
    busy = {row.asin for row in model.queue if row.busy}
    for finding in model.findings(items):
        if finding.asin in busy:
            assert finding.mend is None or isinstance(finding.mend, LookUp)
