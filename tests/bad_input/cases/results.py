"""Records, curves, parts and tables that a run, a report or a search left."""

import functools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from frod_bench.records import archive, store
from tests.bad_input.case import Bad
from tests.bad_input.cases.data import PICKLED
from tests.report.factory import make_record, noting_files, synthetic_curve, write_record

Change = Callable[[dict[str, Any]], object]
PARENT = "results_root={here} tracker=none"


def damaged(here: Path, _patch: pytest.MonkeyPatch, *, content: str | bytes | Change) -> None:
    """A folder with one record, which has another content or a change."""
    path = write_record(here, make_record("rte", "frod", 0), synthetic_curve())
    if callable(content):
        made = noting_files(path)
        content(made)
        content = json.dumps(made)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def record(name: str, content: str | bytes | Change, field: str) -> Bad:
    """A record that no reader trusts."""
    given = functools.partial(damaged, content=content)
    remedy = "Restore them, or run the cells again"
    return Bad("report folder={here}/embedded", field, remedy, given, f"record: {name}")


def not_a_file(here: Path, _patch: pytest.MonkeyPatch, *, size_bytes: int | None = None) -> None:
    """A folder with one record, in whose place there is a pipe, or a file of this size."""
    path = write_record(here, make_record("rte", "frod", 0), synthetic_curve())
    path.unlink()
    if size_bytes is None:
        os.mkfifo(path)
    else:
        path.touch()
        os.truncate(path, size_bytes)  # without using the disk


def in_place_of_records(here: Path, _patch: pytest.MonkeyPatch) -> None:
    """A file, where the records of a profile are to be."""
    (here / "embedded").mkdir()
    (here / "embedded/records").touch()


def link_to_itself(here: Path, _patch: pytest.MonkeyPatch) -> None:
    """A link that leads to itself, and one that leads nowhere."""
    (here / "loop").symlink_to(here / "loop")
    (here / "nowhere").symlink_to(here / "none")


def setting(path: str, value: object) -> Change:
    """A change of the value at a dotted path."""

    def change(made: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        node = made
        for parent in parents:
            node = node[parent]
        node[last] = value

    return change


def curve(here: Path, _patch: pytest.MonkeyPatch, *, text: str | bytes) -> None:
    """A record of version 1, which notes no digest, with a curve of this text."""
    path = write_record(here, make_record("rte", "frod", 0))
    content = text if isinstance(text, bytes) else text.encode()
    store.curve_path(path).write_bytes(content)


def bent(name: str, text: str | bytes, field: str) -> Bad:
    """A curve that cannot be drawn, where the record is packed with it."""
    given = functools.partial(curve, text=text)
    line = "archive pack folder={here}/embedded out={here}/kept"
    return Bad(line, "cannot be packed", field, given, f"curve: {name}")


def part(here: Path, _patch: pytest.MonkeyPatch) -> None:
    """A folder of one part, with a pickle in its place."""
    noting_files(write_record(here / "from", make_record("rte", "frod", 0), synthetic_curve()))
    made, _ = archive.pack(here / "from/embedded", here / "kept")
    assert made is not None
    made.write_bytes(PICKLED)


def searched(here: Path, _patch: pytest.MonkeyPatch, *, name: str, content: bytes) -> None:
    """A table of an earlier search."""
    (here / "embedded/tables").mkdir(parents=True)
    (here / "embedded/tables" / name).write_bytes(content)


def losses(here: Path, _patch: pytest.MonkeyPatch, *, text: str) -> None:
    """A table of losses that somebody published, and records that it is drawn over."""
    write_record(here, make_record("rte", "frod", 0), synthetic_curve())
    (here / "losses.csv").write_text(text)


def published(name: str, text: str, field: str, remedy: str) -> Bad:
    """Losses that are not drawn."""
    given = functools.partial(losses, text=text)
    words = "compare task=rte method=frod results_root={here} published={here}/losses.csv"
    return Bad(words, field, remedy, given, f"losses: {name}")


RECORDS = (
    record("empty", "", "not JSON"),
    record("UTF-16", "{}".encode("utf-16"), "not JSON"),
    record("null", "null", "a record is a JSON object"),
    record("a number of 5,000 digits", '{"schema_version": ' + "9" * 5000 + "}", "not JSON"),
    record("a metric of 1e308", setting("metrics.accuracy.value", 1e308), "value is 1e+308"),
    record("files of null", setting("files", None), "files is None"),
    record(
        "a control character in its title",
        setting("config.profile.title", "a\x1b[2J"),
        "config.profile.title is 'a\\x1b[2J'",
    ),
    record("a lone surrogate", setting("primary_metric", "\ud800"), "text in UTF-8"),
)
CURVES = (
    bent("1e308", '{"step": 1, "seconds": 0.1, "eval_loss": 1e308}\n', "eval_loss is not a usable"),
    bent("a list", "[1]\n", "line 1 is not a point"),
    bent("a list for a value", '{"step": 1, "seconds": 0.1, "x": [1]}\n', "x is not a usable"),
)
PART = Bad(
    "ls records folder={here}/kept",
    "part-001.parquet: cannot be read",
    "Restore it from git",
    part,
    "part: a pickle",
)
SEARCHES = tuple(
    Bad(
        f"tune task=rte method=lora plan_only=true {PARENT}",
        f"{{here}}/embedded/tables/{file}",
        "Move it away",
        functools.partial(searched, name=file, content=content),
        f"{file}: {name}",
    )
    for file in ("search.csv", "picks.csv")
    for name, content in (("empty", b""), ("not text", b"\xff\xfe\0"), ("ragged", b"a,b\n1,2,3"))
)
HEAD = "method,run,logged_point,training_loss\n"
LOSSES = (
    published("a huge count", f"{HEAD}frod,a,{'9' * 5000},1\n", "logged_point='999", "Correct"),
)

PLACES = (
    *(
        Bad(
            "report folder={here}/embedded",
            field,
            "Restore them, or run the cells again",
            functools.partial(not_a_file, size_bytes=size_bytes),
            f"record: {name}",
        )
        for name, size_bytes, field in (
            ("a pipe", None, "it is a pipe, a device or a socket"),
            ("too large", store.MOST_BYTES + 1, "more than 67,108,864"),
        )
    ),
    Bad(
        "run task=rte method=frozen tracker=none results_root={here}",
        "results_root={here}: {here}/embedded/records cannot be written to",
        "Name a folder that you may write to",
        in_place_of_records,
        "a file in place of records/",
    ),
    *(
        Bad(
            words.replace("LOOP", "{here}/loop"),
            "{here}/loop: has a link in it that leads to itself",
            "Remove it, or name another",
            link_to_itself,
        )
        for words in (
            "run task=rte method=frozen tracker=none results_root=LOOP",
            "run -m task=rte method=frozen tracker=none results_root=LOOP",
            "run task=rte results_root=LOOP plan_only=true",
            "report folder=LOOP",
            "compare folder=LOOP,LOOP",
        )
    ),
    Bad(
        "run task=rte method=frozen tracker=none results_root={here}/nowhere",
        "{here}/nowhere is a link that leads nowhere",
        "Remove it, or name another",
        link_to_itself,
    ),
)

CASES = (*RECORDS, *CURVES, PART, *SEARCHES, *LOSSES, *PLACES)
