"""How a flow tells what it is doing, without knowing who listens."""

from typing import Protocol


class Progress(Protocol):
    """Listens to a flow."""

    def waiting(self, bucket: str, seconds: float) -> None:
        """The flow waits that long for its turn at a quota."""
        ...

    def advanced(self, what: str, done: int, total: int) -> None:
        """So many of so many are done."""
        ...


class Silent:
    """Listens to nothing."""

    def waiting(self, bucket: str, seconds: float) -> None:
        """Nothing."""

    def advanced(self, what: str, done: int, total: int) -> None:
        """Nothing."""
