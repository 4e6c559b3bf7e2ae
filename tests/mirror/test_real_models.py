"""The three small checkpoints load as backbones."""

from pathlib import Path

import pytest
import torch

from frod_bench.config.settings import BackboneConfig
from frod_bench.data.images import image_encoder
from frod_bench.data.text import tokens_of
from frod_bench.mirror.backbones import RECIPES
from frod_bench.models import classifier as models
from tests.machine import REAL_MODELS

POOLINGS = dict(zip(RECIPES, ("mean", "last", "pooler"), strict=True))


@pytest.mark.real_models
@pytest.mark.parametrize("hub_id", RECIPES)
def test_a_checkpoint_is_a_backbone(hub_id: str) -> None:
    assert REAL_MODELS is not None
    path = str(Path(REAL_MODELS) / hub_id)
    backbone = BackboneConfig(
        name=hub_id, hub_id=hub_id, pooling=POOLINGS[hub_id], target_modules=[], modules_per_block=0
    )
    model = models.build_classifier(
        path, revision=None, pooling=POOLINGS[hub_id], num_labels=3, pretrained=True, seed=0
    ).eval()
    if POOLINGS[hub_id] == "pooler":
        backbone.image_size = 98
        assert len(image_encoder("image", backbone, path).stack([torch.zeros(3, 98, 98)])) == 1
        inputs = {"pixel_values": torch.zeros(2, 3, 98, 98)}
    else:
        backbone.max_length = 32
        tokens = tokens_of(backbone, path)
        inputs = tokens.stack(tokens.encode([("Where is the river?",), ("Here.",)]))
    with torch.no_grad():
        logits = model(**inputs)
    assert logits.shape == (2, 3)
    assert torch.isfinite(logits).all()
