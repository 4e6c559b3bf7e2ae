"""The main job: run the missing cells of a grid, write its report, and compare it with the
published run.

If nothing is missing and the report is current, the job says so and prints the comparison that
was kept. The modules that a report needs are imported only when a report is written.
"""

from collections.abc import Sequence

from frod_bench.cells.grid import compose_cells
from frod_bench.cells.results import code_version
from frod_bench.common.errors import CellsFailed, CellsRefused, InputError
from frod_bench.common.paths import REFERENCE_DIR
from frod_bench.common.terminal import plain_console
from frod_bench.jobs import manifest
from frod_bench.jobs.run import sweep
from frod_bench.report.asked import (
    MANIFEST,
    asked_cells,
    folder_of,
    parse,
    refuse_nameless,
    refuse_same,
)


def reproduce(words: Sequence[str]) -> None:
    """Run and report.

    Raises CellsFailed or CellsRefused, after the report, if a run failed.
    """
    console = plain_console(stderr=True)
    part, overrides, _ = parse(words, "reproduce")
    console.print("planning the grid")
    config, cells = compose_cells(overrides)
    refuse_nameless(config)
    refuse_same(asked_cells(cells))
    if not (REFERENCE_DIR / "published").is_dir():  # told before hours of runs
        raise InputError(
            f"{REFERENCE_DIR.resolve() / 'published'}: is missing, and a report compares with what "
            "it holds. Restore results/reference from git; a folder that is mounted over results/ "
            "hides it, so name another one, results_root=DIR."
        )
    failed: CellsFailed | CellsRefused | None = None
    try:
        sweep(config, cells)
    except (CellsFailed, CellsRefused) as error:
        failed = error
    if config.plan_only:
        return
    path = folder_of(config) / MANIFEST
    sources = manifest.sources_of(cells, manifest.options_of(config), part)
    _, is_dirty = code_version()
    lines = None if is_dirty else manifest.compared_lines(path, sources)
    if lines is not None:
        console.print(f"Tables, figures and page in {folder_of(config)} are up to date.")
    else:
        from frod_bench.jobs.verify import compared  # pandas and scipy: only for a report
        from frod_bench.report.command import report

        try:
            written = report(part, config, cells, console)
        except InputError as error:  # there may be nothing to report, and the sweep says why
            if failed is None:
                raise
            console.print(f"no report: {error}", soft_wrap=True)
            raise failed from error
        lines = compared(cells, cells[0].profile, written.collected)
        try:
            manifest.write(path, sources, written.paths, lines)
        except OSError as error:
            console.print(f"{path}: cannot be written ({error}); the next run reports again.")
    for line in lines:
        console.print(line, soft_wrap=True)
    if failed is not None:
        raise failed
