"""Cards whose patterns lead out of the data set's folder are refused, and nothing is read."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from datasets import Dataset

from frod_bench.cells.fingerprint import data_fingerprint
from frod_bench.common.errors import InputError
from frod_bench.data import source
from frod_bench.data.hub_layout import data_patterns, files_of, split_files
from frod_bench.data.images import ImageEncoder
from tests.data.conftest import Load, png, task_config, write_sample

TASK = task_config("rte")


def write_card(root: Path, configs: list[dict[str, Any]], name: str = "README.md") -> Path:
    card = root / TASK.hub_id / name
    card.parent.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump({"configs": configs})
    card.write_text(f"---\n{text}---\n" if name == "README.md" else text)
    return card


def secret(root: Path) -> Path:
    """A table next to the mirror, which any pattern that leaves it would find."""
    path = root / "secret" / "rows.parquet"
    path.parent.mkdir()
    rows = [{"sentence1": "s", "sentence2": "s", "label": 0, "idx": 0}]
    Dataset.from_list(rows).to_parquet(path)
    return path


def outside(root: Path) -> dict[str, dict[str, Any]]:
    path = secret(root)
    return {
        "upwards": {"data_files": "../../../secret/*"},
        "absolute": {"data_files": str(path)},
        "a list": {"data_files": ["rte/*", f"{path.parent}/*"]},
        "a split": {"data_files": [{"split": "train", "path": ["a/../../../../secret/*.parquet"]}]},
        "an address": {"data_files": f"file://{path}"},
        "a chain": {"data_files": f"*::file://{path}"},
        "a folder": {"data_dir": "../../../secret"},
        "an absolute folder": {"data_dir": str(path.parent)},
        "a folder for files": {"data_dir": "../../../secret", "data_files": "rows.parquet"},
    }


KINDS = (
    *("upwards", "absolute", "a list", "a split", "an address", "a chain"),
    *("a folder", "an absolute folder", "a folder for files"),
)


@pytest.mark.parametrize("other", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_pattern_that_leaves_the_folder_is_refused(
    tmp_path: Path, load: Load, kind: str, other: bool
) -> None:
    mirror = tmp_path / "mirror"
    entry = outside(tmp_path)[kind]
    write_sample(mirror, TASK)
    own = {"config_name": TASK.hub_config, "data_files": f"{TASK.hub_config}/train*"}
    name = "another" if other else TASK.hub_config
    card = write_card(mirror, [*([own] if other else []), {"config_name": name, **entry}])
    folder = card.parent
    message = rf"{card}: data_(files|dir) '.*' of configuration '{name}' leads out of"
    for read in (
        lambda: files_of(folder, TASK.hub_config),
        lambda: split_files(folder, TASK.hub_config),
        lambda: data_patterns(folder, TASK.hub_config),
        lambda: data_fingerprint(TASK.hub_id, TASK.hub_config, None, str(mirror)),
        lambda: load(TASK, data_root=mirror),
    ):
        with pytest.raises(InputError, match=message):
            read()


def test_dashes_within_a_line_of_a_card_hide_no_pattern(tmp_path: Path, load: Load) -> None:
    """Front matter ends at a line of ---, as `datasets` reads it."""
    path = secret(tmp_path)
    folder = tmp_path / "mirror" / TASK.hub_id
    folder.mkdir(parents=True)
    (folder / "train.parquet").write_bytes(path.read_bytes())
    hidden = yaml.safe_dump([{"config_name": "default", "data_files": str(path)}])
    (folder / "README.md").write_text(f"---\nx: 1 # ---\nconfigs:\n{hidden}---\n")
    with pytest.raises(InputError, match=r"data_files '.*secret/rows.parquet' .* leads out of"):
        load(TASK, data_root=tmp_path / "mirror")


def test_a_yaml_next_to_the_card_reads_nothing_outside(tmp_path: Path, load: Load) -> None:
    path = secret(tmp_path)
    folder = tmp_path / "mirror" / TASK.hub_id
    folder.mkdir(parents=True)
    (folder / "train.parquet").write_bytes(path.read_bytes())
    entry = {"config_name": "default", "data_files": str(path)}
    write_card(tmp_path / "mirror", [entry], ".huggingface.yaml")
    with pytest.raises(InputError, match=r"secret/rows.parquet read for the split"):
        load(TASK, data_root=tmp_path / "mirror")


def test_files_that_are_links_are_read_as_in_a_hub_cache(tmp_path: Path, load: Load) -> None:
    write_sample(tmp_path / "mirror", TASK)
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    for number, file in enumerate((tmp_path / "mirror").rglob("*.*")):
        if file.is_file():
            file.rename(blobs / str(number))
            file.symlink_to(blobs / str(number))
    (tmp_path / "link").symlink_to(tmp_path / "mirror")
    for root in ("mirror", "link"):
        assert len(load(TASK, data_root=tmp_path / root).train) == 32


def test_a_row_reads_no_image_from_outside(tmp_path: Path) -> None:
    for name in ("set/own.png", "outside.png", "arrow/unpacked.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(png(0))
    (tmp_path / "set/linked.png").symlink_to(tmp_path / "outside.png")
    encoder = ImageEncoder("image", 8, [0.5] * 3, [0.5] * 3, tmp_path / "set")
    unpacked = str(tmp_path / "arrow/unpacked.png")  # where `datasets` unpacks an archive
    paths = ("own.png", str(tmp_path / "set/own.png"), "linked.png", unpacked)
    beyond = ("../outside.png", str(tmp_path / "outside.png"), str(tmp_path / "set/../outside.png"))
    rows = [{"image": {"bytes": None, "path": path}} for path in paths]
    assert all(one.inputs is not None for one in encoder.encode(rows))
    of_the_hub = ImageEncoder("image", 8, [0.5] * 3, [0.5] * 3, None)
    for reader, path in [(encoder, path) for path in beyond] + [(of_the_hub, beyond[1])]:
        with pytest.raises(InputError, match="is not in the data set's folder"):
            reader.encode([{"image": {"bytes": None, "path": path}}])


class HubBuilder:
    """What `datasets` has made of a card on the Hub."""

    def __init__(self, file: str) -> None:
        self.config = self
        self.data_files = {"train": [file]}
        self.prepared = False

    def download_and_prepare(self, **_: object) -> None:
        self.prepared = True

    def as_dataset(self) -> str:
        return "rows"


@pytest.mark.parametrize(
    ("file", "is_read"),
    [
        ("hf://datasets/nyu-mll/glue@abc/rte/train.parquet", True),
        ("/etc/passwd", False),
        ("file:///etc/passwd", False),
        ("hf://datasets/nyu-mll/glue@abc/../../x", False),
    ],
)
def test_a_card_on_the_hub_reads_no_file_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, file: str, is_read: bool
) -> None:
    builder = HubBuilder(file)
    monkeypatch.setattr(source.datasets, "load_dataset_builder", lambda *_, **__: builder)
    if is_read:
        assert source.read_data_set(TASK, None) == "rows"
    else:
        with pytest.raises(
            InputError, match=r"nyu-mll/glue: its card.* read for the split 'train'"
        ):
            source.read_data_set(TASK, None)
    assert builder.prepared == is_read
