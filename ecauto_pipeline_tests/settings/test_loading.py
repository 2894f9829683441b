"""Where settings come from, and what is said about those that are wrong."""

import dataclasses
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from dotenv import dotenv_values
from pydantic.fields import FieldInfo

from ecauto_pipeline.domain.amazon.freshness import RefreshRules, Ttl
from ecauto_pipeline.domain.shopify.mirror import Transport
from ecauto_pipeline.domain.shops.changes import Breaker
from ecauto_pipeline.domain.shops.pricing import PriceRule
from ecauto_pipeline.domain.uploads.rules import UploadRules
from ecauto_pipeline.errors import Misconfigured
from ecauto_pipeline.settings.amazon import PUBLISHED_RATES, Rate, RefreshSettings, TtlSettings
from ecauto_pipeline.settings.base_shop import (
    BandSettings,
    BaseAccount,
    BreakerSettings,
    PricingSettings,
)
from ecauto_pipeline.settings.environment import dagster_home
from ecauto_pipeline.settings.loading import Settings, has_credentials, load_settings
from ecauto_pipeline.settings.shopify import ShopifyStore
from ecauto_pipeline.settings.uploads import UploadSettings
from ecauto_pipeline.settings.value_types import is_loopback
from ecauto_pipeline_tests.places import PROJECT

