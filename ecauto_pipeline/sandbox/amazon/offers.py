"""The offers a product has: one recipe for each kind."""

from dataclasses import replace

from ecauto_pipeline.sandbox.amazon.products import AMAZON_JP_SELLER, Kind, Offer
from ecauto_pipeline.sandbox.draw import draw, token

OTHER_PRICE = 110
"""How dear, in per cent, the offer is that ships now while the buy box does not."""


def offers_of(asin: str, kind: Kind, price: int, seed: int) -> tuple[Offer, ...]:
    """The offers of a product that is not sold out."""
    first, *others = _new_offers(asin, price, seed)
    used = Offer(_seller(asin, seed, 99), "used", price * 6 // 10, shipping=350)
    late = [replace(each, availability="FUTURE_WITH_DATE") for each in (first, *others)]
    match kind:
        case Kind.VARIATION_PARENT | Kind.NOT_FOUND:
            offers = []
        case Kind.SOLE_SELLER:
            offers = [replace(first, points=0)]
        case Kind.USED_ONLY:
            offers = [used]
        case Kind.FUTURE:
            offers = late
        case Kind.FUTURE_BUY_BOX:
            ships_now = Offer(_seller(asin, seed, 9), "new", price * OTHER_PRICE // 100)
            offers = [late[0], ships_now]
        case Kind.SHIPPING:
            fee, points = 350 + 10 * draw(20, seed, asin, "fee"), price // 100
            seller = _seller(asin, seed, 8)
            offers = [Offer(seller, "new", price, fee, points, buy_box=True), *others]
        case _:
            offers = [first, *others, *([used] if draw(3, seed, asin, "used") == 0 else [])]
    return tuple(offers)


def _new_offers(asin: str, price: int, seed: int) -> list[Offer]:
    """Several sellers; the buy box first, others dearer or, now and then, a little cheaper."""
    amazon_sells = draw(2, seed, asin, "amazon") == 0
    winner = Offer(
        seller_id=AMAZON_JP_SELLER if amazon_sells else _seller(asin, seed, 0),
        condition="new",
        listing_price=price,
        points=price // 100 if draw(3, seed, asin, "points") == 0 else 0,
        # Fulfilled by Amazon does not mean sold by Amazon: other sellers' stock lies there too.
        fulfilled_by_amazon=amazon_sells or draw(2, seed, asin, "fba") == 0,
        buy_box=True,
    )
    offers = [winner]
    for number in range(1, 2 + draw(4, seed, asin, "offers")):
        by_amazon = draw(2, seed, asin, "rival fba", number) == 0
        rival = Offer(
            seller_id=_seller(asin, seed, number),
            condition="new",
            listing_price=price * (97 + draw(30, seed, asin, "rival", number)) // 100,
            shipping=0 if by_amazon else 100 * draw(6, seed, asin, "rival fee", number),
            availability="NOW" if draw(10, seed, asin, "late", number) else "FUTURE_WITHOUT_DATE",
            fulfilled_by_amazon=by_amazon,
        )
        offers.append(rival)
    return offers


def _seller(asin: str, seed: int, number: int) -> str:
    return "A" + token(13, seed, asin, "seller", number).upper()
