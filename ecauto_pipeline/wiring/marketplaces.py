"""The marketplaces on which we list, in one place.

A further one is a client that offers what `sync.shop.Shop` asks for, its settings, a room like
`wiring.base_shop` that opens the one by the other, and a line in `ALL`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from ecauto_pipeline.wiring.base_shop import BaseShops
    from ecauto_pipeline.wiring.opened import Opened
    from ecauto_pipeline.wiring.shops import Shops

ShopsT_co = TypeVar("ShopsT_co", bound="Shops", covariant=True)


@dataclass(frozen=True, slots=True)
class Marketplace(Generic[ShopsT_co]):
    """A marketplace: its `name` in the tables' column `platform`, and what people call it.

    `open` gives the room of its shops, which is imported only then.
    """

    name: str
    label: str
    open: Callable[["Opened"], ShopsT_co]

    @property
    def accounts_setting(self) -> str:
        """The setting that lists its accounts."""
        return f"ECAUTO_{self.name.upper()}__ACCOUNTS"


def _base_shops(opened: "Opened") -> "BaseShops":
    from ecauto_pipeline.wiring.base_shop import BaseShops  # noqa: PLC0415 - imports the client

    return BaseShops(BASE, opened)


BASE = Marketplace("base", "BASE", _base_shops)

ALL: tuple[Marketplace["Shops"], ...] = (BASE,)