CANARY = "canary-4711"
SANDBOX = "http://127.0.0.1:8765"
STORE = '{"id": "a", "shop_domain": "a.myshopify.com", "access_token": "x"}'
ENDPOINTS = ("ECAUTO_AMAZON__ENDPOINT", "ECAUTO_AMAZON__LWA_ENDPOINT", "ECAUTO_BASE__ENDPOINT")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in, and no settings."""
    for name in (*settings_names(), "DAGSTER_HOME", "REFRESH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_toml(folder: Path, text: str) -> None:
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data/ecauto.toml").write_text(text, encoding="utf-8")


def test_the_defaults_need_nothing() -> None:
    settings = load_settings()
    assert settings.database == "sqlite:///data/master.db"
    assert settings.timezone == settings.zone.key == "Asia/Tokyo"
    assert settings.amazon.endpoint == "https://sellingpartnerapi-fe.amazon.com"
    assert settings.amazon.lwa_endpoint == "https://api.amazon.com"
    assert settings.amazon.marketplace_id == "A1VC38T7YXB528"
    assert settings.amazon.buy_from == "any"
    assert settings.base.endpoint == "https://api.thebase.in"
    assert (settings.pricing.markup, settings.pricing.min_difference_jpy) == (Decimal("1.3"), 100)
    ttl = settings.ttl
    assert (ttl.catalog, ttl.classification) == (timedelta(days=7), timedelta(days=30))
    assert (ttl.price, ttl.stock) == (timedelta(hours=24), timedelta(hours=1))
    assert (settings.breaker.max_hidden_share, settings.breaker.max_repriced_share) == (0.2, 0.5)
    assert settings.refresh.policy == "ttl"
    assert not has_credentials()


@pytest.mark.parametrize(
    ("table", "record"),
    [
        (PricingSettings, PriceRule),
        (TtlSettings, Ttl),
        (BreakerSettings, Breaker),
        (RefreshSettings, RefreshRules),
        (UploadSettings, UploadRules),
    ],
)
def test_a_table_is_the_domains_record_with_its_defaults(
    table: Callable[[], Any], record: Callable[[], Any]
) -> None:
    assert isinstance(table(), type(record()))
    assert dataclasses.asdict(table()) == dataclasses.asdict(record())


def test_the_environment_wins_over_dotenv_over_toml_over_the_default(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_settings().pricing.floor_jpy == 50
    write_toml(folder, "[pricing]\nfloor_jpy = 1\nmin_difference_jpy = 1\nround_to = 1\nmarkup = 2")
    (folder / ".env").write_text(
        "ECAUTO_PRICING__FLOOR_JPY=2\nECAUTO_PRICING__MIN_DIFFERENCE_JPY=2\n"
    )
    monkeypatch.setenv("ECAUTO_PRICING__FLOOR_JPY", "3")
    pricing = load_settings().pricing
    assert (pricing.floor_jpy, pricing.min_difference_jpy, pricing.markup) == (3, 2, 2)
    assert pricing.ceiling_jpy == 500_000


def test_toml_is_read_from_the_data_folder_that_dotenv_names(folder: Path) -> None:
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere/ecauto.toml").write_text("rate_multiplier = 1\ntimezone = 'UTC'")
    (folder / ".env").write_text("ECAUTO_DATA_DIR=elsewhere\n")
    assert load_settings().timezone == "UTC"
    assert load_settings().database == "sqlite:///elsewhere/master.db"
    assert dagster_home() == folder / "elsewhere/dagster_home"


def test_an_empty_variable_is_as_good_as_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / ".env").write_text("ECAUTO_DATA_DIR=elsewhere\nDAGSTER_HOME=home\n")
    for name in settings_names():
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("DAGSTER_HOME", "")
    assert load_settings() == load_settings(data_dir=Path("elsewhere"))
    assert dagster_home() == folder / "home"


def test_the_name_of_version_1_is_read_too_and_the_environment_wins(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFRESH_TOKEN", "old name")
    assert load_settings().sp_api_refresh_token.get_secret_value() == "old name"
    (folder / ".env").write_text("SP_API_REFRESH_TOKEN=dotenv\n")
    assert load_settings().sp_api_refresh_token.get_secret_value() == "old name"
    monkeypatch.setenv("SP_API_REFRESH_TOKEN", "new name")
    assert load_settings().sp_api_refresh_token.get_secret_value() == "new name"


@pytest.mark.parametrize("name", ["SP_API_REFRESH_TOKEN", "LWA_APP_ID", "LWA_CLIENT_SECRET"])
def test_one_credential_is_enough_to_want_the_real_shops(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "x")
    assert has_credentials()


@pytest.mark.parametrize(
    ("given", "transport"), [("auto", None), ("rest", Transport.REST), ("bulk", Transport.BULK)]
)
def test_a_store_is_read_as_the_flow_thinks_best_unless_told(
    given: str, transport: Transport | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = [json.loads(STORE), {**json.loads(STORE), "id": "b", "transport": given}]
    monkeypatch.setenv("ECAUTO_SHOPIFY__STORES", json.dumps(stores))
    assert [each.transport for each in load_settings().shopify.stores] == [None, transport]


def test_a_shopify_store_is_a_credential_too(monkeypatch: pytest.MonkeyPatch) -> None:
    store = {"id": "a", "shop_domain": "a.myshopify.com", "access_token": CANARY}
    monkeypatch.setenv("ECAUTO_SHOPIFY__STORES", json.dumps([store]))
    assert has_credentials()
    assert not load_settings().reads_amazon
    assert CANARY not in repr(load_settings())
    assert CANARY in load_settings().secrets()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("1.5h", 5400), (" 7 d ", 604_800)],
)
def test_a_duration_has_a_unit(text: str, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECAUTO_TTL__STOCK", text)
    assert load_settings().ttl.stock.total_seconds() == seconds


def test_rates_are_merged_with_the_published_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = {"getItemOffers": {"per_second": 5, "burst": 10}}
    monkeypatch.setenv("ECAUTO_AMAZON__RATES", json.dumps(rates))
    assert load_settings().amazon.rates == PUBLISHED_RATES | {
        "getItemOffers": Rate(per_second=5, burst=10)
    }


@pytest.mark.parametrize(
    ("endpoint", "home"),
    [
        ("http://127.0.0.1:80", True),
        ("http://127.8.9.1", True),
        ("http://[::1]:8765", True),
        ("http://localhost:8765", True),
        ("http://127.0.0.1.example.com", False),
        ("http://127.0.0.1@example.com", False),
        ("http://192.168.0.1", False),
        ("http://0.0.0.0", False),
    ],
)
def test_plain_http_stays_on_this_machine(
    endpoint: str,
    *,
    home: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert is_loopback(endpoint) is home
    monkeypatch.setenv("ECAUTO_BASE__ENDPOINT", f"{endpoint}/")
    if home:
        assert load_settings().base.endpoint == endpoint
    else:
        with pytest.raises(Misconfigured, match=r"^ECAUTO_BASE__ENDPOINT: .* must be https$"):
            load_settings()


def test_the_multiplier_is_for_this_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECAUTO_RATE_MULTIPLIER", "20")
    for missing in ENDPOINTS:
        for name in ENDPOINTS:
            monkeypatch.setenv(name, SANDBOX)
        assert load_settings().rate_multiplier == 20
        monkeypatch.setenv(missing, f"https://{CANARY}.example.com")
        with pytest.raises(Misconfigured, match=f"ECAUTO_RATE_MULTIPLIER .*; {missing}") as raised:
            load_settings()
        assert CANARY not in str(raised.value)


WRONG = {
    "ECAUTO_DATABASE_URL": CANARY,
    "ECAUTO_DAGSTER_POSTGRES_URL": f"sqlite:///{CANARY}",
    "ECAUTO_TIMEZONE": CANARY,
    "ECAUTO_RATE_MULTIPLIER": CANARY,
    "ECAUTO_AMAZON__ENDPOINT": CANARY,
    "ECAUTO_AMAZON__LWA_ENDPOINT": f"http://{CANARY}",
    "ECAUTO_AMAZON__RATES": f'{{"getItemOffers": "{CANARY}"}}',
    "ECAUTO_AMAZON__BUY_FROM": CANARY,
    "ECAUTO_AMAZON__SELLER_IDS": CANARY,
    "ECAUTO_BASE__ENDPOINT": f"ftp://{CANARY}",
    "ECAUTO_BASE__TIMEOUT": CANARY,
    "ECAUTO_BASE__ACCOUNTS": f'[{{"id": "{CANARY}"',
    "ECAUTO_SHOPIFY__TIMEOUT": CANARY,
    "ECAUTO_SHOPIFY__STORES": f'[{{"id": "{CANARY}"',
    "ECAUTO_PRICING__MARKUP": CANARY,
    "ECAUTO_PRICING__MIN_DIFFERENCE_JPY": CANARY,
    "ECAUTO_PRICING__ROUND_TO": CANARY,
    "ECAUTO_PRICING__BANDS": f'[{{"markup": "{CANARY}"}}]',
    "ECAUTO_PRICING__FLOOR_JPY": CANARY,
    "ECAUTO_PRICING__CEILING_JPY": CANARY,
    "ECAUTO_UPLOAD__FROM_HOUR": CANARY,
    "ECAUTO_UPLOAD__TO_HOUR": CANARY,
    "ECAUTO_UPLOAD__MAX_RETRIES": CANARY,
    "ECAUTO_UPLOAD__LEASE": CANARY,
    "ECAUTO_UPLOAD__LATE_APPLY": CANARY,
    "ECAUTO_UPLOAD__VISIBILITY_LAG": CANARY,
    "ECAUTO_UPLOAD__LOOK_AGAIN_AFTER": f'["{CANARY}"]',
    "ECAUTO_TTL__CATALOG": CANARY,
    "ECAUTO_TTL__CLASSIFICATION": CANARY,
    "ECAUTO_TTL__PRICE": CANARY,
    "ECAUTO_TTL__STOCK": CANARY,
    "ECAUTO_BREAKER__MAX_HIDDEN_SHARE": CANARY,
    "ECAUTO_BREAKER__MAX_REPRICED_SHARE": CANARY,
    "ECAUTO_REFRESH__POLICY": CANARY,
    "ECAUTO_REFRESH__TIME_BUDGET": CANARY,
    "ECAUTO_REFRESH__RECHECK_BUDGET": CANARY,
    "ECAUTO_REFRESH__HOT_DAYS": CANARY,
    "ECAUTO_REFRESH__WARM_DAYS": CANARY,
}
ANYTHING_GOES = {
    "ECAUTO_DATA_DIR",
    "ECAUTO_SECRET_KEY",
    "ECAUTO_AMAZON__MARKETPLACE_ID",
    "SP_API_REFRESH_TOKEN",
    "LWA_APP_ID",
    "LWA_CLIENT_SECRET",
}


def test_every_setting_has_a_wrong_value_here() -> None:
    assert WRONG.keys() == set(settings_names()) - ANYTHING_GOES


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("source", ["environment", "dotenv"])
def test_a_wrong_value_is_named_and_not_shown(
    name: str, source: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if source == "environment":
        monkeypatch.setenv(name, WRONG[name])
    else:
        (folder / ".env").write_text(f"{name}='{WRONG[name]}'\n")
    with pytest.raises(Misconfigured) as raised:
        load_settings()
    message = str(raised.value)
    assert re.match(rf"{name}(__\w+)*: ", message), message
    assert CANARY not in message.lower()
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ECAUTO_TTL__STOCK", "0h", "greater than"),
        ("ECAUTO_TTL__STOCK", "5", "a duration like 90s, 30m, 24h or 7d is wanted"),
        ("ECAUTO_BREAKER__MAX_HIDDEN_SHARE", "1.5", "less than or equal to 1"),
        ("ECAUTO_PRICING__MARKUP", "0", "greater than 0"),
        ("ECAUTO_PRICING", '{"floor_jpy": 9, "ceiling_jpy": 8}', "floor_jpy is above ceiling_jpy"),
        ("ECAUTO_AMAZON__RATES", '{"x": {"per_second": 1, "burst": 1}}', "no such operation: x"),
        ("ECAUTO_AMAZON__RATES", '{"getItemOffers": {"per_second": 1}}', "Field required"),
        ("ECAUTO_DATABASE_URL", "postgresql://u:p@h:port/db", "an address like sqlite"),
        ("ECAUTO_BASE__ACCOUNTS", "{}", "valid tuple"),
        ("ECAUTO_BASE__ACCOUNTS", "[1]", "valid dictionary"),
        ("ECAUTO_BASE__ACCOUNTS", '[{"name": "x"}]', "Field required"),
        ("ECAUTO_BASE__ACCOUNTS", '[{"id": "a b"}]', "should match pattern"),
        ("ECAUTO_BASE__ACCOUNTS", '[{"id": "a", "secret": 1}]', "Extra inputs"),
        ("ECAUTO_BASE__ACCOUNTS", '[{"id": "a"}, {"id": "a"}]', "two accounts have the id a"),
        ("ECAUTO_BASE__ACCOUNTS", '[{"id": "a", "calls_per_hour": 5001}]', "less than or equal"),
        ("ECAUTO_SHOPIFY__STORES", '[{"id": "a"}]', "Field required"),
        ("ECAUTO_SHOPIFY__STORES", '[{"id": "a", "shop_domain": "a.b"}]', "access_token, or"),
        ("ECAUTO_SHOPIFY__STORES", f'[{STORE[:-1]}, "transport": "mail"}}]', "auto, graphql, rest"),
    ],
)
def test_a_message_says_what_is_wanted(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(Misconfigured, match=rf"^{name}.*: .*{re.escape(said)}"):
        load_settings()


@pytest.mark.parametrize(
    "bands",
    [
        '[{"markup": 2}, {"up_to_jpy": 9, "markup": 3}]',
        '[{"up_to_jpy": 9, "markup": 2}, {"up_to_jpy": 9, "markup": 3}]',
        '[{"up_to_jpy": 9, "markup": 2}, {"up_to_jpy": 8, "markup": 3}]',
    ],
)
def test_bands_must_rise(bands: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECAUTO_PRICING__BANDS", bands)
    with pytest.raises(Misconfigured, match=r"^ECAUTO_PRICING: bands: up_to_jpy must rise"):
        load_settings()


def test_a_toml_file_that_is_none_is_named(folder: Path) -> None:
    write_toml(folder, f'[pricing]\nmarkup = "{CANARY}\n')
    with pytest.raises(Misconfigured, match=r"^data/ecauto.toml: .* line 2") as raised:
        load_settings()
    assert CANARY not in str(raised.value)


def test_a_slip_in_a_name_is_noticed(folder: Path) -> None:
    write_toml(folder, "[pricing]\nmarkpu = 2")
    with pytest.raises(Misconfigured, match=r"^ECAUTO_PRICING__MARKPU: "):
        load_settings()


def test_no_secret_shows_in_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SP_API_REFRESH_TOKEN", "LWA_CLIENT_SECRET", "ECAUTO_SECRET_KEY"):
        monkeypatch.setenv(name, CANARY)
    account = {"id": "a", "client_secret": CANARY, "refresh_token": CANARY}
    monkeypatch.setenv("ECAUTO_BASE__ACCOUNTS", json.dumps([account]))
    settings = load_settings()
    assert settings.base.accounts[0].client_secret.get_secret_value() == CANARY
    assert CANARY not in repr(settings)
    assert CANARY not in settings.model_dump_json()


def leaves(table: Any, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every setting."""
    for name, field in fields_of(table).items():
        if fields_of(field.annotation):
            yield from leaves(field.annotation, (*prefix, name))
        else:
            yield (*prefix, name)


