"""Amazon's answers against Amazon's own models, where they are at hand."""

import json
from typing import Any

import pytest
from jsonschema import Draft4Validator

from ecauto_pipeline.sandbox.amazon.catalog import PARTS
from ecauto_pipeline.sandbox.amazon.world import World
from ecauto_pipeline_tests.places import CONTRACTS
from ecauto_pipeline_tests.sandbox.callers import AmazonCaller

MODELS = CONTRACTS / "amazon"
CATALOG = "catalogItems_2022-04-01.json"
PRICING = "productPricingV0.json"

pytestmark = pytest.mark.skipif(not MODELS.is_dir(), reason="the models are not at hand")


def closed(schema: Any) -> Any:
    """The schema with no properties but those it names."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(schema, dict):
        return schema
    copy: dict[str, Any] = {key: closed(value) for key, value in schema.items()}  # pyright: ignore[reportUnknownVariableType]
    if "properties" in copy and "allOf" not in copy:
        copy.setdefault("additionalProperties", False)
    return copy


def validator(model: str, definition: str) -> Draft4Validator:
    document = json.loads((MODELS / model).read_text("utf-8"))
    definitions = document["definitions"]
    for name, schema in definitions.items():
        if "allOf" in schema:
            definitions[name] = merged(schema, definitions)
    closed_definitions = closed(definitions)
    root = {"$ref": f"#/definitions/{definition}", "definitions": closed_definitions}
    return Draft4Validator(root)


def merged(schema: Any, definitions: Any) -> Any:
    """An allOf as one object, so that it can be closed."""
    whole: dict[str, Any] = {"type": "object", "properties": {}, "required": []}
    for part in schema["allOf"]:
        full = definitions[part["$ref"].rpartition("/")[2]] if "$ref" in part else part
        whole["properties"] |= full.get("properties", {})
        whole["required"] += full.get("required", [])
    return whole if whole["required"] else {key: whole[key] for key in ("type", "properties")}


def faults(model: str, definition: str, document: Any) -> list[str]:
    return [
        f"{list(error.absolute_path)}: {error.message}"
        for error in validator(model, definition).iter_errors(document)
    ]


def test_catalog_answers_fit_the_model(world: World, amazon: AmazonCaller) -> None:
    every = ",".join(PARTS)
    found = amazon.search(world.asins[:20], pageSize="20", includedData=every).json()
    assert faults(CATALOG, "ItemSearchResults", found) == []
    paged = amazon.search(world.asins[:20]).json()
    assert faults(CATALOG, "ItemSearchResults", paged) == []
    assert faults(CATALOG, "Item", amazon.item(world.asins[0], includedData=every).json()) == []
    assert faults(CATALOG, "ErrorList", amazon.item("B0NOWHERE1").json()) == []


def test_competitive_prices_fit_the_model(world: World, amazon: AmazonCaller) -> None:
    for start in (0, 20):
        body = amazon.competitive(world.asins[start : start + 20]).json()
        assert faults(PRICING, "GetPricingResponse", body) == []


def test_offers_fit_the_model(world: World, amazon: AmazonCaller) -> None:
    for start in (0, 20):
        body = amazon.batch(world.asins[start : start + 20]).json()
        assert faults(PRICING, "GetItemOffersBatchResponse", body) == []
    single = amazon.offers(world.asins[0], "Used").json()
    assert faults(PRICING, "GetOffersResponse", single) == []
    assert faults(PRICING, "Errors", amazon.offers("wrong").json()) == []


def test_the_check_would_find_a_wrong_key(world: World, amazon: AmazonCaller) -> None:
    body = amazon.batch(world.asins[:1]).json()
    body["responses"][0]["body"]["payload"]["Offers"][0]["Sellerid"] = "A1"
    assert faults(PRICING, "GetItemOffersBatchResponse", body)
