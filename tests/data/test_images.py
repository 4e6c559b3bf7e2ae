"""Pictures: modes, sizes, normalisation, broken files, memory."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Image
from PIL import ExifTags
from PIL import Image as Pillow

from frod_bench.common.errors import InputError
from frod_bench.config.settings import BackboneConfig
from frod_bench.data import rows as rows_module
from frod_bench.data.images import image_encoder
from frod_bench.data.task import check_inputs
from tests.data.conftest import Load, png, task_config, write_mirror

Backbones = dict[str, tuple[BackboneConfig, Path]]


def _mirror(root: Path, pictures: list[bytes]) -> Any:
    task = task_config("svhn")
    rows = [
        {"image": {"bytes": picture, "path": None}, "label": i % 10}
        for i, picture in enumerate(pictures)
    ]
    write_mirror(root, task, {"train": rows, "test": rows})
    return task


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "LA", "I;16"])
def test_any_mode_becomes_rgb(mode: str, load: Load, tmp_path: Path) -> None:
    pictures = [png(i) for i in range(9)] + [png(9, mode)]
    data = load(_mirror(tmp_path, pictures))
    batch = data.collate(list(data.tests["test"]))
    assert batch["pixel_values"].shape == (10, 3, 32, 32)
    assert torch.isfinite(batch["pixel_values"]).all()


def test_pixels_are_scaled_and_normalised_as_for_the_checkpoint(load: Load, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Pillow.new("RGB", (20, 10), (255, 102, 0)).save(buffer, "PNG")
    data = load(_mirror(tmp_path, [buffer.getvalue()] * 10))
    pixels = data.collate([data.train[0]])["pixel_values"][0]
    expected = torch.tensor([(1.0 - 0.5) / 0.1, (0.4 - 0.4) / 0.2, (0.0 - 0.3) / 0.3])
    torch.testing.assert_close(pixels, expected[:, None, None].expand(3, 32, 32))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_rotated_by_its_exif_orientation(
    orientation: int, load: Load, tmp_path: Path
) -> None:
    """As `datasets` itself decodes what a camera wrote."""
    picture = Pillow.open(io.BytesIO(png(1, size=(32, 32))))
    exif = picture.getexif()
    exif[ExifTags.Base.Orientation] = orientation
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", exif=exif)
    stored = {"bytes": buffer.getvalue(), "path": None}
    data = load(_mirror(tmp_path, [buffer.getvalue()] * 10))
    expected = np.asarray(Image().decode_example(stored).convert("RGB")).transpose(2, 0, 1)
    assert np.array_equal(data.train[0].inputs.numpy(), expected)
    assert np.array_equal(np.asarray(picture).transpose(2, 0, 1), expected) == (orientation == 1)


def test_broken_images_are_counted(load: Load, tmp_path: Path) -> None:
    pictures = [png(i) for i in range(200)]
    pictures[5] = b"no picture"
    pictures[6] = pictures[6][: len(pictures[6]) // 2]
    data = load(_mirror(tmp_path, pictures))
    assert data.counts.rows_unusable == 4
    assert {5, 6}.isdisjoint(data.tests["test"].ids)


def test_many_broken_images_are_refused(load: Load, tmp_path: Path) -> None:
    pictures = [png(i) for i in range(38)] + [b"no picture"] * 2
    with pytest.raises(InputError, match="2 with an image that cannot be decoded"):
        load(_mirror(tmp_path, pictures))


def test_images_beyond_the_memory_limit_are_decoded_when_read(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = [png(i) for i in range(10)]
    kept = load(_mirror(tmp_path / "kept", pictures), data_root=tmp_path / "kept")
    monkeypatch.setattr(rows_module, "MAX_KEPT_BYTES", 3 * 3 * 32 * 32)
    lazy = load(_mirror(tmp_path / "lazy", pictures), data_root=tmp_path / "lazy")
    first, second = lazy.tests["test"][9], lazy.tests["test"][9]
    assert first.inputs is not second.inputs
    assert torch.equal(first.inputs, kept.tests["test"][9].inputs)
    assert lazy.tests["test"][0] is lazy.tests["test"][0]


def test_a_column_without_images_is_refused(load: Load, tmp_path: Path) -> None:
    task = _mirror(tmp_path, [png(i) for i in range(10)])
    with pytest.raises(InputError, match="would show the label"):
        load(replace(task, input_columns=["label"], label_column="label"))


def test_a_text_backbone_on_images_is_refused(backbones: Backbones) -> None:
    backbone, path = backbones["nlu"]
    with pytest.raises(InputError, match=r"backbones\.vision\.image_size=0: .*choose a backbone"):
        check_inputs(task_config("eurosat"), backbone, "classify")
    with pytest.raises(InputError, match="the image processor of"):
        image_encoder("image", replace(backbone, image_size=32), str(path))


def test_images_are_bytes_until_they_are_stacked(load: Load, tmp_path: Path) -> None:
    data = load(_mirror(tmp_path, [png(i) for i in range(10)]))
    assert data.train[0].inputs.dtype == torch.uint8
    assert np.prod(data.train[0].inputs.shape) == 3 * 32 * 32


def test_broken_images_of_other_seeds_are_not_counted(load: Load, tmp_path: Path) -> None:
    pictures = [png(i) for i in range(300)]
    pictures[5] = b"no picture"
    task = _mirror(tmp_path, pictures)
    few = {"train_rows": 120, "test_rows": 1, "validation_percent": 0}
    before = [load(task, seed=seed, **few).counts for seed in range(6)]
    assert {counts.rows_unusable for counts in before} == {0, 1}
    assert [load(task, seed=seed, **few).counts for seed in range(6)] == before