def fields_of(table: Any) -> dict[str, FieldInfo]:
    """The fields of a table of settings; a plain value has none."""
    return getattr(table, "__pydantic_fields__", {})


def variable(path: tuple[str, ...]) -> str:
    plain = len(path) == 1 and path[0].startswith(("sp_api_", "lwa_"))
    return "__".join(path).upper() if plain else "ECAUTO_" + "__".join(path).upper()


def settings_names() -> list[str]:
    return [variable(path) for path in leaves(Settings)]


def test_the_example_of_dotenv_lists_every_setting_and_no_secret() -> None:
    listed: Mapping[str, str | None] = dotenv_values(PROJECT / ".env.example", interpolate=False)
    assert sorted(listed) == sorted([*settings_names(), "DAGSTER_HOME"])
    assert set(listed.values()) == {""}


def test_every_setting_is_explained_with_its_default() -> None:
    text = (PROJECT / ".env.example").read_text(encoding="utf-8")
    for path in leaves(Settings):
        comment = re.search(rf"((?:^#.*\n)+){variable(path)}=", text, re.MULTILINE)
        assert comment is not None, path
        assert "Default: " in comment[1], path


def test_the_example_of_toml_is_all_comments_and_lists_every_setting() -> None:
    text = (PROJECT / "data/ecauto.example.toml").read_text(encoding="utf-8")
    assert not tomlkit.parse(text).unwrap()
    document: dict[str, Any] = tomlkit.parse(uncommented(text)).unwrap()
    for path in leaves(Settings):
        if path == ("data_dir",):  # The file is found in it.
            continue
        table: Any = document
        for name in path:
            assert name in table, path
            table = table[name]


