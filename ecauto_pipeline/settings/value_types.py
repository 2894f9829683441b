"""The kinds of values that settings have, and what is said about those that are wrong."""

import re
from datetime import timedelta
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError

from ecauto_pipeline.domain.text import ID

_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([smhd])\s*")

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _duration(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value)
    if match is None:
        raise ValueError("a duration like 90s, 30m, 24h or 7d is wanted")
    return timedelta(**{_UNITS[match[2]]: float(match[1])})


def _endpoint(value: object) -> object:
    if not isinstance(value, str):
        return value
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("an address like https://host is wanted")
    if parts.scheme == "http" and not is_loopback(value):
        raise ValueError("an address outside this machine must be https")
    return value.rstrip("/")


def is_loopback(endpoint: str) -> bool:
    """Whether the address leads to this machine."""
    host = urlsplit(endpoint).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _database_url(value: str) -> str:
    if not value:
        return value
    from sqlalchemy import make_url  # noqa: PLC0415 - slow to import, and rarely needed here
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        make_url(value)
    except (ArgumentError, ValueError):
        raise ValueError(
            "an address like sqlite:///path or postgresql://user:password@host/name is wanted"
        ) from None
    return value


def _postgres_url(value: SecretStr) -> SecretStr:
    url = value.get_secret_value()
    _database_url(url)
    if url and not url.startswith(("postgresql://", "postgresql+psycopg2://")):
        raise ValueError("an address like postgresql://user:password@host/name is wanted")
    return value


def first_problem(error: ValidationError) -> tuple[tuple[int | str, ...], str]:
    """Where the first thing is that is wrong, and what is wanted there; never what it is."""
    problem = error.errors(include_input=False, include_url=False)[0]
    return problem["loc"], problem["msg"].removeprefix("Value error, ")


Duration = Annotated[timedelta, BeforeValidator(_duration), Field(gt=timedelta(0))]
Id = Annotated[str, Field(pattern=f"^{ID}$")]
Endpoint = Annotated[str, BeforeValidator(_endpoint)]
DatabaseUrl = Annotated[str, AfterValidator(_database_url)]
PostgresUrl = Annotated[SecretStr, AfterValidator(_postgres_url)]
Share = Annotated[float, Field(gt=0, le=1)]
