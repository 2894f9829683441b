"""Where tests find what is no Python: the project, and contracts where the folder exists."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
CONTRACTS = PROJECT.parent / "shared/contracts"