def test_the_example_of_toml_shows_the_defaults_but_for_lists(folder: Path) -> None:
    text = uncommented((PROJECT / "data/ecauto.example.toml").read_text(encoding="utf-8"))
    write_toml(folder, text)
    shown, default = load_settings(), Settings.model_construct()
    for path in leaves(Settings):
        if path[-1] in {"accounts", "bands", "stores"}:
            continue
        assert value_at(shown, path) == value_at(default, path), path
    assert shown.base.accounts[0].id == "base_account_1"
    assert shown.shopify.stores[0].address == "https://shop-a.myshopify.com"
    assert [band.markup for band in shown.pricing.bands] == [Decimal("1.5"), Decimal("1.25")]


def value_at(settings: object, path: tuple[str, ...]) -> object:
    for name in path:
        settings = getattr(settings, name)
    return settings


@pytest.mark.parametrize("table", [BaseAccount, BandSettings, Rate, ShopifyStore])
def test_the_example_of_toml_shows_every_key_of_a_list(table: type) -> None:
    text = (PROJECT / "data/ecauto.example.toml").read_text(encoding="utf-8")
    for name in fields_of(table):
        assert re.search(rf"^# .*\b{name} = ", text, re.MULTILINE), name


def uncommented(text: str) -> str:
    """The file with its settings switched on: lines that begin with `# name =`, `# [` or `# {`."""
    switched = re.sub(r"^# ((?:\[|\{|\]|[a-zA-Z_]+ = ).*)$", r"\1", text, flags=re.MULTILINE)
    return re.sub(r"^#     (\{.*)$", r"    \1", switched, flags=re.MULTILINE)
