"""The eight vision data sets: rendered images with the Hub's schema."""

from collections.abc import Callable, Iterable

from frod_bench.embedded.images import aerial, cars, digits, remote_sensing, scenes, signs, textures
from frod_bench.embedded.images.build import Renderer, Splits, rendered_set

_RENDERED: dict[tuple[str, str], tuple[Iterable[str], Renderer]] = {
    ("tanganke/dtd", "default"): (textures.RULES, textures.render),
    ("tanganke/eurosat", "default"): (aerial.LAND_USE, aerial.render),
    ("tanganke/gtsrb", "default"): (signs.SIGNS, signs.render),
    ("tanganke/resisc45", "default"): (remote_sensing.REMOTE_SENSING, remote_sensing.render),
    ("tanganke/stanford_cars", "default"): (cars.OUTLINES, cars.render),
    ("tanganke/sun397", "default"): (scenes.SCENES, scenes.render),
    ("ufldl-stanford/svhn", "cropped_digits"): (digits.DIGITS, digits.render_house_number),
}

SETS: dict[tuple[str, str], Callable[[int], Splits]] = {
    **{key: rendered_set(*key, classes, render) for key, (classes, render) in _RENDERED.items()},
    (digits.MNIST_ID, digits.MNIST_CONFIG): digits.handwritten,
}
