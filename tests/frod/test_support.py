"""The support: PEFT's places for PEFT's seed, off the diagonal, without the k x k grid."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from frod_bench.frod.core import draw_support, draw_supports, support_size
from frod_bench.frod.targets import block_of, category_of

from .helpers import Net


@given(width=st.integers(1, 40), rate=st.floats(0, 1), seed=st.integers(0, 2**63 - 1))
def test_places_are_distinct_off_the_diagonal_and_as_many_as_said(
    width: int, rate: float, seed: int
) -> None:
    places = draw_support(width, rate, torch.Generator().manual_seed(seed))
    assert len(places) == support_size(width, rate) == len(places.unique())
    assert bool(((places >= 0) & (places < width * width)).all())
    assert bool((places // width != places % width).all())


@pytest.mark.parametrize(
    ("width", "rate", "size"),
    [(128, 0.02, 327), (10, 0.0, 0), (10, 1e-9, 1), (10, 1.0, 90), (1, 0.5, 0), (2, 0.1, 1)],
)
def test_size(width: int, rate: float, size: int) -> None:
    assert support_size(width, rate) == size


def test_every_place_can_be_drawn() -> None:
    places = draw_support(7, 1.0, torch.Generator().manual_seed(0)).sort().values
    wanted = [row * 7 + column for row in range(7) for column in range(7) if row != column]
    assert places.tolist() == wanted


@pytest.mark.parametrize("seed", [0, 1, 12345])
@pytest.mark.parametrize("rate", [0.0, 0.001, 0.1, 1.0])
def test_support_is_pefts(seed: int, rate: float) -> None:
    import peft

    config = peft.FrodConfig(
        target_modules=["up", "down"],
        projection_prng_key=seed,
        sparse_rate=rate,
        progressbar=False,
    )
    theirs = peft.get_peft_model(Net(), config).base_model.frod_s_indices
    widths = {"up": 12, "down": 20}
    for category, places in draw_supports(widths, rate, seed).items():
        row, column = theirs[category]["default"]
        assert torch.equal(places, row * widths[category] + column)


@pytest.mark.parametrize(
    "name",
    [
        "dense",
        "classifier.dense",
        "encoder.layer.0.attention.self.query",
        "encoder.layer.11.attention.output.dense",
        "encoder.layer.11.output.dense",
        "encoder.layer.3.intermediate.dense",
        "vision_model.encoder.layers.7.self_attn.q_proj",
        "model.layers.2.mlp.gate_proj",
        "model.layers.x.mlp.gate_proj",
        "h.4.c_attn",
        "0.layers",
        "a.0.b.layers.3.fc",
    ],
)
def test_categories_and_blocks_are_named_as_peft_names_them(name: str) -> None:
    from peft.tuners.frod import model as theirs

    assert category_of(name) == theirs._category_from_key(name)
    assert block_of(name, 17) == theirs._layer_index_from_key(name, 17)
