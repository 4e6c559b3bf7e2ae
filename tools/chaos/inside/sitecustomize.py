"""Stops a process in the middle of a write, so that `tools.chaos` can kill it there.

Python imports a module of this name when it starts, if it finds one. The harness alone puts this
folder on PYTHONPATH, so the suite has no hook for it. The functions that every durable write goes
through are wrapped: at a moment that the harness has ordered the process notes it in the journal
and stops, until the harness kills it or, if another process is the victim, lets it continue. The
journal also lists the records and checkpoints that were put in their places.
"""

import builtins
import io
import json
import os
import pathlib
import re
import signal
import time
from collections import Counter
from typing import Any

CONTROL = os.environ.get("CHAOS_CONTROL")  # the folder of the order and of the journal
ORDER, JOURNAL = (pathlib.Path(CONTROL or ".", name) for name in ("order.json", "journal"))
PLACES = {  # what a path is part of, by a folder or a file in it
    "checkpoint": ("/checkpoints/",),
    "record": ("/records/", "/adapters/"),
    "cache": ("/embedded_mirror", "/.embedded_mirror"),
    "report": ("/tables/", "/figures/", "/report.html", "/.report.html."),
}
RECORD = re.compile(r".+\.json(\.failed-\d+)?")  # also one that gave way to a better one
LONGEST_ERROR = 500  # of its letters, in the journal
HALF, BEFORE, AFTER = "half", "before", "after"  # written; written but not in place; in place

_passed: Counter[str] = Counter()  # occasions that an order lets pass, by its id


def kind_of(path: str) -> str | None:
    """What a write to `path` belongs to; None if it is none of the harness's business."""
    return next(
        (kind for kind, parts in PLACES.items() if any(part in path for part in parts)), None
    )


def note(**entry: Any) -> None:
    """Add a line to the journal, by one write, so that lines of several processes do not mix."""
    line = json.dumps({"pid": os.getpid(), "at": time.monotonic(), **entry}) + "\n"
    descriptor = os.open(JOURNAL, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def is_due(path: str, moment: str) -> str | None:
    """The id of an order for this write and moment that this process has taken; else None."""
    kind = kind_of(path)
    if kind is None:
        return None
    try:
        descriptor = os.open(ORDER, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        order = json.loads(os.read(descriptor, 4096))
    finally:
        os.close(descriptor)
    if (order["during"], order["moment"]) != (kind, moment):
        return None
    _passed[order["id"]] += 1
    if _passed[order["id"]] <= order["skip"]:
        return None
    try:
        ORDER.unlink()  # which one process can
    except FileNotFoundError:
        return None
    return str(order["id"])


def stop(order: str, path: str, moment: str) -> None:
    """Note that the order is carried out here, and stop until the harness decides."""
    note(what="stopped", order=order, path=path, moment=moment)
    os.kill(os.getpid(), signal.SIGSTOP)


def put(path: str, told: dict[str, str] | None) -> None:
    """Note a record, with what it told, or a checkpoint that is in its place."""
    if told is not None:
        note(what="record", path=path, **told)
    elif pathlib.Path(path).name.startswith("step-"):
        note(what="checkpoint", path=path)


def told_in(file: str) -> dict[str, str] | None:
    """Status and error of the record in a file; None if it is not a record."""
    try:
        with real_open(file, encoding="utf-8") as stream:
            record = json.load(stream)
        message = str(record["error"]["message"]) if record["error"] else ""
        return {"status": str(record["status"]), "error": message[:LONGEST_ERROR]}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def moving(move: Any) -> Any:
    """`os.replace` or `os.rename`, with the moments before and after it."""

    def moved(source: Any, target: Any, **more: Any) -> Any:
        path = os.fspath(target)
        if not isinstance(path, str) or kind_of(path) is None:
            return move(source, target, **more)
        told = told_in(os.fspath(source)) if RECORD.fullmatch(path) else None
        if order := is_due(path, BEFORE):
            stop(order, path, BEFORE)
        result = move(source, target, **more)
        put(path, told)
        if order := is_due(path, AFTER):
            stop(order, path, AFTER)
        return result

    return moved


def flushing(flush: Any) -> Any:
    """`os.fsync`, at which a file that is about to be put in its place can be cut to its half."""

    def flushed(file: Any) -> None:
        descriptor = file if isinstance(file, int) else file.fileno()
        path = str(pathlib.Path(f"/proc/self/fd/{descriptor}").readlink())
        if path.endswith(".partial") and (order := is_due(path, HALF)):
            os.truncate(path, os.fstat(descriptor).st_size // 2)
            stop(order, path, HALF)
        flush(file)

    return flushed


def write_text(self: pathlib.Path, data: str, *arguments: Any, **more: Any) -> int:
    """`Path.write_text`, of which half can be written: a data set's card."""
    path = str(self)
    if not path.endswith(".partial") and (order := is_due(path, HALF)):
        real_write_text(self, data[: len(data) // 2], *arguments, **more)
        stop(order, path, HALF)
    return real_write_text(self, data, *arguments, **more)


def opening(file: Any, mode: str = "r", *arguments: Any, **more: Any) -> Any:
    """`open`, after which a figure can be empty: its libraries write into a file that they open."""
    opened = real_open(file, mode, *arguments, **more)
    path = os.fspath(file) if isinstance(file, (str, os.PathLike)) else ""
    if "w" in mode and "/figures/" in str(path) and (order := is_due(str(path), HALF)):
        stop(order, str(path), HALF)
    return opened


real_open, real_write_text = io.open, pathlib.Path.write_text
if CONTROL:
    os.replace, os.rename = moving(os.replace), moving(os.rename)
    os.fsync = flushing(os.fsync)
    pathlib.Path.write_text = write_text  # type: ignore[method-assign]
    builtins.open = opening
