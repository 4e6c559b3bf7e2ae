"""PEFT's FRoD as a contender: the same adapter as ours, put on the way PEFT wants it."""

import torch

from frod_bench.bench.shapes import SHAPES
from frod_bench.bench.shared_state import prepare_wrapped, shares_state
from frod_bench.bench.workload import build_model, compose_settings
from frod_bench.methods import prepare
from frod_bench.models import Classifier
from frod_bench.settings import Settings

SHAPE = SHAPES["embedded_encoder"]


def plain_and_settings(method: str) -> tuple[Classifier, Settings]:
    composed = compose_settings(SHAPE, method)
    return build_model(SHAPE, composed).eval(), composed


def test_only_pefts_frod_is_told_apart() -> None:
    methods = ("full", "frozen", "lora", "dora", "frod", "frod_peft")
    found = {name: shares_state(compose_settings(SHAPE, name).method) for name in methods}
    assert [name for name, shared in found.items() if shared] == ["frod_peft"]


def test_it_starts_as_the_plain_model_and_trains_what_ours_trains() -> None:
    inputs = {"input_ids": torch.arange(5, 25).view(2, 10)}
    plain, composed = plain_and_settings("frod_peft")
    with torch.no_grad():
        expected = plain(**inputs)
    backbone = composed.backbones["nlu"]
    theirs = prepare_wrapped(plain, composed.method, backbone, composed.seed)
    with torch.no_grad():
        torch.testing.assert_close(theirs.model.eval()(**inputs), expected, rtol=1e-3, atol=1e-4)
    ours_plain, ours_composed = plain_and_settings("frod")
    ours = prepare(ours_plain, ours_composed.method, backbone, composed.seed)
    assert set(theirs.groups) == {"adapter", "head"}
    trained = sum(parameter.numel() for parameter in theirs.groups["adapter"])
    assert trained == ours.params["trainable"] - ours.params["trainable_head"]


def test_its_settings_are_ours() -> None:
    theirs, ours = (plain_and_settings(name)[1].method for name in ("frod_peft", "frod"))
    assert theirs.peft["sparse_rate"] == ours.sparse_rate
    assert theirs.peft["regularization_alpha"] == ours.regularization
