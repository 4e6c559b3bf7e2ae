"""PEFT's adapters that keep state for all layers together, of which its FRoD is one.

`inject_adapter_in_model`, by which the suite applies PEFT's methods, refuses them; they are put on
the way that PEFT documents, with its wrapper around the backbone.
"""

from hydra.utils import get_class, instantiate
from peft import PEFT_TYPE_TO_TUNER_MAPPING, get_peft_model

from frod_bench.methods import Prepared, assert_partition, check_rates, check_targets
from frod_bench.models import Classifier
from frod_bench.settings import BackboneConfig, MethodConfig


def shares_state(method: MethodConfig) -> bool:
    """Whether it is an adapter of that kind."""
    if method.kind != "peft":
        return False
    adapter = get_class(method.peft["_target_"])()
    return bool(PEFT_TYPE_TO_TUNER_MAPPING[adapter.peft_type].uses_shared_state)


def prepare_wrapped(
    model: Classifier, method: MethodConfig, backbone: BackboneConfig, _seed: int
) -> Prepared:
    """As `methods.prepare`; the model's backbone is PEFT's wrapper then, and nothing is counted."""
    check_targets(model.backbone, backbone)
    adapter = instantiate(dict(method.peft), target_modules=list(backbone.target_modules))
    model.backbone = get_peft_model(model.backbone, adapter)
    groups = {
        "adapter": [p for p in model.backbone.parameters() if p.requires_grad],
        "head": list(model.head.parameters()),
    }
    assert_partition(model, groups)
    check_rates(method, groups)
    return Prepared(model, groups, params={})
