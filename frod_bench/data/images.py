"""Images as tensors: RGB, resized to the backbone's square, normalised as it expects."""

import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import torch
from huggingface_hub import constants
from PIL import Image, ImageOps
from torchvision.transforms import InterpolationMode
from torchvision.transforms import v2 as transforms
from transformers import AutoImageProcessor

from frod_bench.common.errors import InputError
from frod_bench.common.names import is_below
from frod_bench.config.settings import BackboneConfig
from frod_bench.data.rows import Encoded, Encoder, Inputs
from frod_bench.models.loading import readable

# What Pillow raises for a broken file, besides DecompressionBombError.
_BROKEN = (OSError, SyntaxError, ValueError, TypeError, AttributeError)


class ImageEncoder(Encoder):
    """One column of images (family `vision`); problems show only when an image is decoded."""

    def __init__(
        self, column: str, size: int, mean: list[float], std: list[float], folder: Path | None
    ) -> None:
        self._column = column
        self._folder = folder  # relative paths of images start here, and stay inside
        self.row_bytes = 3 * size * size
        resize = transforms.Resize((size, size), InterpolationMode.BICUBIC, antialias=True)
        self._resize = transforms.Compose([resize, transforms.PILToTensor()])
        scale = transforms.ToDtype(torch.float32, scale=True)
        normalise = transforms.Normalize(mean, std)
        self._normalise = transforms.Compose([scale, normalise])

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> list[Encoded]:
        """Return the bytes (3, size, size) of each image."""
        return [Encoded(self._decode(row[self._column])) for row in rows]

    def stack(self, inputs: Sequence[Inputs]) -> dict[str, torch.Tensor]:
        """Return `pixel_values` (N, 3, size, size) float32, normalised."""
        images = torch.stack([image for image in inputs if torch.is_tensor(image)])
        return {"pixel_values": self._normalise(images)}

    def _decode(self, stored: Mapping[str, Any] | None) -> torch.Tensor | None:
        if stored is None:
            return None
        content = stored["bytes"]
        try:
            with warnings.catch_warnings():
                # Pillow prefers RGBA for transparent palettes; the colours are the same.
                warnings.simplefilter("ignore", UserWarning)
                source = self._file(stored["path"]) if content is None else io.BytesIO(content)
                with Image.open(source) as file:
                    return self._resize(_rgb(ImageOps.exif_transpose(file)))
        except InputError:  # a ValueError, but no broken image
            raise
        except (*_BROKEN, Image.DecompressionBombError):
            return None

    def _file(self, path: str) -> Path:
        """Return the file of an image. Raises InputError if it is not part of the data set."""
        unpacked = Path(datasets.config.HF_DATASETS_CACHE)  # images of an archive in the folder
        home = self._folder or Path(constants.HF_HUB_CACHE)
        file = Path(path) if self._folder is None else self._folder / path
        if not (is_below(file, home) or is_below(file, unpacked)):
            raise InputError(
                f"{self._folder}: the image {path!r} of a row is not in the data set's folder. Put "
                "the images there, and name them relative to it."
            )
        return file


def _rgb(file: Image.Image) -> Image.Image:
    if file.mode.startswith("I"):  # 16 bits of grey, which Pillow would clip at 255: white
        file = file.convert("I").point(lambda value: value * (1 / 256))
    return file.convert("RGB")


def image_encoder(
    column: str, backbone: BackboneConfig, backbone_path: str, folder: Path | None = None
) -> ImageEncoder:
    """Return an encoder with the mean and deviation of the backbone's image processor.

    `folder` is the data set's, for images that are files of their own. Raises InputError if the
    backbone has no image processor.
    """
    with readable(backbone_path, "image processor", "A task on images needs a vision model"):
        processor = AutoImageProcessor.from_pretrained(
            backbone_path, revision=backbone.revision, trust_remote_code=False
        )
    return ImageEncoder(
        column, backbone.image_size, processor.image_mean, processor.image_std, folder
    )
