"""Stand-ins of the eight vision tasks: rendered images with the Hub's schema."""

from collections.abc import Callable, Iterable
from typing import Any

from frod_bench.embedded.images import (
    cars,
    digits,
    land_use,
    remote_sensing,
    scenes,
    signs,
    textures,
)
from frod_bench.embedded.images.build import Renderer, rendered_set

_RENDERED: dict[tuple[str, str], tuple[Iterable[str], Renderer]] = {
    ("tanganke/dtd", "default"): (textures.RULES, textures.render),
    ("tanganke/eurosat", "default"): (land_use.LAND_USE, land_use.render),
    ("tanganke/gtsrb", "default"): (signs.SIGNS, signs.render),
    ("tanganke/resisc45", "default"): (remote_sensing.REMOTE_SENSING, remote_sensing.render),
    ("tanganke/stanford_cars", "default"): (cars.OUTLINES, cars.render),
    ("tanganke/sun397", "default"): (scenes.SCENES, scenes.render),
    ("ufldl-stanford/svhn", "cropped_digits"): (digits.DIGITS, digits.render_house_number),
}

SETS: dict[tuple[str, str], Callable[[int], dict[str, list[dict[str, Any]]]]] = {
    **{
        (hub_id, config): rendered_set(hub_id, config, list(classes), render)
        for (hub_id, config), (classes, render) in _RENDERED.items()
    },
    (digits.MNIST_ID, digits.MNIST_CONFIG): digits.handwritten,
}
