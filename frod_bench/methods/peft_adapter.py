"""`method.peft` -> a configuration of PEFT: a class of PEFT's by name, and plain values.

A method's YAML, and the configuration that a record holds, are data. So `_target_` is looked up in
PEFT's own table and never imported, values are numbers, texts, lists and mappings, and arguments by
which PEFT itself would import a module, unpickle a file or fetch a model are refused.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import peft
from peft import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING, PeftConfig

from frod_bench.common.errors import InputError, did_you_mean

TARGET = "_target_"
# Argument (dots descend) -> what PEFT does with it.
LOADING = {
    "auto_mapping": "names a module that is imported",
    "base_model_name_or_path": "names a model to load",
    "corda_config.cache_file": "names a file that is unpickled",
    "corda_config.covariance_file": "names a file that is unpickled",
    "megatron_config": "imports Megatron",
    "megatron_core": "names a module that is imported",
    "revision": "is that of a model to load",
    "shadow_model": "names a model to load",
}


def peft_adapter(arguments: Mapping[str, Any], target_modules: list[str]) -> Any:
    """The `PeftConfig` that `arguments`, `method.peft` without its target modules, describe.

    Raises InputError if `_target_` names no adapter of PEFT's that changes layers, a key begins
    with an underscore, an argument is unknown or makes PEFT load something, or PEFT refuses a
    value.
    """
    target = str(arguments.get(TARGET))
    kinds = adapter_kinds()
    if target not in kinds:
        raise InputError(
            f"method.peft.{TARGET}={target}: is no configuration of a PEFT adapter."
            + did_you_mean(target, kinds)
        )
    kind: Any = kinds[target]
    given = {name: value for name, value in arguments.items() if name != TARGET}
    fields = {field.name: str(field.type) for field in dataclasses.fields(kind) if field.init}
    known = fields.keys() - LOADING.keys()
    _check_entries(given)
    for name, value in given.items():
        if name not in known:
            raise InputError(
                f"method.peft.{name}={value}: {target} has no such argument."
                + did_you_mean(name, known)
            )
        if isinstance(value, Mapping) and "Config" in fields[name] and "dict" not in fields[name]:
            raise InputError(
                f"method.peft.{name}: takes a configuration of PEFT's own, which a YAML cannot "
                "hold. Take it out; a method that needs it is written in Python, with "
                "method.kind=python."
            )
    try:
        return kind(**given, target_modules=target_modules)
    except Exception as error:  # of whatever type: each class of PEFT's checks in its own way
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"method.peft: {target} cannot be made of {given} ({told}). Give it values that PEFT "
            "takes."
        ) from error


def adapter_kinds() -> dict[str, type[PeftConfig]]:
    """`peft.LoraConfig` and its like -> the class: all that adapt layers which they are told.

    Soft prompts are not among them, nor X-LoRA, which loads adapters that were trained before.
    """
    classes = (PEFT_TYPE_TO_CONFIG_MAPPING[kind] for kind in PEFT_TYPE_TO_TUNER_MAPPING)
    return {
        f"peft.{one.__name__}": one
        for one in classes
        if getattr(peft, one.__name__, None) is one
        and "target_modules" in {field.name for field in dataclasses.fields(one)}
    }


def _check_entries(node: Mapping[Any, Any], prefix: str = "") -> None:
    """Raise InputError for a key that is refused; dots descend, into lists by number."""
    for key, value in node.items():
        name = f"{prefix}{key}"
        if str(key).startswith("_"):
            raise InputError(
                f"method.peft.{name}={value}: a key that begins with an underscore is no argument "
                f"of PEFT's, and {TARGET} is read at the top alone. Take it out, and give plain "
                "values."
            )
        if name in LOADING:
            raise InputError(
                f"method.peft.{name}={value}: is refused, since it {LOADING[name]}, and a method's "
                "YAML is data. Take it out; a method that needs it is written in Python, with "
                "method.kind=python."
            )
        if isinstance(value, (list, tuple)):
            _check_entries(dict(enumerate(value)), f"{name}.")
        elif isinstance(value, Mapping):
            _check_entries(value, f"{name}.")
