"""That a method fits a backbone is found once, kept with all that it depends on, and a refusal is
never kept.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from frod_bench.cells.cell import Cell
from frod_bench.common.errors import InputError
from frod_bench.common.paths import SHIPPED_BACKBONES_DIR
from frod_bench.jobs import known_fits, run
from frod_bench.plan import shapes
from tests.conftest import SHORT, MakeCell

WORDS = ("task=rte", "method=lora")


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The methods for which a backbone is built, with a cache of its own."""
    names: list[str] = []
    ours = shapes.prepare_shapes

    def prepare(*arguments: Any) -> object:
        names.append(arguments[2].name)
        return ours(*arguments)

    monkeypatch.setattr(shapes, "prepare_shapes", prepare)
    monkeypatch.setattr(known_fits, "cache_dir", lambda: tmp_path / "cache")
    return names


@pytest.fixture
def cell(make_cell: MakeCell) -> Cell:
    return make_cell(*WORDS)


def test_a_method_that_fitted_is_not_built_again(
    built: list[str], cell: Cell, make_cell: MakeCell
) -> None:
    run.check_methods([cell])
    run.check_methods([cell])
    others = ("task=mnli", "seed=1", "method.learning_rates.adapter=0.5", "trainer.max_steps=2")
    run.check_methods([make_cell("method=lora", *others)])
    assert built == ["lora"]
    run.check_methods([cell, make_cell("task=rte", "method=full")])
    assert built == ["lora", "full"]


def method(cell: Cell, **values: Any) -> Cell:
    settings = cell.settings
    return replace(cell, settings=replace(settings, method=replace(settings.method, **values)))


def backbone(cell: Cell, **values: Any) -> Cell:
    settings = cell.settings
    other = {settings.task.family: replace(settings.backbone, **values)}
    return replace(cell, settings=replace(settings, backbones=settings.backbones | other))


CHANGES: dict[str, Callable[[Cell], Cell]] = {
    "an argument": lambda cell: method(cell, peft=cell.settings.method.peft | {"r": 3}),
    "a group": lambda cell: method(cell, learning_rates={"adapter": 1.0, "x": 1.0}),
    "targets": lambda cell: backbone(cell, target_modules=["query", "key"]),
    "their number": lambda cell: backbone(cell, modules_per_block=5),
    "another backbone": lambda cell: backbone(cell, hub_id="decoder"),
    "the head": lambda cell: replace(cell, settings=replace(cell.settings, head="rank")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_question_has_another_key(cell: Cell, change: str) -> None:
    assert known_fits.key_of(CHANGES[change](cell)) != known_fits.key_of(cell)


def test_other_versions_and_other_code_have_another_key(
    cell: Cell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keys = [known_fits.key_of(cell)]
    for package in ("torch", "transformers", "peft"):
        versions = known_fits.package_versions() | {package: "0.0"}
        with monkeypatch.context() as patch:
            patch.setattr(known_fits, "package_versions", lambda versions=versions: versions)
            keys.append(known_fits.key_of(cell))
    monkeypatch.setattr(known_fits, "PACKAGE_DIR", tmp_path)
    monkeypatch.setattr(known_fits, "_code", known_fits._code.__wrapped__)
    for file, text in (("a.py", "1"), ("a.py", "2"), ("b.py", "2"), ("models/published.json", "")):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text)
        keys.append(known_fits.key_of(cell))
    assert len(set(keys)) == len(keys)


def test_a_backbone_whose_configuration_changed_is_checked_again(
    built: list[str], cell: Cell, tmp_path: Path
) -> None:
    hub_id = cell.settings.backbone.hub_id
    shutil.copytree(SHIPPED_BACKBONES_DIR / hub_id, tmp_path / hub_id)
    moved = replace(cell, settings=replace(cell.settings, model_root=str(tmp_path)))
    run.check_methods([cell])
    run.check_methods([moved])  # the same configuration in another folder
    assert built == ["lora"]
    file = tmp_path / hub_id / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model_type": "gpt2"}))
    with pytest.raises(InputError, match="target_modules"):
        run.check_methods([moved])
    assert built == ["lora", "lora"]


def test_a_refusal_and_what_cannot_be_told_are_not_kept(
    built: list[str], tmp_path: Path, make_cell: MakeCell
) -> None:
    refused = make_cell(*WORDS, "+method.peft.target_modules=[nowhere]")
    needs_values = make_cell("task=rte", "method=frod_peft")
    for _ in range(2):
        with pytest.raises(InputError, match="'nowhere' matches"):
            run.check_methods([refused])
        run.check_methods([needs_values])
    assert built == ["lora", "frod_peft"] * 2
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("damage", [b"", b"\xff\x00", b"0" * 63, b"0" * 64 + b" ok", b"x" * 64])
def test_a_damaged_cache_is_as_good_as_none(
    built: list[str], cell: Cell, tmp_path: Path, damage: bytes
) -> None:
    cache = tmp_path / "cache" / known_fits.FILE
    cache.parent.mkdir()
    cache.write_bytes(damage + b"\n")
    for _ in range(2):
        run.check_methods([cell])
    assert built == ["lora"]
    kept = cache.read_bytes().removeprefix(damage + b"\n")
    assert kept == f"{known_fits.key_of(cell)}\n".encode()
    cache.write_bytes(kept[:-2])  # the line is cut short
    run.check_methods([cell])
    assert built == ["lora", "lora"]


def test_a_cache_that_cannot_be_written_is_done_without(
    built: list[str], cell: Cell, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file in the folder's place")
    run.check_methods([cell])
    run.check_methods([cell])
    assert built == ["lora", "lora"]


def test_a_second_plan_imports_neither_torch_nor_transformers(
    built: list[str], cell: Cell, tmp_path: Path
) -> None:
    run.check_methods([cell])
    assert built == ["lora"]
    words = ["-m", f"results_root={tmp_path}/results", *SHORT, *WORDS, "plan_only=true"]
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from frod_bench.jobs import known_fits, run\n"
        f"known_fits.cache_dir = lambda: Path({str(tmp_path / 'cache')!r})\n"
        f"run.run({words!r})\n"
        "sys.exit(', '.join({'torch', 'transformers', 'peft'} & set(sys.modules)) or None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert "1 of 1 cells would run" in done.stdout
