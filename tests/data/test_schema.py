"""The recorded schema, and that the 24 task files agree with it."""

import datasets
import pytest
from datasets import ClassLabel

from frod_bench.common.errors import InputError
from frod_bench.data.hub_schema import data_sets, features_of, splits_of
from frod_bench.data.prompts import prompt_of
from frod_bench.metrics import check_names
from tests.data.conftest import TASKS, task_config


def test_there_are_24_tasks_and_each_has_a_recorded_data_set() -> None:
    assert len(TASKS) == 24
    configs = [task_config(name) for name in TASKS]
    assert {(task.hub_id, task.hub_config) for task in configs} == set(data_sets())


@pytest.mark.parametrize("name", TASKS)
def test_a_task_file_fits_its_schema(name: str) -> None:
    task = task_config(name)
    features = features_of(task.hub_id, task.hub_config)
    splits = splits_of(task.hub_id, task.hub_config)
    assert task.name == name
    assert {task.train_split, task.test_split, *task.extra_test_splits.values()} <= set(splits)
    assert ("test" in splits) == (task.test_split == "test")  # a labelled test split is used
    assert {task.label_column, *task.input_columns} <= set(features)
    if isinstance(features[task.label_column], ClassLabel):
        assert features[task.label_column].num_classes == task.num_labels
    if task.family == "reasoning":
        prompt = prompt_of(task)
        assert set(prompt.columns) <= set(features)
        assert task.prompt is not None
        assert task.prompt.template.endswith("answer:")
    check_names(task.metrics)
    assert task.primary_metric in task.metrics


def test_piqa_labels_are_class_numbers() -> None:
    assert features_of("baber/piqa", "default")["label"] == ClassLabel(names=["0", "1"])


@pytest.mark.parametrize(("hub_id", "config"), data_sets())
def test_a_data_set_can_be_made_with_the_recorded_features(hub_id: str, config: str) -> None:
    features = features_of(hub_id, config)
    empty = datasets.Dataset.from_dict({name: [] for name in features}, features=features)
    assert empty.features == features


def test_an_unknown_data_set_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match="Did you mean 'google/boolq'"):
        features_of("google/bolq", "default")
    with pytest.raises(InputError, match="Did you mean 'mrpc'"):
        splits_of("nyu-mll/glue", "mrcp")
