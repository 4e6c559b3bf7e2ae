"""Fingerprints: the forms that a Hub card may have."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from frod_bench.cells.compose import composer
from frod_bench.cells.fingerprint import data_fingerprint
from frod_bench.cells.grid import cells_of, compose_cells
from frod_bench.common.errors import InputError
from frod_bench.common.paths import embedded_mirror_dir
from frod_bench.common.yaml_text import check_yaml
from frod_bench.data import hub_layout
from frod_bench.embedded.mirror import ensure_mirror
from tests.conftest import SHORT

FORMS = [
    'data_files: "data/*.parquet"',
    'data_files: ["data/a.parquet", "data/b.parquet"]',
    "data_files: [{split: train, path: data/a.parquet}, {split: test, path: [data/b.parquet]}]",
]


def snapshot(root: Path, card: str | None) -> Path:
    folder = root / "me" / "set"
    (folder / "data").mkdir(parents=True)
    for name in "ab":
        (folder / "data" / f"{name}.parquet").write_text(name)
    if card is not None:
        (folder / "README.md").write_text(f"---\n{card}\n---\ntext")
    return root


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_card_names_the_same_files(tmp_path: Path, form: str) -> None:
    bare = data_fingerprint("me/set", "x", None, str(snapshot(tmp_path / "bare", None)))
    card = "configs:\n- config_name: x\n  " + form
    root = snapshot(tmp_path / "card", card)
    assert data_fingerprint("me/set", "x", None, str(root)) == bare
    with pytest.raises(InputError, match="configuration 'y'"):
        data_fingerprint("me/set", "y", None, str(root))


def test_a_plan_parses_the_card_of_a_mirror_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many cells read it. A copy has a card that this process has not read before."""
    shutil.copytree(ensure_mirror(embedded_mirror_dir()) / "nyu-mll", tmp_path / "nyu-mll")
    parsed: list[str] = []

    def counted(matter: str) -> None:
        parsed.append(matter)
        check_yaml(matter)

    monkeypatch.setattr(hub_layout, "check_yaml", counted)
    grid = ["task=rte,cola,mrpc", "method=frozen,lora", "seed=0,1", f"data_root={tmp_path}"]
    _, cells = compose_cells([*grid, *SHORT])
    assert len(cells) == 12
    assert len(parsed) == 1
    assert "config_name: rte" in parsed[0]


def test_one_changed_byte_changes_the_fingerprint(tmp_path: Path) -> None:
    one = data_fingerprint("me/set", "x", None, str(snapshot(tmp_path / "1", None)))
    root = snapshot(tmp_path / "2", None)
    (root / "me/set/data/a.parquet").write_text("c")
    assert data_fingerprint("me/set", "x", None, str(root)) != one


def test_all_that_both_roots_lack_is_told_in_one_message(tmp_path: Path) -> None:
    roots = [f"data_root={tmp_path}/a", f"model_root={tmp_path}/b"]
    grid = [["profile=small", f"task={task}", *roots] for task in ("rte", "eurosat")]
    with composer() as compose_one, pytest.raises(InputError) as caught:
        cells_of(grid, compose_one)
    message = str(caught.value)
    for name in ("nyu-mll/glue", "tanganke/eurosat", "all-MiniLM-L6-v2", "dinov2-small"):
        assert message.count(name) == 2  # by its name and by the folder
    assert message.count("frod_bench.mirror out=DIR") == 2  # once a root


def test_pictures_that_a_table_names_are_part_of_the_data(tmp_path: Path) -> None:
    root = snapshot(tmp_path / "named", f"configs:\n- config_name: x\n  {FORMS[0]}")
    picture = root / "me/set/pictures/1.png"
    picture.parent.mkdir()

    def prints(values: list[object]) -> set[str]:
        """Those of two pictures of one name, in a data set whose column has these values."""
        found = set()
        for name in "ab":
            table = root / f"me/set/data/{name}.parquet"
            pd.DataFrame({"image": values, "label": 0}).to_parquet(table)
        for content in (b"one", b"another"):
            picture.write_bytes(content)
            found.add(data_fingerprint("me/set", "x", None, str(root), picture="image"))
        return found

    assert len(prints(["pictures/1.png"])) == 2
    assert len(prints([{"bytes": None, "path": "pictures/1.png"}])) == 2
    assert len(prints([{"bytes": b"the picture itself", "path": "pictures/1.png"}])) == 1
    assert len(prints([b"the picture itself"])) == 1  # of another configuration, or of its page
    plain = data_fingerprint("me/set", "x", None, str(root))
    assert prints([b"the picture itself"]) == {plain}
    picture.rename(picture.with_name(".hidden.png"))
    assert data_fingerprint("me/set", "x", None, str(root), picture="image") == plain
