"""How a measurement is shown: a ratio, beside its goal."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One line: what was measured, the ratio, the goal, and the figures behind it."""

    what: str
    ratio: float
    goal: float
    figures: str = ""
    at_least: bool = False

    @property
    def reached(self) -> bool:
        """Whether the ratio is on the right side of its goal."""
        return self.ratio >= self.goal if self.at_least else self.ratio <= self.goal

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        mark = "ok " if self.reached else "OFF"
        return f"{mark} {self.what:<58} {self.ratio:>8.3f} {sign} {self.goal:<6g} {self.figures}"
