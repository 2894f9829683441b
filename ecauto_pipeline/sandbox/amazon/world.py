"""A world of products made from a seed; it moves in steps, always the same ones."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from ecauto_pipeline.sandbox.amazon.offers import offers_of
from ecauto_pipeline.sandbox.amazon.products import BuyFrom, Kind, Product, Truth
from ecauto_pipeline.sandbox.amazon.vocabulary import (
    BENEFITS,
    BRANDS,
    CATEGORIES,
    COLOURS,
    RARE_SIGNS,
    TRAITS,
)
from ecauto_pipeline.sandbox.draw import draw, pick, token

FIRST_ASINS = (
    "B0FGQJ45HW", "B07YV55TNL", "B06Y69FKT2", "B006OHKDW8", "B08HXN835J", "B07JHV82ST",
    "B0DRCNW4GZ", "B07CZKGD7X", "B09JS7R48N", "B0C6X64277", "B09YY6NZ7N",
)  # fmt: skip
"""Real ones, always there to begin with, normal and in stock."""

SHARES = (
    (Kind.SOLE_SELLER, 30),
    (Kind.VARIATION_PARENT, 20),
    (Kind.TOO_SOON, 15),
    (Kind.USED_ONLY, 15),
    (Kind.FUTURE, 20),
    (Kind.FUTURE_BUY_BOX, 20),
    (Kind.OUT, 30),
    (Kind.SHIPPING, 40),
    (Kind.NOT_FOUND, 10),
)
"""How many in a thousand are of that kind; the rest are normal."""

MOVING = frozenset({Kind.NORMAL, Kind.SOLE_SELLER, Kind.FUTURE_BUY_BOX, Kind.OUT, Kind.SHIPPING})
"""Kinds whose stock comes and goes."""

REPRICED_PER_THOUSAND = 60
FLIPPED_PER_THOUSAND = 20
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class _State:
    """What of a product changes with time."""

    step: int
    price_jpy: int
    sold_out: bool


class World:
    """Products by ASIN. Everything about one follows from the seed, its ASIN and the step."""

    def __init__(
        self, asins: Sequence[str] | None = None, *, count: int = 411, seed: int = 1
    ) -> None:
        self.seed = seed
        self._asins = dict.fromkeys(asins if asins is not None else _asins(count, seed))
        self.natives = tuple(self._asins)
        """The ASINs it began with."""
        self._step = 0
        self._states: dict[str, _State] = {}
        self._products: dict[str, tuple[int, Product]] = {}
        self._lock = threading.Lock()

    @property
    def asins(self) -> tuple[str, ...]:
        """All ASINs, in the order in which they came."""
        return tuple(self._asins)

    @property
    def step(self) -> int:
        """How often the world has moved."""
        return self._step

    def move(self, steps: int = 1) -> int:
        """Change some prices and some stock; returns the step reached."""
        with self._lock:
            self._step += steps
            return self._step

    def find(self, asin: str) -> Product | None:
        """The product as it is now, or None if the world has none of that ASIN."""
        return self._now(asin) if asin in self._asins else None

    def ensure(self, asin: str) -> Product:
        """The product of that ASIN, added if it was not there."""
        with self._lock:
            self._asins.setdefault(asin)
        return self._now(asin)

    def truth(self, asin: str, buy_from: BuyFrom = "any") -> Truth:
        """What a correct reader of Amazon's answers must conclude about an ASIN now."""
        product = self.find(asin)
        return product.truth(buy_from) if product else Truth(None, None)

    def of_kind(self, kind: Kind) -> tuple[str, ...]:
        """The ASINs of one kind."""
        return tuple(asin for asin in self.asins if kind_of(asin, self.seed) is kind)

    def _now(self, asin: str) -> Product:
        with self._lock:
            known = self._products.get(asin)
            if known and known[0] == self._step:
                return known[1]
            state, seed = self._states.get(asin), self.seed
            if state is None:
                price = 800 + 10 * draw(300, seed, asin, "price")
                factor = pick((1, 1, 1, 2, 3, 6), seed, asin, "factor")
                state = _State(0, price * factor - 20, kind_of(asin, seed) is Kind.OUT)
            price, sold_out = state.price_jpy, state.sold_out
            # Step by step, so that a price does not depend on how often it was looked at.
            for step in range(state.step + 1, self._step + 1):
                if draw(1000, seed, asin, "repriced", step) < REPRICED_PER_THOUSAND:
                    by = pick((75, 82, 88, 112, 120, 130), seed, asin, "by", step)
                    price = max(500, price * by // 100)
                if draw(1000, seed, asin, "flipped", step) < FLIPPED_PER_THOUSAND:
                    sold_out = not sold_out and kind_of(asin, seed) in MOVING
            state = _State(self._step, price, sold_out)
            product = _product(asin, state, seed)
            self._states[asin] = state
            self._products[asin] = (self._step, product)
            return product


def kind_of(asin: str, seed: int) -> Kind:
    """What kind of product an ASIN is."""
    if asin in FIRST_ASINS:
        return Kind.NORMAL
    number = draw(1000, seed, asin, "kind")
    for kind, share in SHARES:
        if number < share:
            return kind
        number -= share
    return Kind.NORMAL


def _asins(count: int, seed: int) -> list[str]:
    """The real ones, one of each kind, then as they come."""
    found: dict[str, None] = dict.fromkeys(FIRST_ASINS[:count])
    wanted = [kind for kind, _ in SHARES][: count - len(found)]
    number = 0
    while len(found) < count:
        asin = _asin(number, seed)
        number += 1
        if wanted and kind_of(asin, seed) is not wanted[0]:
            continue
        if asin not in found:
            found[asin] = None
            wanted = wanted[1:]
    return list(found)


def _asin(number: int, seed: int) -> str:
    rest = draw(36**8, seed, "asin", number)
    digits = ""
    for _ in range(8):
        rest, digit = divmod(rest, 36)
        digits += ALPHABET[digit]
    return f"B0{digits}"


def _product(asin: str, state: _State, seed: int) -> Product:
    kind = kind_of(asin, seed)
    category = pick(CATEGORIES, seed, asin, "category")
    brand = pick(BRANDS, seed, asin, "brand")
    points = tuple(pick(BENEFITS, seed, asin, "benefit", number) for number in range(3))
    trait, colour = pick(TRAITS, seed, asin, "trait"), pick(COLOURS, seed, asin, "colour")
    noun = pick(category.nouns, seed, asin, "noun")
    # BASE refuses such a sign, so some titles have one; those of the well-known ASINs do not.
    rare = asin not in FIRST_ASINS and draw(50, seed, asin, "rare") == 0
    sign = f" {pick(RARE_SIGNS, seed, asin, 'sign')}" if rare else ""
    title = f"{brand} {noun} {trait} {colour} {asin[-4:]}{sign}"
    images = (token(10, seed, asin, "image", n) for n in range(1 + draw(5, seed, asin, "images")))
    children = range(3) if kind is Kind.VARIATION_PARENT else range(0)
    return Product(
        asin=asin,
        kind=kind,
        title=title,
        brand=brand,
        category=category,
        images=tuple(f"https://m.media-amazon.com/images/I/{name}.jpg" for name in images),
        bullet_points=tuple(dict.fromkeys(points)),
        description=f"{title}。{points[0]}{points[-1]}",
        price_jpy=state.price_jpy,
        sold_out=state.sold_out,
        offers=() if state.sold_out else offers_of(asin, kind, state.price_jpy, seed),
        sales_rank=1 + draw(200_000, seed, asin, "rank"),
        child_asins=tuple(_asin(number, draw(2**32, seed, asin)) for number in children),
    )
