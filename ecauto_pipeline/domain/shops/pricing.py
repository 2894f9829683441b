"""The selling price that follows from Amazon's price."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal


@dataclass(frozen=True, slots=True)
class PriceBand:
    """A markup for Amazon prices up to `up_to_jpy`; None: any."""

    up_to_jpy: int | None
    markup: Decimal


@dataclass(frozen=True, slots=True)
class PriceRule:
    """Markup, rounding and limits; all prices are whole yen, tax included."""

    markup: Decimal = Decimal("1.3")
    min_difference_jpy: int = 100
    round_to: int = 1
    bands: tuple[PriceBand, ...] = ()
    floor_jpy: int = 50
    ceiling_jpy: int = 500_000

    def selling_price(self, amazon_price_jpy: int) -> int:
        """The price to sell at; halves are rounded up.

        >>> PriceRule().selling_price(1234)
        1604
        """
        raw = self.markup_for(amazon_price_jpy) * amazon_price_jpy / self.round_to
        rounded = int(raw.quantize(Decimal(1), ROUND_HALF_UP)) * self.round_to
        return min(max(rounded, self.floor_jpy), self.ceiling_jpy)

    def markup_for(self, amazon_price_jpy: int) -> Decimal:
        """The markup of the first band that reaches this price, else the general one."""
        for band in self.bands:
            if band.up_to_jpy is None or amazon_price_jpy <= band.up_to_jpy:
                return band.markup
        return self.markup

    def differs(self, old_jpy: Decimal | int | None, new_jpy: int) -> bool:
        """Whether the new price is far enough from the old one to be worth a write."""
        if old_jpy is None:
            return True
        return new_jpy != old_jpy and abs(new_jpy - old_jpy) >= self.min_difference_jpy
