"""Finding and reading what a v1.0 folder holds beside its database."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml

from ecauto_pipeline.errors import DatabaseUnusable

_DATABASES = ("inventory/data/master.db", "data/master.db", "master.db")
_ACCOUNTS = "platforms/base/accounts/account_config.json"
_TOKENS = "platforms/base/accounts/tokens"
_TOKEN_SUFFIX = "_token.json"  # noqa: S105 - the end of a file name
_PRICING = "config/pricing_strategy.yaml"

_AMAZON_NAMES = (
    "SP_API_REFRESH_TOKEN",
    "REFRESH_TOKEN",
    "LWA_APP_ID",
    "LWA_CLIENT_SECRET",
)


@dataclass(frozen=True, slots=True)
class V1Folder:
    """What was found; secrets are in `accounts` and `tokens` and do not show in its repr."""

    database: Path
    accounts: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    tokens: Mapping[str, Mapping[str, Any]] = field(
        default_factory=dict[str, Mapping[str, Any]], repr=False
    )
    pricing: Mapping[str, Any] | None = None
    env_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_v1_folder(path: Path) -> V1Folder:
    """What the folder holds; of the path of a database, only that.

    Raises:
        DatabaseUnusable: there is no master.db.
    """
    if not path.is_dir():
        note = (
            "accounts, tokens and pricing: not looked for; name the v1.0 folder to take them over"
        )
        return V1Folder(path, notes=(note,))
    found = [path / place for place in _DATABASES if (path / place).is_file()]
    if not found:
        raise DatabaseUnusable(f"{path} holds no v1.0 database: looked for {', '.join(_DATABASES)}")
    notes = [f"{other}: not read, as {found[0]} comes first" for other in found[1:]]
    return V1Folder(
        found[0],
        accounts=_accounts(path / _ACCOUNTS, notes),
        tokens=_tokens(path / _TOKENS, notes),
        pricing=_read(path / _PRICING, yaml.safe_load, notes),
        env_names=_env_names(path / ".env", notes),
        notes=tuple(notes),
    )


def _accounts(path: Path, notes: list[str]) -> tuple[Mapping[str, Any], ...]:
    config = _read(path, json.loads, notes)
    if config is None:
        return ()
    entries = config.get("accounts")
    if not isinstance(entries, list):
        notes.append(f"{path}: not read, it has no list of accounts")
        return ()
    listed = cast("list[object]", entries)
    accounts = tuple(cast("Mapping[str, Any]", each) for each in listed if isinstance(each, dict))
    if len(accounts) < len(listed):
        notes.append(f"{path}: {len(listed) - len(accounts)} entries are not accounts")
    if config.get("owners"):
        notes.append(
            f"{path}: owners and proxies are not carried over; they served to keep a platform from"
            " seeing that accounts belong together"
        )
    return accounts


def _tokens(folder: Path, notes: list[str]) -> dict[str, Mapping[str, Any]]:
    files = sorted(folder.glob(f"*{_TOKEN_SUFFIX}"))
    if not files:
        notes.append(f"{folder}: no token files there")
    contents = {
        file.name.removesuffix(_TOKEN_SUFFIX): _read(file, json.loads, notes) for file in files
    }
    return {account: content for account, content in contents.items() if content is not None}


def _read(path: Path, parse: Callable[[str], object], notes: list[str]) -> Mapping[str, Any] | None:
    """The file's table; None, and a note, when there is none."""
    text = _text(path, notes)
    if text is None:
        return None
    try:
        content = parse(text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        notes.append(f"{path}: not read, it is broken{_line_of(error)}")
        return None
    if not isinstance(content, dict):
        notes.append(f"{path}: not read, it does not hold a table")
        return None
    return cast("dict[str, Any]", content)


def _text(path: Path, notes: list[str]) -> str | None:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        notes.append(f"{path}: not there")
    except OSError as error:
        notes.append(f"{path}: not read, {error.strerror}")
    except UnicodeDecodeError:
        notes.append(f"{path}: not read, it is not UTF-8")
    return None


def _line_of(error: Exception) -> str:
    """Where it is broken; the parsers' own messages quote the file, and so its secrets."""
    if isinstance(error, json.JSONDecodeError):
        return f" in line {error.lineno}"
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f" in line {error.problem_mark.line + 1}"
    return ""


def _env_names(path: Path, notes: list[str]) -> tuple[str, ...]:
    """Which of Amazon's credentials are set there; the values are not looked at."""
    text = _text(path, notes) or ""
    return tuple(
        name
        for name in _AMAZON_NAMES
        if re.search(rf"^[ \t]*(?:export[ \t]+)?{name}[ \t]*=[ \t]*[^\s#]", text, re.MULTILINE)
    )
