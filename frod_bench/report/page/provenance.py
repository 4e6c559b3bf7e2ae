"""Where the numbers come from: the code, packages, devices and data that the records name."""

from collections import Counter
from collections.abc import Iterable

from frod_bench.report.collect import Collected
from frod_bench.report.frame import Task, run_of, task_of
from frod_bench.report.names import label
from frod_bench.report.table import NOT_THERE, Row, Table

PREFIX = 12  # digits of a fingerprint that are shown, enough to distinguish any two


def provenance_table(collected: Collected, title: str) -> Table:
    """What the records were made with, and how many of each if they differ."""
    made = list(collected.provenance.values())
    started = sorted(entry["started_at"] for entry in made)
    dirty = sum(bool(entry["dirty"]) for entry in made)
    packages: dict[str, list[str]] = {}
    for entry in made:
        for name, version in entry["packages"].items():
            packages.setdefault(name, []).append(version)
    rows = [
        Row("records", (f"{len(made)} of {len(collected.frame)} runs",)),
        Row("first started", (started[0] if started else NOT_THERE,)),
        Row("last started", (started[-1] if started else NOT_THERE,)),
        Row("protocol", (_several(collected.frame["protocol"].dropna()),)),
        Row("code version", (_several(entry["code_version"] for entry in made),)),
        Row("made by code with uncommitted changes", (f"{dirty} of {len(made)} records",)),
        Row("device", (_several(entry["device"] for entry in made),)),
        Row("number type", (_several(entry["dtype"] for entry in made),)),
        Row("threads per run", (_several(str(entry["threads"]) for entry in made),)),
        *(Row(name, (_several(found),)) for name, found in sorted(packages.items())),
    ]
    caption = (
        "What the records were made with. If they differ, the number of records is in brackets: "
        "their times, and the last digits of their scores, are not comparable."
    )
    return Table(f"Provenance: {title}", caption, ("property", "value"), rows, prose=True)


def inputs_table(collected: Collected, title: str) -> Table:
    """Data and backbone of each task, identified by content."""
    by_task: dict[Task, list[tuple[str, str, str]]] = {}
    frame = collected.frame
    for row in frame[frame["backbone"].notna()].itertuples(index=False):
        entry = collected.provenance[run_of(row)]
        names = (entry["data_fingerprint"], row.backbone, entry["backbone_fingerprint"])
        by_task.setdefault(task_of(row), []).append(names)
    rows = []
    for task, found in by_task.items():
        data, backbone, weights = zip(*found, strict=True)
        texts = (
            _several(value[:PREFIX] for value in data),
            _several(backbone),
            _several(value[:PREFIX] for value in weights),
        )
        rows.append(Row(label(task), texts))
    caption = f"Data and weights are identified by the first {PREFIX} digits of their hash."
    header = ("task", "data", "backbone", "weights")
    return Table(f"Inputs: {title}", caption, header, rows, prose=True)


def _several(values: Iterable[str]) -> str:
    """The value, or each of several with its count."""
    found = Counter(values)
    if len(found) == 1:
        return next(iter(found))
    return ", ".join(f"{value} ({n})" for value, n in sorted(found.items())) or NOT_THERE
