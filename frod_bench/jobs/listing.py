"""Lists of tasks, methods, experiments, suites, profiles, and the records of a folder."""

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from frod_bench.cli.arguments import parse
from frod_bench.cli.exits import exit_statuses
from frod_bench.common.errors import InputError
from frod_bench.common.names import with_head
from frod_bench.common.paths import CONF_DIR, EXPERIMENTS_DIR
from frod_bench.records import store

DEFAULT_FOLDER = Path("results") / "embedded"
Rows = list[tuple[str, ...]]


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


# What can be listed -> folder of its YAML files, and the columns after a file's name, from its
# content and its first comment.
LISTS: dict[str, tuple[Path, Callable[[Mapping[str, Any], str], Sequence[str]]]] = {
    "tasks": (CONF_DIR / "task", lambda c, _: (c["family"], c["primary_metric"], c["hub_id"])),
    "methods": (CONF_DIR / "method", lambda c, comment: (kind_of(c), comment)),
    "experiments": (EXPERIMENTS_DIR, lambda _, comment: (comment,)),
    "suites": (
        CONF_DIR / "suite",
        lambda c, _: (str(len(c["tasks"])), " ".join(map(str, c["tasks"]))),
    ),
    "profiles": (CONF_DIR / "profile", lambda c, _: (c["profile"]["title"],)),
}


def configured(name: str) -> Rows:
    """One row per YAML file of a list."""
    folder, describe = LISTS[name]
    rows: Rows = []
    for path in sorted(folder.glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        rows.append((path.stem, *describe(yaml.safe_load(text) or {}, first_comment(text))))
    return rows


def records(folder: Path) -> Rows:
    """Task, method, protocol, status and number of such records in a results folder.

    Raises InputError if it has none.
    """
    found, unusable = store.scan(folder / "records")
    if not found and not unusable:
        raise InputError(
            f"folder={folder}: has no records. Name a folder that holds records/, such as "
            "results/reference/small."
        )
    counts = Counter(
        (with_head(made["cell"]["task"], made["config"].get("head", "classify")),
         made["cell"]["method"], made["cell"]["protocol"], made["status"])
        for made in found
    )  # fmt: skip
    rows: Rows = [(*name, str(count)) for name, count in sorted(counts.items())]
    return rows + [(path.name, "", "", "unusable", reason) for path, reason in unusable]


def listing(words: Sequence[str]) -> str:
    """The text that `frod-bench ls WORDS` prints. Raises InputError for unknown words."""
    asked = parse("ls", words)
    folder = Path(asked.values.get("folder", DEFAULT_FOLDER))
    has_records = any((folder / "records").glob("*/*/*.json"))
    names = asked.actions or [*LISTS, *(["records"] if asked.values or has_records else [])]
    blocks = []
    for name in dict.fromkeys(names):
        rows = records(folder) if name == "records" else configured(name)
        blocks.append("\n".join([*([name] if len(names) > 1 else []), *aligned(rows)]))
    return "\n\n".join(blocks)


def aligned(rows: Rows) -> list[str]:
    """Rows as lines with aligned columns; the last column is as wide as it is."""
    widths = [max(map(len, column)) for column in zip(*(row[:-1] for row in rows), strict=True)]
    lines = []
    for row in rows:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append("  ".join([*padded, row[-1]]).rstrip())
    return lines


def start(words: Sequence[str]) -> None:
    """Run the command line; exits with its status."""
    with exit_statuses():
        print(listing(words))
