"""Draw published runs, make them again with this code, and compare.

    python -m tools.runs_again results/again search/embedded earlier_runs/amd/embedded

This answers whether a new version of the code changes results. Of each experiment and each version
of the code in these folders of results/reference/, two runs are drawn. They are made again with the
settings of their records, and compared with the published ones in everything but seconds, memory
and provenance. Runs that name another processor than this machine's are not drawn. After an
interruption the same command resumes. Exit status 0 if all are equal, 1 if a run differs, 2 for bad
input.
"""

import json
import random
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from frod_bench.cells.compose import composer
from frod_bench.cells.grid import cells_of
from frod_bench.common import processes
from frod_bench.common.errors import CellsFailed, InputError
from frod_bench.common.names import MATCHED_ENDING
from frod_bench.jobs.run import sweep
from frod_bench.records import sources
from frod_bench.records.schema import Record
from tools.evidence_hours import REFERENCE, records_in
from tools.same_records import IN_CURVE, NOT_COMPARED

PER_VERSION, SEED = 2, 17
# Parts keep the losses of every step of some runs, and only the evaluations of others. Of a search
# they keep no predictions.
MAY_DIFFER = (*NOT_COMPARED, "curve_holds", "predictions")
KEYS = ("task", "method", "seed", "config_hash")
# What may be set for a run beside its learning rates, if its record has it.
SETTINGS = (
    "head",
    *("trainer.max_steps", "trainer.schedule", "trainer.eval_every_steps", "trainer.curve_rows"),
    *("method.sparse_rate", "method.basis", "method.rotation_scale"),
    *("method.peft.r", "method.peft.lora_alpha"),
)
Key = tuple[object, ...]
Points = Mapping[int, Mapping[str, Any]]  # step -> what was measured at it
Runs = Mapping[Key, tuple[Record, Points]]


def key_of(record: Record) -> Key:
    """What a run is found by in another folder."""
    cell: Mapping[str, object] = record["cell"]
    return tuple(cell[name] for name in KEYS)


def drawn(folders: Sequence[str], processor: str) -> list[Record]:
    """The sample: the same one for the same records. A run that several folders have is drawn from
    the first of them.
    """
    groups: dict[tuple[str, ...], list[Record]] = defaultdict(list)
    seen: set[Key] = set()
    for folder in folders:
        for record in records_in(folder):
            made_by = record["provenance"].get("processor", processor)
            if made_by != processor or key_of(record) in seen:
                continue
            seen.add(key_of(record))
            name = str(_setting(record, "experiment.name"))
            groups[folder, name, record["provenance"]["code_version"]].append(record)
    rng = random.Random(SEED)
    sample = []
    for group in sorted(groups):
        records = sorted(groups[group], key=lambda record: json.dumps(record["cell"]))
        sample += rng.sample(records, min(PER_VERSION, len(records)))
    return sample


def words_of(record: Record) -> list[str]:
    """The words that make a run of the same settings."""
    cell = record["cell"]
    method = cell["method"].removesuffix(MATCHED_ENDING)
    words = [
        f"profile={cell['profile']}",
        f"protocol={cell['protocol']}",
        f"experiment={_setting(record, 'experiment.name') or 'main_table'}",
        *(f"{name}={cell[name]}" for name in ("task", "seed")),
        f"method={method}",
    ]
    if method != cell["method"]:
        words.append("budget=matched")
    for name in SETTINGS:
        if (value := _setting(record, name)) is not None:
            words.append(f"{name}={value}")
    rates = record["config"]["method"]["learning_rates"]
    return [*words, *(f"method.learning_rates.{group}={rate!r}" for group, rate in rates.items())]


def _setting(record: Record, name: str) -> Any:
    """A setting of a run; None if its record does not have it."""
    value: Any = record["config"]
    for part in name.split("."):
        value = (value or {}).get(part)
    return value


def runs_in(folder: Path) -> dict[Key, tuple[Record, Points]]:
    """The records of a folder with their curves. Raises ValueError if a curve is missing."""
    source = sources.opened(folder)
    paths = {source.path_of(record): record for record in source.scan()[0]}
    found: dict[Key, tuple[Record, Points]] = {}
    for path, content in source.curves(list(paths)):
        if not isinstance(content, bytes):
            raise ValueError(f"{path}: has no curve ({content}).")
        points = [json.loads(line) for line in content.splitlines()]
        found[key_of(paths[path])] = paths[path], {point.pop("step"): point for point in points}
    return found


def differences(published: tuple[Record, Points], again: tuple[Record, Points]) -> Iterator[str]:
    """What differs between two runs of the same settings, a line each."""
    (record, curve), (other, its_curve) = published, again
    if other["status"] != "ok":
        yield f"the status is {other['status']}"
    for name in sorted({*record, *other} - {*MAY_DIFFER}):
        if record.get(name) != other.get(name):
            yield f"{name} is {record.get(name)!r} and {other.get(name)!r}"
    steps = {*curve} & {*its_curve}
    if not steps or max(curve) not in steps:
        yield "the curves do not share their last step"
    for step in sorted(steps):
        for name in sorted({*curve[step], *its_curve[step]} - {*IN_CURVE}):
            if curve[step].get(name) != its_curve[step].get(name):
                values = f"{curve[step].get(name)!r} and {its_curve[step].get(name)!r}"
                yield f"{name} at step {step} is {values}"


def main(words: Sequence[str]) -> int:
    """Draw, run and compare; returns the exit status."""
    if len(words) < 2 or not all((REFERENCE / folder / "records").is_dir() for folder in words[1:]):
        print(
            f"error: {' '.join(words) or 'nothing'}: name a folder for the runs, and folders of "
            "results/reference/ with records, e.g. results/again search/embedded"
        )
        return 2
    root, folders = Path(words[0]), words[1:]
    sample = drawn(folders, processes.processor())
    fixed = [f"results_root={root}", "tracker=none"]
    try:
        with composer() as compose_one:
            cells = cells_of([[*fixed, *words_of(record)] for record in sample], compose_one)
            config = compose_one([*fixed, f"profile={sample[0]['cell']['profile']}"])
        sweep(config, cells)
    except (InputError, CellsFailed) as error:
        print(f"error: {error}")
        return 2 if isinstance(error, InputError) else 1
    published: dict[Key, tuple[Record, Points]] = {}
    for folder in reversed(folders):
        published |= runs_in(REFERENCE / folder)
    again = runs_in(cells[0].results_dir)
    return report([published[key_of(one)] for one in sample], again)


def report(published: Sequence[tuple[Record, Points]], again: Runs) -> int:
    """Print what differs, and how many runs are equal; returns the exit status."""
    equal = 0
    for record, curve in published:
        made = again.get(key_of(record))
        found = list(differences((record, curve), made)) if made else ["was not made again"]
        equal += not found
        name = "/".join(map(str, key_of(record)))
        for line in found:
            print(f"{name}, of {record['provenance']['code_version']}: {line}")
    print(f"{equal} of {len(published)} published runs are equal to those of this code.")
    return 0 if equal == len(published) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
