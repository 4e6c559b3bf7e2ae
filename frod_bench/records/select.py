"""Which of several records of a run is used.

It is the record whose hash is named; without a hash, the newest one of the named protocol, with a
warning if there are others. A record of a backbone with random weights (`pretrained=false`) is used
only if its hash is named.
"""

from collections.abc import Iterable
from typing import NamedTuple

from frod_bench.records.schema import Record

PROTOCOLS = ("fair", "paper")  # whose runs are compared, the preferred first; not tuning's


class Run(NamedTuple):
    """What a table has one number for; `head` is `classify` or `rank`."""

    task: str
    method: str
    seed: int
    head: str = "classify"

    @classmethod
    def of(cls, record: Record) -> "Run":
        """The run that a record is of."""
        cell = record["cell"]
        head = record["config"].get("head", "classify")
        return cls(cell["task"], cell["method"], cell["seed"], head)


class Choice(NamedTuple):
    """The record of a run, if there is one; a warning if it was not the only one."""

    record: Record | None
    warning: str | None = None


def preferred_protocol(names: Iterable[str]) -> str | None:
    """The first of `PROTOCOLS` among `names`, or None."""
    existing = set(names)
    return next((name for name in PROTOCOLS if name in existing), None)


def by_run(
    records: Iterable[Record],
    *,
    profile: str | None = None,
    protocol: str | None = None,
    head: str | None = None,
) -> dict[Run, list[Record]]:
    """The candidates of each run, newest first. The runs are in the order of `records`; a profile,
    protocol or head that is None is not checked.
    """
    found: dict[Run, list[Record]] = {}
    for record in records:
        cell, run = record["cell"], Run.of(record)
        has, wanted = (cell["profile"], cell["protocol"], run.head), (profile, protocol, head)
        is_wanted = all(want in (None, value) for value, want in zip(has, wanted, strict=True))
        if is_wanted and record["config"].get("pretrained", True):
            found.setdefault(run, []).append(record)
    for candidates in found.values():
        candidates.sort(key=lambda record: record["provenance"]["started_at"], reverse=True)
    return found


class Selector:
    """Chooses among the records of one profile."""

    def __init__(self, records: Iterable[Record], profile: str) -> None:
        own = [record for record in records if record["cell"]["profile"] == profile]
        self._by_hash = {
            (*Run.of(record)[:3], record["cell"]["config_hash"]): record for record in own
        }
        self._by_run = by_run(own)

    def choose(
        self, run: Run, *, config_hash: str | None = None, protocol: str | None = None
    ) -> Choice:
        """The record with `config_hash`, if one is named; else the newest candidate."""
        if config_hash is not None:
            return Choice(self._by_hash.get((*run[:3], config_hash)))
        candidates = [
            record
            for record in self._by_run.get(run, [])
            if protocol in (None, record["cell"]["protocol"])
        ]
        if not candidates:
            return Choice(None)
        newest = candidates[0]
        if len(candidates) == 1:
            return Choice(newest)
        return Choice(
            newest,
            f"{run.task}, {run.method}, seed {run.seed}: {len(candidates)} records with different "
            f"settings exist; the newest is used, {newest['cell']['config_hash']}.",
        )
