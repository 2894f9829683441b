"""Reading dead letters again, once the program understands them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ecauto_pipeline.clients.shopify.records import read_record
from ecauto_pipeline.clients.shopify.values import Unreadable
from ecauto_pipeline.storage.shopify.dead_letters import DeadLetter, DeadLetters
from ecauto_pipeline.storage.shopify.mirror import ShopifyStore


@dataclass(slots=True)
class ReplayReport:
    """What became of the letters."""

    replayed: int = 0
    left: list[tuple[DeadLetter, str]] = field(default_factory=list[tuple[DeadLetter, str]])

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "replayed": self.replayed,
            "left": len(self.left),
            "problems": [
                f"{letter.id}: {letter.store_id} {letter.entity} {letter.record_id}: {reason}"
                for letter, reason in self.left
            ],
        }


def replay(letters: DeadLetters, store: ShopifyStore, chosen: Sequence[DeadLetter]) -> ReplayReport:
    """Save those that can be read now, unless the mirror has something newer; keep the others."""
    report = ReplayReport()
    for letter in chosen:
        try:
            record = read_record(letter.entity, letter.shape, letter.payload)
        except Unreadable as error:
            report.left.append((letter, str(error)))
            continue
        store.save(letter.store_id, letter.entity, [record])
        letters.remove([letter.id])
        report.replayed += 1
    return report
