"""BASE's items: read from a form, and told as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, replace

from ecauto_pipeline.sandbox.base_shop.auth import Refused
from ecauto_pipeline.sandbox.base_shop.state import Item, Variation
from ecauto_pipeline.sandbox.draw import token
from ecauto_pipeline.sandbox.wire import JsonObject

# Where BASE's images lie: as they came, and resized.
ORIGIN_HOST = "https://base-ec2.akamaized.net"
RESIZED_HOST = "https://baseec-img-mng.akamaized.net"
SIZES = ("origin", "76", "146", "300", "500", "640", "sp_480", "sp_640")
MOST_IMAGES = 20
DEFAULT_IMAGES = 5
LAST_OF_PLANE = 0xFFFF
"""Characters beyond take four bytes in UTF-8, which BASE cannot keep."""

# It never says which field is wrong.
VALIDATION_ERROR = ("validation_error", "バリデーションエラーです。")


def whole(form: Mapping[str, str], name: str, default: int) -> int:
    """A whole number of a form that is not negative.

    Raises:
        Refused: it is something else.
    """
    value = form.get(name)
    if value is None:
        return default
    if not value.isdecimal():
        raise Refused(*VALIDATION_ERROR)
    return int(value)


def item_from(form: Mapping[str, str], now: int) -> Item:
    """The new item a form describes.

    Raises:
        Refused: something required is missing, or something is not valid.
    """
    if not {"title", "price", "stock"} <= form.keys():
        raise Refused(*VALIDATION_ERROR)
    blank = Item(title="", price=0, stock=0, created=now)
    return edited(blank, form, now)


def edited(item: Item, form: Mapping[str, str], now: int) -> Item:
    """The item with what a form says of it.

    Raises:
        Refused: something is not valid.
    """
    variations = _variations(item, form)
    # Of an item with variations the stock is theirs, whatever the form says.
    stock = whole(form, "stock", item.stock)
    changed = replace(
        item,
        title=form.get("title", item.title),
        detail=form.get("detail", item.detail),
        price=whole(form, "price", item.price),
        item_tax_type=whole(form, "item_tax_type", item.item_tax_type),
        stock=sum(each.variation_stock for each in variations) if variations else stock,
        visible=whole(form, "visible", item.visible),
        list_order=whole(form, "list_order", item.list_order),
        identifier=form.get("identifier", item.identifier),
        modified=now,
        variations=variations,
    )
    refused_signs = any(ord(sign) > LAST_OF_PLANE for sign in changed.title + changed.detail)
    if not changed.title.strip() or refused_signs or changed.price < 1:
        raise Refused(*VALIDATION_ERROR)
    if changed.visible not in {0, 1} or changed.item_tax_type not in {1, 2}:
        raise Refused(*VALIDATION_ERROR)
    return changed


def _variations(item: Item, form: Mapping[str, str]) -> tuple[Variation, ...]:
    """Those that were there, changed where the form names their id, and the form's new ones."""
    known = {each.variation_id: each for each in item.variations}
    number = 0
    while f"variation[{number}]" in form:
        # An empty id asks for a new variation, as a missing one does.
        given = form.get(f"variation_id[{number}]")
        variation = Variation(
            whole(form, f"variation_id[{number}]", 0) if given else len(known) + 1,
            form[f"variation[{number}]"],
            whole(form, f"variation_stock[{number}]", 0),
            form.get(f"variation_identifier[{number}]"),
        )
        if given and variation.variation_id not in known:
            raise Refused("bad_variation_id", "不正なvariation_idです。")
        known[variation.variation_id] = variation
        number += 1
    return tuple(known.values())


def item_json(item: Item, images: JsonObject) -> JsonObject:
    """An item with its image keys."""
    return {
        "item_id": item.item_id,
        "title": item.title,
        "detail": item.detail,
        "price": item.price,
        "proper_price": None,
        "item_tax_type": item.item_tax_type,
        "stock": item.stock,
        "visible": item.visible,
        "list_order": item.list_order,
        "identifier": item.identifier,
        "modified": item.modified,
        **images,
        "variations": [{**asdict(each), "barcode": None} for each in item.variations],
        "options": [],
    }


def used_images(item: Item, sizes: tuple[str, ...], most: int) -> JsonObject:
    """The image keys of a read answer: unused slots are absent."""
    return {
        f"img{number}_{size}": _image_link(item.item_id, url, size)
        for number, url in sorted(item.images.items())
        if number <= most
        for size in sizes
    }


def all_images(item: Item) -> JsonObject:
    """The image keys of a write answer: five slots at least, other sizes appear only later."""
    slots = range(1, max([DEFAULT_IMAGES, *item.images]) + 1)
    return {
        f"img{slot}_{size}": _image_link(item.item_id, item.images[slot], size)
        if slot in item.images and size == SIZES[0]
        else None
        for slot in slots
        for size in SIZES
    }


def _image_link(item_id: int, url: str, size: str) -> str:
    host = ORIGIN_HOST if size == SIZES[0] else RESIZED_HOST
    folder = size.replace("_", "/")
    return f"{host}/images/item/{folder}/{token(32, item_id, url)}.jpg"
