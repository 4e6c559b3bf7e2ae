"""`frod-bench prune`: list what runs that were killed left among the results and in the cache, or
delete it.
"""

from collections.abc import Sequence
from pathlib import Path

from frod_bench.cells import leftovers
from frod_bench.cli.arguments import parse
from frod_bench.common import locks
from frod_bench.common.errors import InputError
from frod_bench.common.paths import cache_dir, check_writable
from frod_bench.common.terminal import shown


def prune(words: Sequence[str]) -> None:
    """Print each leftover with its size; with `delete=true` remove it. Raises InputError if the
    folder does not exist.
    """
    values = parse("prune", words).values
    root = Path(values.get("results_root", "results"))
    deletes = values.get("delete") == "true"
    if not root.is_dir():
        raise InputError(f"results_root={root}: is not a folder. Name the folder of your results.")
    if deletes:
        check_writable(root)
    found = list(dict.fromkeys([*leftovers.find(root), *leftovers.find_in_cache(cache_dir())]))
    if deletes:
        found = [one for one in found if leftovers.remove(one)]
        for folder in {one.place.results_dir for one in found if one.place is not None}:
            locks.remove_empty(folder / "checkpoints")
    for one in found:
        size = _megabytes(one.size_bytes)
        print(shown(f"{size:>12}  {one.kind:<10}  {one.path}", in_a_line=True))
    total = f"{len(found)} leftovers, {_megabytes(sum(one.size_bytes for one in found))}"
    hint = " delete=true deletes them." if found and not deletes else ""
    print(f"{total}, {'deleted from' if deletes else 'in'} {root} and the cache.{hint}")


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"
