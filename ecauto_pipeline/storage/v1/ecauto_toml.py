"""Writing to the settings file `ecauto.toml`, whose comments and order stay."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, cast

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Array, Table

from ecauto_pipeline.errors import Misconfigured


def has_table(path: Path, name: str) -> bool:
    """Whether the file has that table; a file that is not there has none.

    Raises:
        Misconfigured: the file cannot be read, or is not TOML.
    """
    return name in _read(path)


def add_table(path: Path, name: str, values: Mapping[str, Any]) -> None:
    """Append the table in one step, so that a crash leaves the file as it was.

    Raises:
        Misconfigured: the file cannot be read or written, is not TOML, or has the table already.
    """
    document = _read(path)
    if name in document:
        raise Misconfigured(f"{path} has a [{name}] table already")
    document.add(name, _table(values))
    try:
        _replace(path.resolve(), tomlkit.dumps(document))
    except OSError as error:
        raise Misconfigured(f"{path} cannot be written: {error.strerror}") from None


def _read(path: Path) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return tomlkit.document()
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}") from None
    except (TOMLKitError, UnicodeDecodeError):
        raise Misconfigured(f"{path} is not valid TOML") from None


def _table(values: Mapping[str, Any]) -> Table:
    table = tomlkit.table()
    for key, value in values.items():
        table.add(
            key,
            _array(cast("list[Mapping[str, Any]]", value)) if isinstance(value, list) else value,
        )
    return table


def _array(rows: list[Mapping[str, Any]]) -> Array:
    array = tomlkit.array().multiline(multiline=True)
    for row in rows:
        inline = tomlkit.inline_table()
        inline.update(row)
        array.append(inline)
    return array


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        file.write(text)
    written = Path(file.name)
    if path.exists():
        shutil.copymode(path, written)
    written.replace(path)
