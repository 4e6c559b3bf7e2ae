"""Draw published runs, make them again with this code, and compare.

    python -m tools.runs_again results/again search/embedded

This answers whether a new version of the code changes results, on the kind of processor that made
the published runs. Of each named folder of results/reference/, two runs of each experiment and
version of the code are drawn. They are made again with the settings of their records. Compared are
metrics, counts, predictions, and the points of the curves that both have; not seconds, memory and
provenance. Runs that name another processor than this machine's are not drawn. Older records name
none, and are drawn on any machine: the synthetic ones are of AMD processors. After an interruption
the same command resumes. Exit status 0 if all are equal, 1 if a run differs or fails, 2 for bad
input.
"""

import io
import json
import random
import sys
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from omegaconf import DictConfig

from frod_bench.cells.cell import Cell, setting
from frod_bench.cells.code import code_digests
from frod_bench.cells.compose import composer
from frod_bench.cells.grid import cells_of
from frod_bench.cells.results import package_versions
from frod_bench.common import processes
from frod_bench.common.errors import CellsFailed, InputError
from frod_bench.common.names import MATCHED_ENDING
from frod_bench.jobs.run import sweep
from frod_bench.records import sources, store
from frod_bench.records.schema import Record, RecordError
from tools.evidence_hours import REFERENCE, records_in
from tools.processors import KEYS
from tools.same_records import IN_CURVE, NOT_COMPARED, unequal, without

PER_VERSION, SEED = 2, 17
# Of these, a record has the names of files, and what its part keeps of a curve.
MAY_DIFFER = (*NOT_COMPARED, "curve", "curve_holds", "predictions")
# What may be set for a run beside its learning rates, if its record has it.
SETTINGS = (
    "head",
    *("trainer.max_steps", "trainer.schedule", "trainer.eval_every_steps", "trainer.curve_rows"),
    *("method.sparse_rate", "method.basis", "method.rotation_scale"),
    *("method.peft.r", "method.peft.lora_alpha"),
)
EVALUATED = "eval_loss"  # in the points of a curve
Key = tuple[object, ...]


class Run(NamedTuple):
    """A run and what it left."""

    record: Record
    points: Mapping[int, Mapping[str, Any]]  # step -> what was measured at it
    predictions: pa.Table | None  # None: its folder keeps none


Runs = Mapping[Key, Run]


class Drawn(NamedTuple):
    """A run of the sample: its folder in results/reference/ and its record."""

    folder: str
    record: Record


def key_of(record: Record) -> Key:
    """What a run is found by in another folder."""
    cell: Mapping[str, object] = record["cell"]
    return tuple(cell[name] for name in KEYS)


def drawn(folders: Sequence[str], processor: str) -> list[Drawn]:
    """The sample: the same one for the same records. A run that several folders have counts in the
    first of them.
    """
    groups: dict[tuple[str, ...], list[Record]] = defaultdict(list)
    seen: set[Key] = set()
    for folder in folders:
        for record in records_in(folder):
            made_by = record["provenance"].get("processor", processor)
            if made_by != processor or key_of(record) in seen:
                continue
            seen.add(key_of(record))
            name = str(setting(record["config"], "experiment.name"))
            groups[folder, name, record["provenance"]["code_version"]].append(record)
    rng = random.Random(SEED)
    sample = []
    for group in sorted(groups):
        records = sorted(groups[group], key=lambda record: json.dumps(record["cell"]))
        chosen = rng.sample(records, min(PER_VERSION, len(records)))
        sample += [Drawn(group[0], record) for record in chosen]
    return sample


def words_of(record: Record) -> list[str]:
    """The words that make a run of the same settings."""
    cell = record["cell"]
    method = cell["method"].removesuffix(MATCHED_ENDING)
    words = [
        f"profile={cell['profile']}",
        f"protocol={cell['protocol']}",
        f"experiment={setting(record['config'], 'experiment.name') or 'main_table'}",
        *(f"{name}={cell[name]}" for name in ("task", "seed")),
        f"method={method}",
        f"runtime.device={record['provenance']['device']}",
        f"runtime.threads={record['provenance']['threads']}",
    ]
    if method != cell["method"]:
        words.append("budget=matched")
    for name in SETTINGS:
        if (value := setting(record["config"], name)) is not None:
            words.append(f"{name}={value}")
    rates = record["config"]["method"]["learning_rates"]
    return [*words, *(f"method.learning_rates.{group}={rate!r}" for group, rate in rates.items())]


def runs_in(folder: Path, keys: Collection[Key] | None = None) -> dict[Key, Run]:
    """The runs of a folder, or those of them that `keys` name. Raises ValueError if the curve of
    one is lost; a run that failed has none.
    """
    source = sources.opened(folder)
    found = {key_of(record): record for record in source.scan()[0]}
    wanted = {source.path_of(found[key]): key for key in found if keys is None or key in keys}
    keep_rows = [path for path, key in wanted.items() if found[key]["predictions"] is not None]
    predictions = {
        path: pq.read_table(io.BytesIO(content))
        for path, content in source.predictions(keep_rows)
        if isinstance(content, bytes)
    }
    runs = {}
    for path, content in source.curves(list(wanted)):
        record = found[wanted[path]]
        if record["curve"] is not None and not isinstance(content, bytes):
            raise ValueError(f"{path}: has no curve ({content}).")
        lines = content.splitlines() if isinstance(content, bytes) else []
        points = [json.loads(line) for line in lines]
        of_step = {point.pop("step"): point for point in points}
        runs[wanted[path]] = Run(record, of_step, predictions.get(path))
    return runs


