"""The variables of this process and of `.env`, and the folders that they name."""

import os
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

DOTENV = ".env"
"""Read from the folder a command is started in."""

DATA_DIR = "data"
"""The data folder where none is named."""

TOML = "ecauto.toml"
"""The file of settings in the data folder."""


def environment() -> Mapping[str, str]:
    """The variables that are set and not empty, those of `.env` included."""
    merged = {name: value for name, value in dotenv_values(DOTENV).items() if value}
    return merged | {name: value for name, value in os.environ.items() if value}


def set_environment(values: Mapping[str, str]) -> None:
    """Set variables for this process, and for those it starts."""
    os.environ.update(values)


def toml_file() -> Path:
    """The file of settings, which cannot itself say where it is: only the variables can."""
    return Path(environment().get("ECAUTO_DATA_DIR") or DATA_DIR) / TOML


def dagster_home() -> Path:
    """The folder where Dagster keeps its own data: DAGSTER_HOME, or one below the data folder."""
    chosen = environment().get("DAGSTER_HOME") or str(toml_file().parent / "dagster_home")
    return Path(chosen).absolute()
