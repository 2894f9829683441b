"""v1.0's account, token and pricing files in our terms."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from ecauto_pipeline.domain.base_shop.accounts import Tokens
from ecauto_pipeline.domain.shops.accounts import Account
from ecauto_pipeline.domain.text import ID, storable
from ecauto_pipeline.domain.v1.rows import moment_from, truth_from

_MOST = 2**31

_DAILY_UPLOAD_LIMIT = 1000
"""v1.0's own default."""

_PLACEHOLDER = "YOUR_"
"""How the credentials in v1.0's example file begin."""


@dataclass(frozen=True, slots=True)
class V1Account:
    """A BASE account of v1.0, and what is to be said about it."""

    account: Account
    uploads_per_hour: int | None
    changes: tuple[str, ...]


def is_account_id(text: str) -> bool:
    """Whether an account can have that id."""
    return re.fullmatch(ID, text) is not None


def account_from(raw: Mapping[str, Any]) -> V1Account:
    """The account in an entry of account_config.json, or in a row of account_configs.

    Raises:
        ValueError: it is none; the message says why, without its values.
    """
    id_ = raw.get("id")
    if not isinstance(id_, str) or not is_account_id(id_):
        raise ValueError("has no usable id")
    credentials = _credentials(raw.get("credentials"))
    limit = _count(raw.get("daily_upload_limit"))
    account = Account(
        id=id_,
        name=_text(raw.get("name")),
        active=truth_from(raw.get("active")) is not False,
        client_id=_real(credentials.get("client_id")),
        client_secret=_real(credentials.get("client_secret")),
        redirect_uri=_text(credentials.get("redirect_uri")),
        daily_upload_limit=_DAILY_UPLOAD_LIMIT if limit is None else limit,
    )
    return V1Account(account, _count(raw.get("rate_limit_per_hour")), _changes(raw, account))


def _changes(raw: Mapping[str, Any], account: Account) -> tuple[str, ...]:
    changes: list[str] = []
    if not (account.client_id and account.client_secret):
        changes.append("has no client_id or client_secret: set them in ECAUTO_BASE__ACCOUNTS")
    if raw.get("category_filter"):
        changes.append("category_filter dropped, nothing here goes by it")
    return tuple(changes)


def tokens_from(raw: Mapping[str, Any]) -> Tokens:
    """The tokens in a token file.

    Raises:
        ValueError: there is no refresh token, without which nothing can be done.
    """
    refresh_token = _text(raw.get("refresh_token"))
    if not refresh_token:
        raise ValueError("has no refresh_token")
    return Tokens(
        access_token=_text(raw.get("access_token")),
        refresh_token=refresh_token,
        expires_at=moment_from(raw.get("expires_at")),
        obtained_at=moment_from(raw.get("obtained_at")),
        scope=_text(raw.get("scope")),
    )


def pricing_from(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The `pricing` table of ecauto.toml that says the same as v1.0's strategy for BASE.

    Raises:
        ValueError: the strategy is one that has no equal here, or is not complete.
    """
    name = _table(_table(raw, "platform_overrides"), "base").get("strategy")
    name = name or raw.get("default_strategy") or "simple_markup"
    strategy = _table(_table(raw, "strategies"), str(name))
    if name == "simple_markup":
        pricing = {"markup": _number(strategy.get("markup_ratio"), "markup_ratio")}
    elif name == "tiered_markup":
        pricing = _tiers(strategy.get("tiers"))
    else:
        raise ValueError(f"the strategy {str(name)[:40]!r} has no equal here")
    safety = _table(raw, "safety")
    optional = {
        "round_to": strategy.get("round_to", 10),
        "min_difference_jpy": strategy.get("min_price_diff"),
        "floor_jpy": safety.get("min_selling_price"),
        "ceiling_jpy": safety.get("max_selling_price"),
    }
    return pricing | {
        key: _number(value, key) for key, value in optional.items() if value is not None
    }


def _tiers(raw: object) -> dict[str, Any]:
    if not isinstance(raw, list) or not raw:
        raise ValueError("tiered_markup has no tiers")
    bands: list[dict[str, Any]] = []
    for tier in cast("list[object]", raw):
        fields = _mapping(tier, "a tier")
        band = {"markup": _number(fields.get("markup_ratio"), "markup_ratio")}
        limit = fields.get("max_price")
        bands.append(band if limit is None else {"up_to_jpy": _number(limit, "max_price")} | band)
    bands.sort(key=lambda band: band.get("up_to_jpy", float("inf")))
    # v1.0 leaves a price above the last tier at that tier's markup, too.
    return {"markup": bands[-1]["markup"], "bands": bands}


def _table(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return _mapping(raw.get(name) or {}, name)


def _mapping(raw: object, name: str) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        raise ValueError(f"{name} is not a table")  # noqa: TRY004 - callers catch one error
    return cast("Mapping[str, Any]", raw)


def _number(raw: object, name: str) -> int | float:
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise ValueError(f"{name} is not a number")  # noqa: TRY004 - callers catch one error
    whole = isinstance(raw, float) and raw.is_integer() and name != "markup_ratio"
    return int(raw) if whole else raw


def _credentials(raw: object) -> Mapping[str, Any]:
    try:
        found: object = json.loads(raw) if isinstance(raw, str) and raw else raw
    except ValueError:
        raise ValueError("has credentials that are not JSON") from None
    return _mapping(found or {}, "credentials")


def _real(raw: object) -> str:
    text = _text(raw)
    return "" if text.startswith(_PLACEHOLDER) else text


def _text(raw: object) -> str:
    return storable(raw) if isinstance(raw, str) else ""


def _count(raw: object) -> int | None:
    if not isinstance(raw, int) or isinstance(raw, bool):
        return None
    return raw if 0 <= raw < _MOST else None
