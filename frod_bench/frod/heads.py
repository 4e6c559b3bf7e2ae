"""Find the parameters of a model that belong to a head on top of the adapted body."""

import re
from collections.abc import Collection

from torch import nn


def head_parameters(model: nn.Module, targets: Collection[nn.Module]) -> set[nn.Parameter]:
    """Return the parameters outside the body that contains the target layers.

    - In a transformers model that names its body (`base_model_prefix`), alone or inside `model`:
      everything outside the body. A body alone (`RobertaModel`) has no head.
    - In any other module, and in a transformers model whose body is not a separate module
      (`CLIPForImageClassification`): the children after the last one with a target that contain a
      linear layer (in an `nn.Sequential` only the last child). A final norm belongs to the body.

    Parameters of a target, and those shared with the body (tied embeddings), belong to the body.
    """
    parts = [model, *(part for part in model.modules() if _is_transformers(part))]
    heads = {child for part in parts for child in _heads(part, part is model, targets)}
    inside: set[nn.Parameter] = set()
    outside: set[nn.Parameter] = set()

    def sort(module: nn.Module, in_head: bool) -> None:
        in_head = (in_head or module in heads) and module not in targets
        (inside if in_head else outside).update(module.parameters(recurse=False))
        for child in module.children():
            sort(child, in_head)

    sort(model, in_head=False)
    return inside - outside


def _heads(part: nn.Module, is_whole: bool, targets: Collection[nn.Module]) -> list[nn.Module]:
    """Return the children of `part` that are heads."""
    children = list(part.children())
    if _is_transformers(part):
        body = getattr(part, str(part.base_model_prefix), None)
        if isinstance(body, nn.Module):
            others = [child for child in children if body not in child.modules()]
            return others if _has_target(body, targets) else []
        # transformers names models with heads like RobertaForMaskedLM, unlike Mask2FormerModel
        may_have_head = re.search("For[A-Z]", type(part).__name__) is not None
    else:
        may_have_head = is_whole
    adapted = [index for index, child in enumerate(children) if _has_target(child, targets)]
    if not may_have_head or not adapted:
        return []
    following = children[adapted[-1] + 1 :]
    if isinstance(part, nn.Sequential | nn.ModuleList):  # the others may be blocks
        following = following[-1:]
    return [
        child
        for child in following
        if any(isinstance(inner, nn.Linear) for inner in child.modules())
    ]


def _is_transformers(module: nn.Module) -> bool:
    """Whether it is a `PreTrainedModel`, recognized by an attribute to avoid the import."""
    return bool(getattr(module, "base_model_prefix", ""))


def _has_target(module: nn.Module, targets: Collection[nn.Module]) -> bool:
    return any(inner in targets for inner in module.modules())
