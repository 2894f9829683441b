"""Products as Amazon's Catalog Items API 2022-04-01 tells them."""

from collections.abc import Callable, Mapping

from ecauto_pipeline.sandbox.amazon.products import Kind, Product
from ecauto_pipeline.sandbox.draw import draw

MARKETPLACE = "A1VC38T7YXB528"

IMAGE_SIZES = (1500, 500, 75)
VARIANTS = ("MAIN", "PT01", "PT02", "PT03", "PT04", "PT05")

Json = dict[str, object]


def catalog_item(product: Product, included: tuple[str, ...]) -> Json:
    """An Item with the parts asked for."""
    return {"asin": product.asin, **{part: PARTS[part](product) for part in included}}


def _attributes(product: Product) -> Json:
    return {
        "item_name": [_text(product.title)],
        "brand": [_text(product.brand)],
        "bullet_point": [_text(point) for point in product.bullet_points],
        "product_description": [_text(product.description)],
        "list_price": [
            {
                "currency": "JPY",
                "value": product.price_jpy * 11 // 10,
                "marketplace_id": MARKETPLACE,
            }
        ],
    }


def _text(value: str) -> Json:
    return {"value": value, "language_tag": "ja_JP", "marketplace_id": MARKETPLACE}


def _classifications(product: Product) -> list[Json]:
    node: Json = {}
    for name, number in product.category.path:
        parent: Json = {"parent": node} if node else {}
        node = {"displayName": name, "classificationId": number, **parent}
    return [{"marketplaceId": MARKETPLACE, "classifications": [node]}]


def _dimensions(product: Product) -> list[Json]:
    sides = ("height", "length", "width")
    item: Json = {
        side: {"unit": "centimeters", "value": 2.0 + draw(400, product.asin, side) / 10}
        for side in sides
    }
    item["weight"] = {"unit": "grams", "value": 20.0 + draw(3000, product.asin, "weight")}
    return [{"marketplaceId": MARKETPLACE, "item": item, "package": item}]


def _identifiers(product: Product) -> list[Json]:
    ean = f"49{draw(10**11, product.asin, 'ean'):011d}"
    return [
        {
            "marketplaceId": MARKETPLACE,
            "identifiers": [{"identifier": ean, "identifierType": "EAN"}],
        }
    ]


def _images(product: Product) -> list[Json]:
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
    return [{"marketplaceId": MARKETPLACE, "images": images}]


def _product_types(product: Product) -> list[Json]:
    return [{"marketplaceId": MARKETPLACE, "productType": product.category.product_type}]


def _relationships(product: Product) -> list[Json]:
    family: list[Json] = []
    if product.kind is Kind.VARIATION_PARENT:
        family = [
            {
                "type": "VARIATION",
                "childAsins": list(product.child_asins),
                "variationTheme": {"attributes": ["color"], "theme": "COLOR"},
            }
        ]
    return [{"marketplaceId": MARKETPLACE, "relationships": family}]


def _sales_ranks(product: Product) -> list[Json]:
    name, number = product.category.path[-1]
    return [
        {
            "marketplaceId": MARKETPLACE,
            "classificationRanks": [
                {"classificationId": number, "title": name, "rank": 1 + product.sales_rank // 40}
            ],
            "displayGroupRanks": [
                {
                    "websiteDisplayGroup": product.category.display_group,
                    "title": product.category.path[0][0],
                    "rank": product.sales_rank,
                }
            ],
        }
    ]


def _summaries(product: Product) -> list[Json]:
    name, number = product.category.path[-1]
    parent = product.kind is Kind.VARIATION_PARENT
    return [
        {
            "marketplaceId": MARKETPLACE,
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
        }
    ]


def _vendor_details(product: Product) -> list[Json]:
    return [{"marketplaceId": MARKETPLACE, "productGroup": product.category.path[0][0]}]


PARTS: Mapping[str, Callable[[Product], object]] = {
    "attributes": _attributes,
    "classifications": _classifications,
    "dimensions": _dimensions,
    "identifiers": _identifiers,
    "images": _images,
    "productTypes": _product_types,
    "relationships": _relationships,
    "salesRanks": _sales_ranks,
    "summaries": _summaries,
    "vendorDetails": _vendor_details,
}
"""What includedData may name."""
