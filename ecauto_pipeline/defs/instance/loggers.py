"""How a run that was started at a terminal speaks to a person: one line, or lines, no events."""

import logging
import re
import sys

import dagster as dg
from dagster import colored_console_logger

PEOPLE = "people"
BAR_WIDTH = 30

_ADVANCED = re.compile(r"(?P<what>.+): (?P<done>\d+) of (?P<total>\d+)")


class PeopleHandler(logging.StreamHandler):  # pyright: ignore[reportMissingTypeArgument]
    """Shows what a flow says: as a bar on a terminal, as plain lines elsewhere."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self._bar_shown = False

    def emit(self, record: logging.LogRecord) -> None:
        """Show the message, unless it only reports one of Dagster's own events."""
        meta = getattr(record, "dagster_meta", {})
        if meta.get("dagster_event") is not None or record.levelno < logging.INFO:
            return
        message = str(meta.get("orig_message") or record.getMessage())
        match = _ADVANCED.fullmatch(message) if self.stream.isatty() else None
        if match:
            # A bar is drawn over itself until it is full.
            done, total = int(match["done"]), int(match["total"])
            filled = BAR_WIDTH * done // max(total, 1)
            bar = "#" * filled + "." * (BAR_WIDTH - filled)
            end = "\n" if done == total else ""
            self.stream.write(f"\r{match['what']} [{bar}] {done}/{total}{end}")
            self._bar_shown = done != total
        else:
            start = "\n" if self._bar_shown else ""
            self._bar_shown = False
            self.stream.write(f"{start}{message}\n")
        self.flush()


@dg.logger(config_schema=None, description="Plain lines, or a progress bar, on stderr.")
def people_logger(_context: dg.InitLoggerContext) -> logging.Logger:
    """The logger, afresh for each run."""
    logger = logging.getLogger("ecauto.people")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.handlers = [PeopleHandler()]
    return logger


ALL = {"console": colored_console_logger, PEOPLE: people_logger}
