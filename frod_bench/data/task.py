"""What a task asks for, checked without its rows, so that a plan refuses what a run would."""

from frod_bench import metrics
from frod_bench.common.errors import InputError
from frod_bench.common.names import is_name
from frod_bench.config.settings import BackboneConfig, Settings, TaskConfig
from frod_bench.data.prompts import prompt_of, rank_prompt_of


def check_task(settings: Settings) -> None:
    """Raise InputError unless metrics, splits, columns and prompt of a task fit together, and fit
    the head and the backbone.
    """
    task = settings.task
    metrics.check_names(task.metrics, task.num_labels)
    if task.primary_metric not in task.metrics:
        raise InputError(
            f"task.primary_metric={task.primary_metric}: is not one of task.metrics, "
            f"{', '.join(task.metrics)}. Name one of these."
        )
    _check_splits(task)
    check_inputs(task, settings.backbone, settings.head)


def check_inputs(task: TaskConfig, backbone: BackboneConfig, head: str) -> None:
    """Raise InputError unless columns and prompt are what the family's encoder needs, and the
    backbone says how long a text, or how large an image, may be.
    """
    size = "image_size" if task.family == "vision" else "max_length"
    if getattr(backbone, size) <= 0:
        unit = "pixels per side, e.g. 224" if size == "image_size" else "tokens, e.g. 128"
        raise InputError(
            f"backbones.{task.family}.{size}={getattr(backbone, size)}: a task of family "
            f"{task.family} needs the number of {unit}. Set it, or choose a backbone of this "
            "family."
        )
    if head == "rank":
        rank_prompt_of(task)
    elif task.family == "reasoning":
        prompt_of(task)
    else:
        _check_columns(task)


def _check_columns(task: TaskConfig) -> None:
    if task.label_column in task.input_columns:
        raise InputError(
            f"task.input_columns={list(task.input_columns)}: would show the label, "
            f"{task.label_column!r}. Remove that column."
        )
    most = 1 if task.family == "vision" else 2
    if not 1 <= len(task.input_columns) <= most:
        raise InputError(
            f"task.input_columns={list(task.input_columns)} of task {task.name}: a task of family "
            f"{task.family} needs {'one column' if most == 1 else 'one or two columns'}."
        )


def _check_splits(task: TaskConfig) -> None:
    """Raise InputError if a test split is trained on, or if two of them would have one name."""
    tests = {"test_split": task.test_split}
    tests |= {f"extra_test_splits.{name}": split for name, split in task.extra_test_splits.items()}
    for key, split in tests.items():
        if split == task.train_split:
            raise InputError(
                f"task.{key}={split}: is the split that the run trains on, task.train_split. Name "
                "one with other rows."
            )
    for name in task.extra_test_splits:
        if name == "test" or not is_name(name):
            raise InputError(
                f"task.extra_test_splits.{name}: is the suffix of this split's metrics, so it must "
                "be a text of letters, digits and _ . - other than test. Give it another name."
            )
