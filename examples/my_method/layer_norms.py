"""A method of one's own: train the scales and shifts of the backbone's norms, and nothing else."""

from torch import nn


def train_norms(model, method, backbone, seed):
    """Freeze the backbone but for its norms; returns the trained parameters by group.

    Args:
        model: has `backbone`, a transformers model, which may be changed in place or replaced.
        method: this method's configuration; `options` are those of its YAML.
        backbone: the backbone's configuration: name, target_modules, modules_per_block ...
        seed: the cell's.
    """
    model.backbone.requires_grad_(False)
    norms = [m for m in model.backbone.modules() if is_norm(m)]
    named = [pair for norm in norms for pair in norm.named_parameters(recurse=False)]
    trained = [p for name, p in named if name == "weight" or method.options["shifts"]]
    for parameter in trained:
        parameter.requires_grad_(True)
    return {"norms": trained}


def is_norm(module):
    """Whether it is a LayerNorm, or an RMSNorm, of which architectures have their own classes."""
    return isinstance(module, nn.LayerNorm) or type(module).__name__.endswith("RMSNorm")
