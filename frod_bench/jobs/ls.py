"""Lists of tasks, methods, experiments, suites, profiles, records, and of the cache of bases."""

import itertools
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from frod_bench.cli.arguments import parse
from frod_bench.common.errors import InputError
from frod_bench.common.names import with_head
from frod_bench.common.paths import CONF_DIR, EXPERIMENTS_DIR, cache_dir
from frod_bench.common.terminal import shown
from frod_bench.records import sources
from frod_bench.records.parts import parts_of

DEFAULT_FOLDER = "results/embedded"
BASES = "frod_basis"  # frod_bench.frod's folder, repeated because importing it loads torch
Rows = list[Sequence[str]]


def first_comment(text: str) -> str:
    """The first sentence of a YAML's leading comment; empty if it has none."""
    lines = itertools.takewhile(lambda line: line.startswith("#"), text.splitlines())
    words = [line.lstrip("# ") for line in lines if not line.startswith("# @package")]
    return " ".join(words).split(". ")[0].rstrip(".")


def kind_of(method: Mapping[str, Any]) -> str:
    """A method's kind, its own or that of the method that it is based on."""
    if "kind" in method:
        return str(method["kind"])
    [base] = [name for name in method["defaults"] if name != "_self_"]
    return kind_of(yaml.safe_load((CONF_DIR / "method" / f"{base}.yaml").read_text("utf-8")))


# What can be listed -> the columns after a file's name, from its content and its first comment.
COLUMNS: dict[str, Callable[[Any, str], Sequence[str]]] = {
    "tasks": lambda task, _: (task["family"], task["primary_metric"], task["hub_id"]),
    "methods": lambda method, comment: (kind_of(method), comment),
    "experiments": lambda _, comment: (comment,),
    "suites": lambda suite, _: (str(len(suite["tasks"])), " ".join(map(str, suite["tasks"]))),
    "profiles": lambda profile, _: (profile["profile"]["title"],),
}


def configured(name: str) -> Rows:
    """One row per YAML file of a list."""
    folder = EXPERIMENTS_DIR if name == "experiments" else CONF_DIR / name.removesuffix("s")
    rows: Rows = []
    for path in sorted(folder.glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        rows.append((path.stem, *COLUMNS[name](yaml.safe_load(text), first_comment(text))))
    return rows


def records(folder: Path) -> Rows:
    """Task, method, protocol, status and number of such records; InputError if there are none."""
    found, unusable = sources.opened(folder).scan()
    if folder.is_file() or not (found or unusable):
        raise InputError(
            f"folder={folder}: has no records. Name a folder that holds records/, such as "
            "results/reference/small."
        )
    counts: Counter[tuple[str, ...]] = Counter()
    for made in found:
        cell = made["cell"]
        task = with_head(cell["task"], made["config"].get("head", "classify"))
        counts[task, cell["method"], cell["protocol"], made["status"]] += 1
    rows: Rows = [(*name, str(count)) for name, count in sorted(counts.items())]
    return rows + [(path.name, "", "", "unusable", reason) for path, reason in unusable]


def ls(words: Sequence[str]) -> None:
    """Print the lists that `words` name. Raises InputError for unknown words."""
    asked = parse("ls", words)
    folder = Path(asked.values.get("folder", DEFAULT_FOLDER))
    has_records = any((folder / "records").glob("*/*/*.json")) or parts_of(folder)
    names = asked.actions or [*COLUMNS, *(["records"] if asked.values or has_records else [])]
    blocks = []
    for name in dict.fromkeys(names):
        rows = records(folder) if name == "records" else configured(name)
        rows = [[shown(cell, in_a_line=True) for cell in row] for row in rows]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [name] if len(names) > 1 else []
        for row in rows:
            padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            lines.append("  ".join(padded).rstrip())
        blocks.append("\n".join(lines))
    print("\n\n".join(blocks))


def cache(words: Sequence[str]) -> None:
    """List the cache of joint bases (time, size, and the SHA-256 of the inputs), or clear it.

    Clearing removes partial files, too, and no other; the writer of a basis warns and continues.
    Exits with status 1 if the folder cannot be read or cleared.
    """
    clears = parse("cache", words).action == "clear"
    folder = cache_dir() / BASES
    try:
        entries = find_entries(folder)
        if clears:
            for path in (*folder.glob("*.safetensors"), *folder.glob("*.partial")):
                path.unlink(missing_ok=True)
    except OSError as error:
        sys.exit(f"{folder}: {error.strerror}. FROD_BENCH_CACHE sets another folder.")
    if not clears:
        for written, path, size in entries:
            when = datetime.fromtimestamp(written)
            print(f"{when:%Y-%m-%d %H:%M}  {f'{size / 1e6:.1f} MB':>10}  {path.stem}")
    total = sum(size for _, _, size in entries) / 1e6
    print(f"{len(entries)} entries, {total:.1f} MB, {'removed from' if clears else 'in'} {folder}")


def find_entries(folder: Path) -> list[tuple[float, Path, int]]:
    """(when written, file, bytes) of each entry, the oldest first; none without the folder."""
    entries = []
    for path in folder.glob("*.safetensors"):
        with suppress(FileNotFoundError):  # another process has cleared it
            entries.append((path.stat().st_mtime, path, path.stat().st_size))
    return sorted(entries)
