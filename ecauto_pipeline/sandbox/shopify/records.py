"""The records of a generated Shopify store, in one form of our own that is neither API's.

A record is a plain dict: times are whole seconds since 1970, amounts of money are text, words are
those of REST.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ecauto_pipeline.sandbox.draw import draw, token
from ecauto_pipeline.sandbox.shopify import words

Record = dict[str, Any]
Option = TypeVar("Option")

ENTITIES = ("customers", "products", "orders")
STRIDE = 32_749
# Of 13 digits, as they are now: beyond 32 bits.
FIRST_IDS = {
    "customers": 7_014_000_010_237,
    "products": 8_211_000_020_469,
    "orders": 5_402_000_030_703,
}
"""The same in every store, so that whoever relies on ids alone mixes up two stores."""
FIRST_VARIANT = 43_100_000_000_101
VARIANT_ITEM = 2_150_000_000_000
FIRST_LINE = 13_205_000_000_011
FIRST_ADDRESS = 9_302_000_000_017
FIRST_REFUND = 900_100_000_003
# Since October 2025, for every store.
MOST_VARIANTS = 2_048
MOST_LINES = 512
NO_DECIMALS = frozenset({"JPY", "KRW"})


class Dice:
    """Chance for one record: each roll takes its share of one long draw."""

    def __init__(self, *key: object) -> None:
        self._rest = int(token(128, *key), 16)

    def roll(self, limit: int) -> int:
        """A whole number below `limit`."""
        self._rest, value = divmod(self._rest, limit)
        return value

    def pick(self, options: Sequence[Option]) -> Option:
        """One of the options."""
        return options[self.roll(len(options))]

    def once_in(self, times: int) -> bool:
        """True once in so many times."""
        return self.roll(times) == 0


def id_of(entity: str, number: int) -> int:
    """The id of a store's record by its number, which counts from 0 in the order of creation."""
    return FIRST_IDS[entity] + number * STRIDE


def variant_id(product_number: int, place: int) -> int:
    """The id of a product's variant; the first has place 0."""
    return FIRST_VARIANT + (product_number * MOST_VARIANTS + place) * 7


