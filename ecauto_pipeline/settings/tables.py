"""What all tables of settings have in common."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ConfigDict
from pydantic.dataclasses import dataclass as pydantic_dataclass

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_Record = TypeVar("_Record", bound="DataclassInstance")


class Table(BaseModel):
    """A table of settings; a name that is not one is refused, so that a slip is noticed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def table_of_record(table: type[_Record]) -> type[_Record]:
    """Make a class that builds upon a record of the domain the table that gives such records.

    Names and defaults are the record's; the class says how values are read, and their bounds.
    """
    for field in dataclasses.fields(table):
        # A field that is annotated anew has lost the default that its base gave it.
        if field.name in table.__annotations__ and field.default is not dataclasses.MISSING:
            setattr(table, field.name, field.default)
    strict = ConfigDict(extra="forbid")
    pydantic_dataclass(config=strict, frozen=True, kw_only=True)(table)
    return table


def refuse_doubles(kind: str, ids: Sequence[str]) -> None:
    """Each id may stand for one thing only.

    Raises:
        ValueError: one stands twice.
    """
    if doubled := sorted({id_ for id_ in ids if ids.count(id_) > 1}):
        raise ValueError(f"two {kind} have the id {', '.join(doubled)}")
