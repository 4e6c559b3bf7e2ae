"""Names are folders, and nothing that a user, a record or a mirror names leaves its root."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from frod_bench.cells.grid import compose_cells
from frod_bench.common import atomic, names
from frod_bench.common.errors import InputError
from frod_bench.common.paths import CONF_DIR
from frod_bench.records import hashing, schema, store
from frod_bench.records.schema import RecordError
from tests.conftest import SHORT, MakeCell
from tests.report.factory import make_record

ROOT = Path(__file__).parents[2]
OUTSIDE = "../../../../escape"
BAD = (OUTSIDE, "..", ".", "", "a/b", "/etc", "a\\b", ".hidden", "-x", "ä", "a b", "a\n", "a" * 101)
GOOD = ("a", "1", "clip_vit_b32", "Llama-2-7b-hf", "a..b", "x.", "a" * 100)


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_folders_name_is_none(name: str) -> None:
    assert not names.is_name(name)
    with pytest.raises(InputError, match=r"task.name=.* must be a text of letters"):
        names.check_name("task.name", name)


@pytest.mark.parametrize("name", GOOD)
def test_folders_names(name: str) -> None:
    names.check_name("task.name", name)
    names.check_hub_id("task.hub_id", name)
    names.check_hub_id("task.hub_id", f"owner/{name}")


@pytest.mark.parametrize("value", [*BAD[:4], "/etc", "a/b/c", "a//b", "a/", "/a", "a/..", "./a", 7])
def test_what_is_no_hub_id(value: object) -> None:
    with pytest.raises(InputError, match="must be NAME or OWNER/NAME"):
        names.check_hub_id("task.hub_id", value)


NAMES = st.text("aZ0._-", min_size=1, max_size=9).filter(names.is_name)


@given(NAMES, NAMES)
def test_names_and_ids_stay_below_their_root(one: str, two: str) -> None:
    for part in (one, f"{one}/{two}"):
        assert names.is_hub_id(part)
        assert names.stays(part)
        assert names.inside("/root", part) == Path("/root") / part


@given(st.text("a./\\:~", max_size=6))
def test_what_leaves_its_root_is_neither_a_name_nor_an_id(text: str) -> None:
    leaves = not Path("/root", text.replace("\\", "/")).resolve().is_relative_to("/root/")
    assert not (leaves and (names.is_name(text) or names.is_hub_id(text) or names.stays(text)))


@pytest.mark.parametrize(
    "path",
    [
        *("..", "../x", "a/../../x", "a/..", "/etc/*", "..\\x", "a\\..\\x", "\\\\host\\x", "c:/x"),
        *("file:///etc/passwd", "https://host/x", "hf://datasets/a/b", "*::file:///etc/passwd"),
    ],
)
def test_paths_that_leave_where_they_start(path: str) -> None:
    assert not names.stays(path)


@pytest.mark.parametrize(
    "path", ["a", "a/b*", "**/*.parquet", "./a", "a..b/c", "data/t-[0-9]*", "", "12:00.csv"]
)
def test_paths_that_stay(path: str) -> None:
    assert names.stays(path)


def test_a_link_that_leads_out_of_the_root_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "out").symlink_to(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "root")
    assert names.inside(tmp_path / "link", "a", "b") == tmp_path / "link/a/b"  # the root may be one
    for parts in (("out", "a"), ("..", "a"), ("/etc",)):
        with pytest.raises(InputError, match="leads out of"):
            names.inside(tmp_path / "root", *parts)
    cell: Any = make_record()["cell"] | {"profile": "out"}
    with pytest.raises(InputError, match="leads out of"):
        store.record_path(tmp_path / "root", cell)


FIELDS = [
    *("task.name", "method.name", "profile.name", "protocol.name", "suite.name"),
    *("backbones.nlu.name", "backbones.vision.name", "experiment.name"),
    *("task.hub_id", "backbones.nlu.hub_id", "task.hub_config"),
]


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", [OUTSIDE, ".."])
def test_a_name_on_the_command_line_cannot_lead_elsewhere(
    tmp_path: Path, field: str, value: str
) -> None:
    words = ["experiment=main_table", "task=rte", "method=lora", "seed=0", *SHORT]
    with pytest.raises(InputError, match=rf"^{field}='{value}' must be"):
        compose_cells([*words, f"results_root={tmp_path}/a/b/c/d", f"{field}={value}"])
    assert not list(tmp_path.iterdir())


def test_places_of_a_cell_are_under_its_results(make_cell: MakeCell, tmp_path: Path) -> None:
    cell = make_cell("task=rte", "method=lora")
    for place in (cell.record_path, cell.place("checkpoints"), cell.adapter_path):
        assert place.is_relative_to(tmp_path / "results")
    (cell.results_dir / "checkpoints").mkdir(parents=True)
    (cell.results_dir / "checkpoints/rte").symlink_to(tmp_path)
    with pytest.raises(InputError, match=r"checkpoints/rte/lora/.*: leads out of"):
        cell.place("checkpoints")


@pytest.mark.parametrize("name", ["task", "method", "profile", "protocol", "backbone"])
def test_a_record_whose_cell_is_no_folder_is_none(tmp_path: Path, name: str) -> None:
    [path, *_] = sorted((ROOT / "results/reference/small/records").rglob("*.json"))
    document: Any = json.loads(path.read_text())
    document["cell"][name] = OUTSIDE
    config = document["config"]
    part = config["backbones"][document["cell"]["family"]] if name == "backbone" else config[name]
    part["name"] = OUTSIDE
    provenance = document["provenance"]
    prints = provenance["data_fingerprint"], provenance["backbone_fingerprint"]
    digest = hashing.config_hash(hashing.identity(config, *prints))
    document["cell"]["config_hash"] = digest
    with pytest.raises(RecordError, match=rf"cell\.{name} is '{OUTSIDE}'; it must be a text"):
        schema.validate(document)
    (tmp_path / f"{document['cell']['seed']}-{digest}.json").write_text(json.dumps(document))
    found, [unusable] = store.scan(tmp_path)
    assert not found
    assert f"cell.{name}" in unusable.reason


def test_the_records_in_the_repository_are_valid() -> None:
    found, unusable = store.scan(ROOT / "results/reference/small/records")
    assert len(found) == 90
    assert not unusable


def test_every_committed_name_is_a_folders() -> None:
    groups = ("task", "method", "profile", "protocol", "suite", "backbone")
    files = [file for group in groups for file in sorted((CONF_DIR / group).glob("*.yaml"))]
    assert len(files) > 40
    for file in files:
        names.check_name(str(file), file.stem)
        config = OmegaConf.to_container(OmegaConf.load(file))
        assert isinstance(config, dict)
        name = str(config.get("name", file.stem))
        if not name.startswith("${"):
            names.check_name(str(file), name)
        if "hub_id" in config:
            names.check_hub_id(str(file), config["hub_id"])


@pytest.mark.parametrize("unit", ["frod_", "ζ"])
def test_a_stem_that_is_too_long_is_cut_and_stays_distinct(unit: str) -> None:
    stems = {names.short_stem(unit * 300 + ending) for ending in "ab"}
    assert len(stems) == 2
    for stem in stems:
        assert stem.startswith(unit)
        path = atomic.temporary(Path(f"{stem}_column.png"))
        assert len(path.name.encode()) <= names.LONGEST_FILE_NAME
    assert names.short_stem("compare_rte_frod_lora") == "compare_rte_frod_lora"