@dataclass(frozen=True, slots=True)
class Mint:
    """Makes the records of a store; the same number always gives the same record."""

    seed: int
    counts: dict[str, int]
    begin: int
    end: int
    currency: str = "JPY"

    def created(self, entity: str, number: int) -> int:
        """When a record was made: in the order of the numbers."""
        return self.begin + (self.end - self.begin) * number // max(self.counts[entity], number + 1)

    def updated(self, entity: str, number: int) -> int:
        """When it was last changed; now and then several share a second, and many share one."""
        imported = self.end - (self.end - self.begin) // 3
        created = self.created(entity, number)
        if number % 20 == 4 and created <= imported:  # noqa: PLR2004 - an import touched them
            return imported
        if number % 10 < 2:  # noqa: PLR2004 - changed together with the next ones
            number = min(number - number % 10 + 2, self.counts[entity] - 1)
            created = self.created(entity, number)
        return created + draw(self.end - created + 1, self.seed, entity, number)

    def make(self, entity: str, number: int) -> Record:
        """A record as it was before anybody changed it."""
        make = {"customers": self._customer, "products": self._product, "orders": self._order}
        base = {
            "id": id_of(entity, number),
            "created_at": self.created(entity, number),
            "updated_at": self.updated(entity, number),
        }
        return {
            **base,
            **make[entity](number, base, Dice(self.seed, entity.removesuffix("s"), number)),
        }

    def money(self, hundredths: int) -> str:
        """An amount as REST writes it in the store's currency."""
        if self.currency in NO_DECIMALS:
            return str(hundredths // 100)
        return f"{hundredths // 100}.{hundredths % 100:02d}"

    def _customer(self, number: int, base: Record, dice: Dice) -> Record:
        customers = self.counts["customers"]
        # Of a customer that was added later there is no order.
        theirs = range(number, self.counts["orders"] if number < customers else 0, customers or 1)
        orders = [order for order in theirs if self.customer_of(order) is not None]
        email = None if dice.once_in(9) else f"c{number}@example.{dice.pick(('com', 'co.jp'))}"
        phone = None if dice.roll(3) else f"+8190{number:08d}"
        address = None if dice.once_in(8) else self._address(number, dice)
        return {
            "first_name": dice.pick(words.FIRST_NAMES),
            "last_name": dice.pick(words.LAST_NAMES),
            "email": email,
            "phone": phone,
            "state": dice.pick(words.STATES),
            "note": dice.pick(words.NOTES),
            "tags": _tags(dice),
            "tax_exempt": dice.once_in(10),
            "verified_email": not dice.once_in(4),
            "locale": dice.pick(words.LOCALES),
            "currency": self.currency,
            "orders_count": len(orders),
            "total_spent": self.money(dice.roll(90_000) * 100 + 50 if orders else 0),
            "last_order_id": id_of("orders", orders[-1]) if orders else None,
            "email_marketing": _consent(dice, words.EMAIL_STATES, base) if email else None,
            "sms_marketing": {
                **_consent(dice, words.SMS_STATES, base),
                "collected_from": dice.pick(words.COLLECTED_FROM),
            }
            if phone
            else None,
            "default_address": address,
            "other_addresses": [],
        }

    def _address(self, number: int, dice: Dice) -> Record:
        city, province, province_code, country, code, postcode = dice.pick(words.CITIES)
        return {
            "id": FIRST_ADDRESS + number * STRIDE,
            "first_name": dice.pick(words.FIRST_NAMES),
            "last_name": dice.pick(words.LAST_NAMES),
            "company": dice.pick(words.COMPANIES),
            "address1": f"{dice.roll(99) + 1}-{dice.roll(20) + 1} 通り",
            "address2": dice.pick((None, "", "４階")),
            "city": city,
            "province": province,
            "province_code": province_code,
            "country": country,
            "country_code": code,
            "zip": dice.pick((postcode, postcode, None)),
            "phone": dice.pick((None, "", "03-1234-5678")),
        }

    def customer_of(self, order: int) -> int | None:
        """The number of the customer of an order; None for an order without one."""
        customers = self.counts["customers"]
        # Now and then an order has none, as one that was paid at a counter.
        return None if order % 23 == 7 or not customers else order % customers  # noqa: PLR2004

    def _product(self, number: int, base: Record, dice: Dice) -> Record:
        status = dice.pick(words.PRODUCT_STATES)
        count = variant_count(number, dice)
        return {
            "title": title_of(number),
            "body_html": dice.pick(words.HTML),
            "vendor": dice.pick(words.VENDORS),
            "product_type": dice.pick(words.TYPES),
            "handle": f"item-{number}",
            "status": status,
            "tags": _tags(dice),
            "published_at": base["created_at"] + 60 if status == "active" else None,
            "variants": [self._variant(number, place, count, base) for place in range(count)],
        }

    def _variant(self, product: int, place: int, count: int, base: Record) -> Record:
        dice = Dice(self.seed, "variant", product, place)
        price = (dice.roll(9_000) + 100) * 100 + dice.pick((0, 50, 99))
        its_id = variant_id(product, place)
        weight, unit = dice.pick(words.WEIGHTS)
        colour = words.COLOURS[place % len(words.COLOURS)]
        return {
            "id": its_id,
            "title": f"{colour} {place}" if count > 1 else "Default Title",
            "sku": None if dice.once_in(6) else f"SKU-{product}-{place}",
            "barcode": None if dice.roll(2) else f"49{its_id % 10**11:011d}",
            "price": self.money(price),
            "compare_at_price": self.money(price + 50_000) if dice.once_in(3) else None,
            "position": place + 1,
            "taxable": not dice.once_in(9),
            "inventory_item_id": its_id + VARIANT_ITEM,
            "inventory_quantity": dice.roll(60) - 3,
            "tracked": not dice.once_in(5),
            "requires_shipping": not dice.once_in(7),
            "weight": weight,
            "weight_unit": unit,
            "created_at": base["created_at"],
            "updated_at": base["updated_at"],
        }

    def _order(self, number: int, base: Record, dice: Dice) -> Record:
        # Mostly few, now and then more than a page of 50.
        count = 51 + number % 40 if number % 60 == 13 else 1 + dice.roll(4)  # noqa: PLR2004
        lines = [self._line(number, place, dice) for place in range(count)]
        customer = self.customer_of(number)
        foreign = dice.once_in(8) and self.currency != "USD"
        head = {
            "number": number + 1,
            "name": f"#{1001 + number}",
            "customer_id": None if customer is None else id_of("customers", customer),
            "email": None if customer is None else f"c{customer}@example.com",
            "currency": self.currency,
            "presentment_currency": "USD" if foreign else self.currency,
            "presentment_rate": "0.0064" if foreign else None,
            "processed_at": base["created_at"] - dice.roll(3_600),
            "source_name": dice.pick(words.SOURCES),
            "test": dice.once_in(20),
            "note": dice.pick(words.NOTES),
            "tags": _tags(dice),
        }
        fulfillment, cancelled = dice.pick(words.FULFILLMENT), dice.once_in(15)
        return {
            **head,
            "line_items": lines,
            "fulfillment_status": fulfillment,
            "on_the_way": None if fulfillment else dice.pick(words.ON_THE_WAY),
            # All that befell it, befell it before its last change.
            "cancelled_at": base["updated_at"] if cancelled else None,
            "cancel_reason": dice.pick(words.CANCEL_REASONS) if cancelled else None,
            "closed_at": base["updated_at"] if dice.once_in(3) else None,
            **self._totals(number, lines, base, dice),
        }

    def _line(self, order: int, place: int, of_order: Dice) -> Record:
        dice = Dice(self.seed, "line", order, place)
        quantity, price = dice.roll(5) + 1, (dice.roll(9_000) + 100) * 100
        products = self.counts["products"]
        # Some line items sell what is no product, and some a product that was deleted long ago.
        product = None if dice.once_in(12) else dice.roll(products + products // 10 + 1)
        title = "ギフト包装" if product is None else title_of(product)
        colour = dice.pick((None, *words.COLOURS))
        code_discount = price * quantity // 1000 * 100 if of_order.once_in(2) else 0
        return {
            "id": FIRST_LINE + (order * MOST_LINES + place) * 7,
            "product_id": None if product is None else id_of("products", product),
            "variant_id": None if product is None else variant_id(product, 0),
            "title": title,
            "variant_title": colour,
            "name": f"{title} - {colour}" if colour else title,
            "sku": None if product is None else f"SKU-{product}-0",
            "vendor": dice.pick((*words.VENDORS, None)),
            "quantity": quantity,
            "current_quantity": quantity,
            "price": self.money(price),
            "line_discount": self.money(price // 1000 * 100 if dice.once_in(6) else 0),
            "code_discount": self.money(code_discount),
        }

    def _totals(self, number: int, lines: list[Record], base: Record, dice: Dice) -> Record:
        goods = sum(self._hundredths(line["price"]) * line["quantity"] for line in lines)
        discounts = sum(
            self._hundredths(line["line_discount"]) + self._hundredths(line["code_discount"])
            for line in lines
        )
        tax, shipping = (goods - discounts) // 1000 * 100, dice.pick(words.SHIPPING) * 100
        total = goods - discounts + tax + shipping
        amounts: list[int] = []
        if dice.once_in(9):
            amounts = [total] if number % 2 == 0 else [total // 300 * 100, total // 500 * 100]
            # The first line item is taken back with the first refund.
            lines[0]["current_quantity"] = lines[0]["quantity"] - 1
        refunds: list[Record] = [
            {
                "id": FIRST_REFUND + (number * 2 + place) * 3,
                "created_at": base["updated_at"],
                "amount": self.money(amount),
                "note": None if place else "返品 📦",
                "lines": [] if place else [{"line_item_id": lines[0]["id"], "quantity": 1}],
            }
            for place, amount in enumerate(amounts)
        ]
        refunded = sum(self._hundredths(refund["amount"]) for refund in refunds)
        status = dice.pick(words.FINANCIAL)
        if refunded:
            status = "refunded" if refunded == total else "partially_refunded"
        return {
            "total_line_items_price": self.money(goods),
            "subtotal_price": self.money(goods - discounts),
            "total_discounts": self.money(discounts),
            "total_tax": self.money(tax),
            "total_shipping_price": self.money(shipping),
            "total_price": self.money(total),
            "total_refunded": self.money(refunded),
            "financial_status": status,
            "refunds": refunds,
        }

    def _hundredths(self, amount: str) -> int:
        return int(amount) * 100 if self.currency in NO_DECIMALS else int(amount.replace(".", ""))


def title_of(product: int) -> str:
    """What a generated product is called."""
    return f"{words.NOUNS[product % len(words.NOUNS)]} {product}"


def variant_count(product: int, dice: Dice) -> int:
    """How many variants: mostly few, now and then more than REST tells or a page of GraphQL."""
    if product % 150 == 11:  # noqa: PLR2004
        return 251 + product % 50
    if product % 40 == 7:  # noqa: PLR2004
        return 101 + product % 60
    return 1 + dice.roll(3)


def _tags(dice: Dice) -> list[str]:
    chosen = {dice.pick(words.TAGS) for _ in range(dice.roll(4))}
    return sorted(chosen)


def _consent(dice: Dice, states: Sequence[str], base: Record) -> Record:
    asked = base["created_at"] + dice.roll(base["updated_at"] - base["created_at"] + 1)
    return {
        "state": dice.pick(states),
        "opt_in_level": dice.pick(words.OPT_IN_LEVELS),
        "updated_at": None if dice.once_in(3) else asked,
    }
