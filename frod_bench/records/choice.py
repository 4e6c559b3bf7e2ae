"""Which of several records of a cell is meant, where its hash is not named: one rule for all."""

from collections.abc import Iterable

from frod_bench.records.schema import Record


def newest_first(records: Iterable[Record]) -> list[Record]:
    """Records by when their cells started, the newest first."""
    return sorted(records, key=lambda made: made["provenance"]["started_at"], reverse=True)


def is_unnamed_choice(made: Record, head: str) -> bool:
    """Whether a record may stand for its cell without its hash being named.

    It is of the head that is asked for, and its backbone is pretrained: random weights are a
    calibration's.
    """
    config = made["config"]
    return bool(config.get("pretrained", True)) and config.get("head", "classify") == head