def differences(published: Run, again: Run) -> Iterator[str]:
    """What differs between two runs of the same settings, a line each."""
    (record, curve, rows), (other, its_curve, its_rows) = published, again
    yield from unequal("", without(record, MAY_DIFFER), without(other, MAY_DIFFER))
    measured = [evaluated(run) for run in (published, again)]
    if measured[0] != measured[1]:
        yield f"the curves have evaluations at {measured[0]} and {measured[1]}"
    if holds(record) == holds(other) and {*curve} != {*its_curve}:
        yield f"the curves have {len(curve)} and {len(its_curve)} steps"
    for step in sorted({*curve} & {*its_curve}):
        points = (without(one[step], IN_CURVE) for one in (curve, its_curve))
        yield from unequal(f" at step {step}", *points)
    if rows is not None and its_rows is not None and not rows.equals(its_rows):
        yield "the predictions differ"


def evaluated(run: Run) -> list[int]:
    """The steps of a run's curve at which it was evaluated."""
    return sorted(step for step, point in run.points.items() if EVALUATED in point)


def holds(record: Record) -> str:
    """What is kept of a run's curve: every step, or the evaluations."""
    return str(record.get("curve_holds", "steps"))


def main(words: Sequence[str]) -> int:
    """Draw, run and compare; returns the exit status."""
    try:
        sample, cells, config = planned(words)
        sweep(config, cells)
    except InputError as error:
        print(f"error: {error}")
        return 2
    except CellsFailed as error:
        print(error)
    keys: dict[str, set[Key]] = defaultdict(set)
    for folder, record in sample:
        keys[folder].add(key_of(record))
    if unnamed := sum("processor" not in record["provenance"] for _, record in sample):
        print(f"{unnamed} of the records name no processor: runs on another kind of it differ.")
    published = {
        key: run
        for folder, of_folder in keys.items()
        for key, run in runs_in(REFERENCE / folder, of_folder).items()
    }
    return report(published, runs_in(cells[0].results_dir, published.keys()))


def planned(words: Sequence[str]) -> tuple[list[Drawn], list[Cell], DictConfig]:
    """The drawn runs, and what makes them again. Raises InputError if there is nothing to draw or
    if this code cannot make one of them.
    """
    if len(words) < 2 or not all((REFERENCE / folder / "records").is_dir() for folder in words[1:]):
        raise InputError(
            f"{' '.join(words) or 'nothing'}: name a folder for the runs, and folders of "
            "results/reference/ with records, e.g. results/again search/embedded."
        )
    sample = drawn(words[1:], processes.processor())
    if not sample:
        raise InputError(
            f"{' '.join(words[1:])}: has no runs of {processes.processor()}, this machine's "
            "processor. Name other folders, or use a machine of the kind that made the runs."
        )
    profiles = sorted({record["cell"]["profile"] for _, record in sample})
    if len(profiles) > 1:
        raise InputError(
            f"{' '.join(words[1:])}: has runs of the profiles {', '.join(profiles)}. Name folders "
            "of one profile."
        )
    fixed = [f"results_root={words[0]}", "tracker=none"]
    with composer() as compose_one:
        cells = cells_of([[*fixed, *words_of(record)] for _, record in sample], compose_one)
        config = compose_one([*fixed, f"profile={profiles[0]}"])
    hashes = {record["cell"]["config_hash"] for _, record in sample}
    if changed := {cell.label for cell in cells if cell.config_hash not in hashes}:
        raise InputError(
            f"{', '.join(sorted(changed))}: this code gives these settings, data or weights "
            "another hash, so that the runs would not be the published ones."
        )
    present = [code_digests(), package_versions(), processes.processor()]
    for cell in cells:
        if (made := _made_by(cell)) not in (None, present):
            raise InputError(
                f"{cell.record_path}: was made by other code, other packages or another "
                f"processor: {made}, and not {present}. Name a folder without runs."
            )
    return sample, cells, config


def _made_by(cell: Cell) -> list[object] | None:
    """Digests of the code, packages and processor that made a run; None if it was not made yet."""
    try:
        made: Mapping[str, object] = store.load(cell.record_path)["provenance"]
    except (OSError, RecordError):
        return None
    return [made.get(name) for name in ("code", "packages", "processor")]


def report(published: Runs, again: Runs) -> int:
    """Print what differs, and how many runs are equal; returns the exit status."""
    equal = 0
    for key, run in published.items():
        found = list(differences(run, again[key])) if key in again else ["was not made again"]
        equal += not found
        version = run.record["provenance"]["code_version"]
        for line in found:
            print(f"{'/'.join(map(str, key))}, of {version}: {line}")
    print(f"{equal} of {len(published)} published runs are equal to those of this code.")
    return 0 if equal == len(published) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
