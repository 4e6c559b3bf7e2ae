"""Pictures as tensors: RGB, squared to the backbone's size, normalised as it expects."""

import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import torch
from huggingface_hub import constants
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torchvision.transforms import InterpolationMode
from torchvision.transforms import v2 as transforms
from transformers import AutoImageProcessor

from frod_bench.common.errors import InputError
from frod_bench.common.names import is_below
from frod_bench.config.settings import BackboneConfig
from frod_bench.data.rows import Encoded, Inputs
from frod_bench.models.loading import readable


class ImageEncoder:
    """One column of pictures (family `vision`)."""

    columns: tuple[str, ...] = ()  # nothing of a picture is known before it is decoded

    def __init__(
        self,
        column: str,
        size: int,
        mean: Sequence[float],
        std: Sequence[float],
        folder: Path | None = None,
    ) -> None:
        self._column = column
        self._folder = folder  # what relative paths of pictures start from, and all lie in
        self.row_bytes = 3 * size * size
        self._resize = transforms.Compose(
            [
                transforms.Resize((size, size), InterpolationMode.BICUBIC, antialias=True),
                transforms.PILToTensor(),
            ]
        )
        self._normalise = transforms.Compose(
            [
                transforms.ToDtype(torch.float32, scale=True),
                transforms.Normalize(mean=list(mean), std=list(std)),
            ]
        )

    def problem(self, _row: Mapping[str, Any]) -> str | None:
        """Only decoding tells."""
        return None

    def places(self, _row: Mapping[str, Any]) -> int | None:
        """A picture may be of any class."""
        return None

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> list[Encoded]:
        """Bytes (3, size, size) of each picture."""
        return [Encoded(self._decode(row[self._column])) for row in rows]

    def stack(self, inputs: Sequence[Inputs]) -> dict[str, torch.Tensor]:
        """`pixel_values` (N, 3, size, size) float32, normalised."""
        pictures = torch.stack([picture for picture in inputs if torch.is_tensor(picture)])
        return {"pixel_values": self._normalise(pictures)}

    def _decode(self, stored: Mapping[str, Any] | None) -> torch.Tensor | None:
        if stored is None:
            return None
        content = stored["bytes"]
        try:
            with warnings.catch_warnings():
                # Pillow would rather see transparent palettes as RGBA; the colours are the same.
                warnings.simplefilter("ignore", UserWarning)
                picture = self._file(stored["path"]) if content is None else io.BytesIO(content)
                with Image.open(picture) as file:
                    return self._resize(_rgb(_upright(file)))
        except InputError:  # a ValueError, and not a damaged picture
            raise
        except (
            UnidentifiedImageError,
            Image.DecompressionBombError,
            OSError,
            SyntaxError,
            ValueError,
            TypeError,
            AttributeError,
        ):
            return None

    def _file(self, path: str) -> Path:
        """A picture that is a file of its own. Raises InputError if it is not the data set's."""
        # The Hub's pictures, and those of an archive in the folder, are in the clients' caches.
        unpacked = Path(datasets.config.HF_DATASETS_CACHE)
        home = self._folder or Path(constants.HF_HUB_CACHE)
        file = Path(path) if self._folder is None else self._folder / path
        if not (is_below(file, home) or is_below(file, unpacked)):
            raise InputError(
                f"{self._folder}: a row's picture {path!r} is not in the data set's folder. Put "
                "the pictures there, and name them from there."
            )
        return file


def _upright(file: Image.Image) -> Image.Image:
    """Turned as the camera noted in EXIF that it was held, as `datasets` decodes pictures."""
    turned = file.getexif().get(ExifTags.Base.Orientation) is not None
    return ImageOps.exif_transpose(file) if turned else file


def _rgb(file: Image.Image) -> Image.Image:
    if file.mode.startswith("I"):  # 16 bits of grey, which Pillow would cut off at 255: white
        file = file.convert("I").point(lambda value: value * (1 / 256))
    return file.convert("RGB")


def image_encoder(
    column: str, backbone: BackboneConfig, backbone_path: str, folder: Path | None = None
) -> ImageEncoder:
    """An encoder with the mean and deviation that the backbone's image processor states.

    Args:
        backbone_path: a folder, or the Hub id.
        folder: the data set's, from which the paths of pictures that are files of their own start.

    Raises:
        InputError: the backbone has no image processor, or no size is given.
    """
    if backbone.image_size <= 0:
        raise InputError(
            f"backbone.image_size: {backbone.image_size} of {backbone.name}, whose task reads "
            "images. A language model has none and cannot read them: choose a vision backbone, or "
            "give the pixels of a side, 224 say."
        )
    with readable(backbone_path, "image processor", "A task on images needs a vision model"):
        processor = AutoImageProcessor.from_pretrained(
            backbone_path, revision=backbone.revision, trust_remote_code=False
        )
    return ImageEncoder(
        column, backbone.image_size, processor.image_mean, processor.image_std, folder
    )
