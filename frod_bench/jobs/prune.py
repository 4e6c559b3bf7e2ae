"""`frod-bench prune`: list what runs that were killed left among the results and in the cache, or
delete it.
"""

from collections.abc import Sequence
from pathlib import Path

from frod_bench.cells import leftovers
from frod_bench.cells.leftovers import Leftover
from frod_bench.cli.arguments import parse
from frod_bench.common import locks
from frod_bench.common.errors import InputError
from frod_bench.common.paths import cache_dir, check_writable
from frod_bench.common.terminal import shown


def prune(words: Sequence[str]) -> None:
    """Print each leftover with its size; with `delete=true` remove them after that. Raises
    InputError if the folder does not exist, and OSError at the end if one cannot be deleted.
    """
    values = parse("prune", words).values
    root = Path(values.get("results_root", "results"))
    deletes = values.get("delete") == "true"
    if not root.is_dir():
        raise InputError(f"results_root={root}: is not a folder. Name the folder of your results.")
    if deletes:
        check_writable(root)
    found = list(dict.fromkeys([*leftovers.find(root), *leftovers.find_in_cache(cache_dir())]))
    for one in found:
        size = _megabytes(one.size_bytes)
        print(shown(f"{size:>12}  {one.kind:<10}  {one.path}", in_a_line=True), flush=True)
    errors: list[OSError] = []
    counted = found
    if deletes:
        counted = [one for one in found if _removed(one, errors)]
        for folder in {one.place.results_dir for one in counted if one.place is not None}:
            locks.remove_empty(folder / "checkpoints")
    total = f"{len(counted)} leftovers, {_megabytes(sum(one.size_bytes for one in counted))}"
    hint = " delete=true deletes them." if found and not deletes else ""
    print(f"{total}, {'deleted from' if deletes else 'in'} {root} and the cache.{hint}")
    if errors:
        raise errors[0]


def _removed(one: Leftover, errors: list[OSError]) -> bool:
    """Remove a leftover; False, with a line, if a process needs it by now, or if it cannot be
    deleted, which is added to `errors`.
    """
    try:
        if leftovers.remove(one):
            return True
        reason = "a process needs it"
    except OSError as error:
        errors.append(error)
        reason = "it cannot be deleted"
    print(shown(f"{one.path} stays: {reason}.", in_a_line=True))
    return False


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"
