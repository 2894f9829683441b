"""Products as Amazon's Catalog Items API 2022-04-01 tells them."""

from ecauto_pipeline.sandbox.amazon.products import Kind, Product
from ecauto_pipeline.sandbox.draw import draw
from ecauto_pipeline.sandbox.wire import JsonObject

MARKETPLACE = "A1VC38T7YXB528"

PARTS = (
    "attributes",
    "classifications",
    "dimensions",
    "identifiers",
    "images",
    "productTypes",
    "relationships",
    "salesRanks",
    "summaries",
    "vendorDetails",
)
"""What includedData may name."""

# Amazon links each picture in several sizes, the large one without a suffix.
IMAGE_SIZES = (1500, 500, 75)
VARIANTS = ("MAIN", "PT01", "PT02", "PT03", "PT04", "PT05")


def catalog_item(product: Product, included: tuple[str, ...]) -> JsonObject:
    """An Item with the parts asked for."""
    by_marketplace = {**_in_the_tree(product), **_of_itself(product)}
    # Everything but the attributes is a list with an element for each marketplace.
    parts: JsonObject = {
        part: [{"marketplaceId": MARKETPLACE, **told}] for part, told in by_marketplace.items()
    }
    list_price = {"currency": "JPY", "value": product.price_jpy * 11 // 10}
    parts["attributes"] = {
        "item_name": [_text(product.title)],
        "brand": [_text(product.brand)],
        "bullet_point": [_text(point) for point in product.bullet_points],
        "product_description": [_text(product.description)],
        # What the maker recommends; Amazon's own price is in no part of the catalog.
        "list_price": [{**list_price, "marketplace_id": MARKETPLACE}],
    }
    return {"asin": product.asin, **{part: parts[part] for part in included}}


def _text(value: str) -> JsonObject:
    return {"value": value, "language_tag": "ja_JP", "marketplace_id": MARKETPLACE}


def _in_the_tree(product: Product) -> dict[str, JsonObject]:
    """The parts that say where a product stands in Amazon's tree of categories."""
    root, (name, number) = product.category.path[0][0], product.category.path[-1]
    node: JsonObject = {}
    for its_name, its_number in product.category.path:
        parent: JsonObject = {"parent": node} if node else {}
        node = {"displayName": its_name, "classificationId": its_number, **parent}
    group = {
        "websiteDisplayGroup": product.category.display_group,
        "title": root,
        "rank": product.sales_rank,
    }
    leaf = {"classificationId": number, "title": name, "rank": 1 + product.sales_rank // 40}
    return {
        "classifications": {"classifications": [node]},
        "productTypes": {"productType": product.category.product_type},
        "salesRanks": {"classificationRanks": [leaf], "displayGroupRanks": [group]},
        "vendorDetails": {"productGroup": root},
    }


def _of_itself(product: Product) -> dict[str, JsonObject]:
    """The parts about the product and its pictures."""
    name, number = product.category.path[-1]
    parent = product.kind is Kind.VARIATION_PARENT
    item: JsonObject = {
        side: {"unit": "centimeters", "value": 2.0 + draw(400, product.asin, side) / 10}
        for side in ("height", "length", "width")
    }
    item["weight"] = {"unit": "grams", "value": 20.0 + draw(3000, product.asin, "weight")}
    ean = f"49{draw(10**11, product.asin, 'ean'):011d}"
    images = [
        {
            "variant": variant,
            "link": link if size == IMAGE_SIZES[0] else link.replace(".jpg", f"._SL{size}_.jpg"),
            "height": size,
            "width": size,
        }
        for variant, link in zip(VARIANTS, product.images, strict=False)
        for size in IMAGE_SIZES
    ]
    family = {
        "type": "VARIATION",
        "childAsins": list(product.child_asins),
        "variationTheme": {"attributes": ["color"], "theme": "COLOR"},
    }
    return {
        "dimensions": {"item": item, "package": item},
        "identifiers": {"identifiers": [{"identifier": ean, "identifierType": "EAN"}]},
        "images": {"images": images},
        "relationships": {"relationships": [family] if parent else []},
        "summaries": {
            "adultProduct": False,
            "autographed": False,
            "brand": product.brand,
            "browseClassification": {"displayName": name, "classificationId": number},
            "itemClassification": "VARIATION_PARENT" if parent else "BASE_PRODUCT",
            "itemName": product.title,
            "manufacturer": product.brand,
            "memorabilia": False,
            "packageQuantity": 1,
            "tradeInEligible": False,
            "websiteDisplayGroup": product.category.display_group,
            "websiteDisplayGroupName": product.category.path[0][0],
        },
    }
