"""Tiny backbones and mirrors that the tests write for themselves."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import yaml
from datasets import ClassLabel, Dataset, Features, Image, List, Value
from omegaconf import OmegaConf
from PIL import Image as Pillow
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
)

from frod_bench.config.settings import (
    BackboneConfig,
    ProtocolConfig,
    Settings,
    TaskConfig,
    TrainerConfig,
)
from frod_bench.data.hub_schema import features_of, splits_of
from frod_bench.data.load import TaskData, load_data

TASK_DIR = Path(__file__).parents[2] / "conf" / "task"
TASKS = sorted(path.stem for path in TASK_DIR.glob("*.yaml"))
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]


def task_config(name: str, **changes: Any) -> TaskConfig:
    """The shipped configuration of a task, with changes."""
    schema = OmegaConf.structured(TaskConfig)
    config = OmegaConf.merge(schema, OmegaConf.load(TASK_DIR / f"{name}.yaml"), changes)
    return OmegaConf.to_object(config)  # type: ignore[return-value]


def _tokenizer() -> Tokenizer:
    """One token per character, so that lengths are obvious."""
    characters = [chr(code) for code in range(32, 127)] + ["\n", "é"]
    vocabulary = {token: i for i, token in enumerate(SPECIAL + characters)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return tokenizer


@pytest.fixture(scope="session")
def backbones(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[BackboneConfig, Path]]:
    """Family -> a backbone's configuration and folder (tokenizer and configs, no weights)."""
    root = tmp_path_factory.mktemp("backbones")
    encoder = _tokenizer()
    encoder.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=encoder, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    ).save_pretrained(root / "encoder")
    RobertaConfig(vocab_size=128, max_position_embeddings=130, type_vocab_size=1).save_pretrained(
        root / "encoder"
    )
    decoder = _tokenizer()
    decoder.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    PreTrainedTokenizerFast(  # as Llama's: no padding token
        tokenizer_object=decoder, bos_token="<s>", eos_token="</s>"
    ).save_pretrained(root / "decoder")
    LlamaConfig(vocab_size=128).save_pretrained(root / "decoder")
    CLIPVisionConfig(image_size=32, patch_size=8).save_pretrained(root / "vit")
    CLIPImageProcessor(image_mean=[0.5, 0.4, 0.3], image_std=[0.1, 0.2, 0.3]).save_pretrained(
        root / "vit"
    )

    def config(name: str, **limits: int) -> BackboneConfig:
        return BackboneConfig(
            name=name,
            hub_id=name,
            pooling="first",
            target_modules=[],
            modules_per_block=0,
            **limits,
        )

    return {
        "nlu": (config("encoder", max_length=512), root / "encoder"),
        "reasoning": (config("decoder", max_length=200), root / "decoder"),
        "vision": (config("vit", image_size=32), root / "vit"),
    }


Load = Callable[..., TaskData]


@pytest.fixture
def load(backbones: dict[str, tuple[BackboneConfig, Path]], tmp_path: Path) -> Load:
    """`load_data` with the family's tiny backbone and the test's own mirror as defaults."""

    def call(
        task: TaskConfig,
        data_root: str | Path = tmp_path,
        validation_percent: float = 20.0,
        train_rows: int | None = None,
        test_rows: int | None = None,
        **arguments: Any,
    ) -> TaskData:
        backbone, path = backbones[task.family]
        return load_data(
            Settings(
                task=task,
                backbones={task.family: replace(backbone, hub_id=path.name)},
                model_root=str(path.parent),
                data_root=str(data_root),
                protocol=ProtocolConfig(validation_percent=validation_percent),
                trainer=TrainerConfig(train_rows=train_rows, test_rows=test_rows),
                **arguments,
            )
        )

    return call


def write_mirror(
    root: Path,
    task: TaskConfig,
    splits: Mapping[str, Sequence[Mapping[str, Any]]],
    features: Features | None = None,
) -> None:
    """A data set in the Hub's layout: parquet files and a README that names them."""
    features = features or features_of(task.hub_id, task.hub_config)
    folder = root / task.hub_id
    for split, rows in splits.items():
        path = folder / task.hub_config / f"{split}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        Dataset.from_list(list(rows), features=features).to_parquet(path)
    files = [{"split": s, "path": f"{task.hub_config}/{s}-*"} for s in splits]
    card = {"configs": [{"config_name": task.hub_config, "data_files": files}]}
    (folder / "README.md").write_text(f"---\n{yaml.safe_dump(card)}---\n")


def write_sample(root: Path, task: TaskConfig, rows: int = 40) -> None:
    """Rows that a task's recorded schema allows, the same for every call."""
    features = features_of(task.hub_id, task.hub_config)
    splits = splits_of(task.hub_id, task.hub_config)
    write_mirror(
        root,
        task,
        {
            split: [sample_row(task, features, s * rows + i) for i in range(rows)]
            for s, split in enumerate(splits)
        },
    )


def sample_row(task: TaskConfig, features: Features, number: int) -> dict[str, Any]:
    """A row whose label is `number` modulo the classes."""
    row = {name: _sample(kind, name, number) for name, kind in features.items()}
    label = number % max(task.num_labels, 2)
    if task.prompt is not None and task.prompt.option_labels_column is not None:
        names = ["A", "B", "C", "D", "E"] if number % 2 else ["1", "2", "3", "4"]
        names = names[: task.num_labels]
        texts = [f"option {name} of {number}" for name in names]
        row["choices"] = {"text": texts, "label": names}
        row[task.label_column] = names[number % len(names)]
    elif task.label_values is not None:
        row[task.label_column] = task.label_values[label]
    elif isinstance(features[task.label_column], ClassLabel):
        row[task.label_column] = label
    return row


def _sample(kind: Any, name: str, number: int) -> Any:
    if isinstance(kind, Image):
        return {"bytes": png(number), "path": None}
    if isinstance(kind, List):
        return [_sample(kind.feature, name, number + i) for i in range(4)]
    if isinstance(kind, dict):
        return {key: _sample(value, key, number) for key, value in kind.items()}
    if isinstance(kind, Value) and kind.dtype == "string":
        return f"the {name} of number {number}"
    if isinstance(kind, Value) and kind.dtype == "bool":
        return number % 2 == 1
    if isinstance(kind, Value) and kind.dtype == "float32":
        return (number % 11) / 2
    return 0


def png(number: int, mode: str = "RGB", size: tuple[int, int] = (12, 9)) -> bytes:
    """A small image of noise."""
    pixels = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Pillow.fromarray(pixels).convert(mode).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the Arrow copies of a test's mirror next to it."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "arrow")
