"""What a marketplace's client offers, so that we can sell on a shop of it."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import Protocol

from ecauto_pipeline.domain.shops.changes import Item, NewItem


class Shop(Protocol):
    """The shop of one account, on whatever marketplace; prices are whole yen, tax included.

    Its client keeps to the marketplace's quotas, tries again what may be tried again, and raises
    our errors: `Deferred` when a budget is used up, `AccountStopped` when a person must act.

    Orders are none of it yet: no client of ours has a call for them.
    """

    @property
    def label(self) -> str:
        """What people call the marketplace."""
        ...

    @property
    def max_images(self) -> int:
        """The most pictures that it takes for an item."""
        ...

    @property
    def calls(self) -> Counter[str]:
        """How many calls were sent, by operation."""
        ...

    def items(self, *, newest_first: bool = False) -> Iterator[Item]:
        """Every item of the shop once, hidden ones too; pages are read as they are wanted.

        Raises:
            NoProof: an answer is no listing, or the listing does not come to an end.
        """
        ...

    def item(self, item_id: str) -> Item:
        """The item as the shop has it now.

        Raises:
            ItemGone: there is none with this id.
        """
        ...

    def look_up(self, identifiers: Collection[str], *, thorough: bool) -> list[Item]:
        """The items that carry one of these identifiers, hidden ones too, the newest first.

        Unless it is `thorough`, it may leave out what was not made lately.
        """
        ...

    def edit(
        self,
        item_id: str,
        price_jpy: int | None = None,
        visible: bool | None = None,  # noqa: FBT001 - a value to be set, not a flag
        stock: int | None = None,
    ) -> Item:
        """Set these values and leave the others; returns the item as it is then.

        Raises:
            ItemGone: there is none with this id.
            Rejected: the shop refuses, or says nothing and does not do it.
        """
        ...

    def take_upload_slot(self) -> bool:
        """Count one upload of the account's day; False: its daily limit is reached."""
        ...

    def add(self, new: NewItem, before_send: Callable[[], None]) -> Item:
        """Make the item, hidden. The call is made once: sent again, it may make another item.

        `before_send` is called when nothing but the sending itself is left to do; what it raises
        keeps the call from being sent.

        Raises:
            NotSent, Throttled, Deferred, Rejected, AccountStopped: nothing was made.
            Unavailable: any other; nobody knows whether the item was made.
        """
        ...

    def add_image(self, item_id: str, number: int, url: str) -> None:
        """Put a picture from the web into a slot, counted from 1; again is the same as once.

        Raises:
            ItemGone: there is no such item.
            Rejected: the shop cannot use the picture.
        """
        ...
