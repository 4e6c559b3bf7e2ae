"""`frod-bench archive`: pack a results folder into parts for a repository, or unpack them."""

from collections.abc import Sequence
from pathlib import Path

from frod_bench.cli.arguments import parse
from frod_bench.common.errors import InputError
from frod_bench.common.names import resolved
from frod_bench.common.paths import check_writable
from frod_bench.records import archive as parts
from frod_bench.records.parts import PARTS, parts_of


def archive(words: Sequence[str]) -> None:
    """Pack or unpack, and print what was written. Raises InputError if there is nothing to do."""
    asked = parse("archive", words)
    folder = Path(asked.values.get("folder", ""))
    if "folder" not in asked.values or not (folder / "records").is_dir():
        raise InputError(
            f"folder={folder}: has no records. Name a folder that holds records/, such as "
            "results/embedded."
        )
    if "out" not in asked.values:
        raise InputError(
            "out: is missing. Name another folder, whose records/ gets "
            + ("the runs." if asked.action == "unpack" else "the new part.")
        )
    out = Path(asked.values["out"])
    if resolved(out, "out") == resolved(folder, "folder"):
        raise InputError(
            f"out={out}: is the folder itself, and no reader accepts parts and records as files in "
            "one folder. Name another one."
        )
    unpacks = asked.action == "unpack"
    check_writable(out, "out", may_be_published=not unpacks)
    if parts_of(out) if unpacks else any((out / "records").glob("*/*/*.json")):
        kind = "parts" if unpacks else "records as files"
        raise InputError(
            f"out={out}: has {kind}, and no reader takes parts and records as files in one folder. "
            "Name another one."
        )
    if unpacks:
        found = parts_of(folder)
        if not found:
            raise InputError(f"folder={folder}: has no parts to unpack (records/{PARTS}).")
        print(f"{parts.unpack(found, out / 'records')} runs written to {out / 'records'}")
        return
    made, count = parts.pack(folder, out)
    print(f"{count} runs in {made}" if made else f"{out} has all runs of {folder} already.")
