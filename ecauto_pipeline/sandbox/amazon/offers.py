"""The offers a product has: one recipe for each kind."""

from dataclasses import replace

from ecauto_pipeline.sandbox.amazon.products import AMAZON_JP_SELLER, Kind, Offer
from ecauto_pipeline.sandbox.draw import draw, token

OTHER_PRICE = 110
"""How dear, in per cent, the offer is that ships now while the buy box does not."""


def offers_of(asin: str, kind: Kind, price: int, seed: int) -> tuple[Offer, ...]:
    """The offers of a product that is not sold out."""
    first, *others = _new_offers(asin, price, seed)
    match kind:
        case Kind.VARIATION_PARENT | Kind.NOT_FOUND:
            return ()
        case Kind.SOLE_SELLER:
            return (replace(first, points=0),)
        case Kind.USED_ONLY:
            return (_used(asin, price, seed),)
        case Kind.FUTURE | Kind.FUTURE_BUY_BOX:
            return _late(asin, kind, price, seed)
        case Kind.SHIPPING:
            return (_with_fee(asin, price, seed), *others)
        case _:
            return (first, *others, *_used_offers(asin, price, seed))


def _late(asin: str, kind: Kind, price: int, seed: int) -> tuple[Offer, ...]:
    """Offers that do not ship now, but for one beside a late buy box."""
    first, *others = (
        replace(offer, availability="FUTURE_WITH_DATE") for offer in _new_offers(asin, price, seed)
    )
    if kind is Kind.FUTURE:
        return (first, *others)
    return (first, _merchant(asin, price * OTHER_PRICE // 100, seed, 9))


def _with_fee(asin: str, price: int, seed: int) -> Offer:
    fee = 350 + 10 * draw(20, seed, asin, "fee")
    merchant = _merchant(asin, price, seed, 8)
    return replace(merchant, shipping=fee, points=price // 100, buy_box=True)


def _new_offers(asin: str, price: int, seed: int) -> list[Offer]:
    """Several sellers; the buy box first, others dearer or, now and then, a little cheaper."""
    amazon_sells = draw(2, seed, asin, "amazon") == 0
    winner = Offer(
        seller_id=AMAZON_JP_SELLER if amazon_sells else _seller(asin, seed, 0),
        condition="new",
        listing_price=price,
        points=price // 100 if draw(3, seed, asin, "points") == 0 else 0,
        fulfilled_by_amazon=amazon_sells or draw(2, seed, asin, "fba") == 0,
        buy_box=True,
    )
    count = 2 + draw(4, seed, asin, "offers")
    return [winner, *(_rival(asin, price, seed, number) for number in range(1, count))]


def _rival(asin: str, price: int, seed: int, number: int) -> Offer:
    by_amazon = draw(2, seed, asin, "rival fba", number) == 0
    return Offer(
        seller_id=_seller(asin, seed, number),
        condition="new",
        listing_price=price * (97 + draw(30, seed, asin, "rival", number)) // 100,
        shipping=0 if by_amazon else 100 * draw(6, seed, asin, "rival fee", number),
        availability="NOW" if draw(10, seed, asin, "late", number) else "FUTURE_WITHOUT_DATE",
        fulfilled_by_amazon=by_amazon,
    )


def _merchant(asin: str, price: int, seed: int, number: int) -> Offer:
    return Offer(seller_id=_seller(asin, seed, number), condition="new", listing_price=price)


def _used_offers(asin: str, price: int, seed: int) -> tuple[Offer, ...]:
    return (_used(asin, price, seed),) if draw(3, seed, asin, "used") == 0 else ()


def _used(asin: str, price: int, seed: int) -> Offer:
    return Offer(
        seller_id=_seller(asin, seed, 99),
        condition="used",
        listing_price=price * 6 // 10,
        shipping=350,
    )


def _seller(asin: str, seed: int, number: int) -> str:
    return "A" + token(13, seed, asin, "seller", number).upper()
