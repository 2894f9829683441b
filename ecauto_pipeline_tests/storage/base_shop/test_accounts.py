"""Accounts and tokens, in both databases."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from ecauto_pipeline.domain.base_shop.accounts import AccountState, Tokens
from ecauto_pipeline.domain.shops.accounts import Account
from ecauto_pipeline.errors import Misconfigured
from ecauto_pipeline.settings.base_shop import BaseAccount
from ecauto_pipeline.storage.base_shop.accounts import AccountStore
from ecauto_pipeline.storage.cipher import PREFIX, Cipher
from ecauto_pipeline.storage.tables import account_configs, account_tokens
from ecauto_pipeline_tests.fakes import MIDDAY, FakeClock

TOKENS = Tokens(
    access_token="access-0123456789",
    refresh_token="refresh-0123456789",
    previous_refresh_token="previous-0123456789",
    expires_at=MIDDAY + timedelta(hours=1),
    obtained_at=MIDDAY,
    scope="read_items",
    shop_id="shop-1",
)

IMPORTED = Account(
    id="one",
    name="BASE本店",
    client_id="old-id",
    client_secret="old-secret",
    redirect_uri="http://localhost:8000/callback",
    daily_upload_limit=300,
)


@pytest.fixture
def store(engine: sa.Engine, clock: FakeClock) -> AccountStore:
    return AccountStore(engine, Cipher("passphrase"), clock, "base")


def _columns(engine: sa.Engine, table: sa.Table) -> dict[str, object]:
    with engine.connect() as connection:
        return dict(connection.execute(sa.select(table)).mappings().one())


def test_there_are_no_tokens_before_the_first_use(store: AccountStore) -> None:
    assert store.tokens("one") is None


def test_tokens_are_read_as_they_were_saved(store: AccountStore) -> None:
    store.save_tokens("one", TOKENS)
    assert store.tokens("one") == TOKENS
    assert store.tokens("two") is None


def test_saving_replaces_everything(store: AccountStore) -> None:
    store.save_tokens("one", TOKENS)
    newer = replace(TOKENS, access_token="next-0123456789", previous_refresh_token="")
    store.save_tokens("one", newer)
    assert store.tokens("one") == newer


def test_tokens_and_credentials_are_encrypted_at_rest(
    engine: sa.Engine, store: AccountStore
) -> None:
    store.save_tokens("one", TOKENS)
    store.save_imported_account(IMPORTED)
    row = _columns(engine, account_tokens)
    for name in ("access_token", "refresh_token", "previous_refresh_token"):
        assert str(row[name]).startswith(PREFIX)
    assert str(_columns(engine, account_configs)["credentials"]).startswith(PREFIX)


def test_plain_tokens_are_readable_after_a_key_is_set_and_encrypted_when_written_again(
    engine: sa.Engine, store: AccountStore, clock: FakeClock
) -> None:
    AccountStore(engine, Cipher(), clock, "base").save_tokens("one", TOKENS)
    assert _columns(engine, account_tokens)["refresh_token"] == TOKENS.refresh_token
    tokens = store.tokens("one")
    assert tokens == TOKENS
    store.save_tokens("one", TOKENS)
    assert str(_columns(engine, account_tokens)["refresh_token"]).startswith(PREFIX)


def test_without_the_key_nothing_can_be_read(
    engine: sa.Engine, store: AccountStore, clock: FakeClock
) -> None:
    store.save_tokens("one", TOKENS)
    with pytest.raises(Misconfigured, match="ECAUTO_SECRET_KEY"):
        AccountStore(engine, Cipher(), clock, "base").tokens("one")


def test_the_journal_and_the_state_leave_the_tokens_alone(store: AccountStore) -> None:
    store.save_tokens("one", TOKENS)
    store.set_refresh_started("one", MIDDAY)
    store.set_state("one", AccountState.NEEDS_REAUTH, "lost")
    assert store.tokens("one") == replace(
        TOKENS,
        refresh_started_at=MIDDAY,
        state=AccountState.NEEDS_REAUTH,
        state_reason="lost",
    )
    store.set_refresh_started("one", None)
    store.set_state("one", AccountState.OK)
    assert store.tokens("one") == TOKENS


def test_a_state_can_be_noted_before_there_are_tokens(store: AccountStore) -> None:
    store.set_state("one", AccountState.RESTRICTED, "why")
    assert store.tokens("one") == Tokens(state=AccountState.RESTRICTED, state_reason="why")


def test_sqlite_writes_fast_again_after_a_durable_write(
    engine: sa.Engine, store: AccountStore
) -> None:
    store.save_tokens("one", TOKENS)
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1


def test_accounts_of_the_settings_come_first_and_then_those_taken_over(
    store: AccountStore,
) -> None:
    store.save_imported_account(IMPORTED)
    store.save_imported_account(replace(IMPORTED, id="three", active=False))
    accounts = store.accounts([BaseAccount(id="two"), BaseAccount(id="one")])
    assert [account.id for account in accounts] == ["two", "one", "three"]
    assert accounts[2] == replace(IMPORTED, id="three", active=False)


def test_the_settings_win_where_they_say_something(store: AccountStore) -> None:
    store.save_imported_account(IMPORTED)
    configured = BaseAccount(
        id="one",
        client_secret=SecretStr("new-secret"),
        refresh_token=SecretStr("seed"),
        calls_per_hour=100,
    )
    assert store.accounts([configured]) == [
        replace(IMPORTED, client_secret="new-secret", seed_refresh_token="seed", calls_per_hour=100)
    ]


def test_the_settings_win_also_with_a_value_that_is_the_default(store: AccountStore) -> None:
    store.save_imported_account(replace(IMPORTED, active=False))
    [account] = store.accounts([BaseAccount(id="one", active=True, daily_upload_limit=1000)])
    assert (account.active, account.daily_upload_limit) == (True, 1000)


def test_importing_an_account_again_overwrites_it(store: AccountStore) -> None:
    store.save_imported_account(IMPORTED)
    store.save_imported_account(replace(IMPORTED, name="new"), uploads_per_hour=50)
    assert store.accounts([]) == [replace(IMPORTED, name="new")]


def test_imported_tokens_are_stored_when_there_are_none(store: AccountStore) -> None:
    assert store.save_imported_tokens("one", replace(TOKENS, obtained_at=None))
    assert store.tokens("one") == replace(TOKENS, obtained_at=None)


def test_imported_tokens_never_replace_newer_ones(store: AccountStore) -> None:
    store.save_tokens("one", TOKENS)
    older = replace(TOKENS, obtained_at=MIDDAY - timedelta(hours=1), refresh_token="older")
    for imported in (older, replace(older, obtained_at=MIDDAY), replace(older, obtained_at=None)):
        assert not store.save_imported_tokens("one", imported)
    assert store.tokens("one") == TOKENS


def test_newer_imported_tokens_replace_older_ones_and_keep_the_shop(store: AccountStore) -> None:
    store.save_tokens("one", TOKENS)
    newer = replace(TOKENS, obtained_at=MIDDAY + timedelta(hours=1), shop_id="")
    assert store.save_imported_tokens("one", newer)
    assert store.tokens("one") == replace(newer, shop_id="shop-1")


def test_nothing_secret_is_shown() -> None:
    account = replace(IMPORTED, seed_refresh_token="seed-0123456789")
    shown = f"{account!r} {account} {TOKENS!r} {TOKENS}"
    secrets = (account.client_id, account.client_secret, account.seed_refresh_token)
    for secret in (*secrets, *TOKENS.secrets):
        assert secret not in shown
