"""`method.peft` -> a configuration object of PEFT.

A method's YAML, and the configuration in a record, are data and not code. So `_target_` is looked
up in PEFT's own table and never imported, values are numbers, texts, lists and mappings, and
arguments that make PEFT import a module, unpickle a file or fetch a model are refused.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import peft
from peft import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING, PeftConfig

from frod_bench.common.errors import InputError, did_you_mean

TARGET = "_target_"
_REMOVE = "Remove it; a method that needs it can be written in Python, with method.kind=python."
# How PEFT declares an argument of a plain type -> what it must be.
PLAIN = {"bool": "true or false", "int": "a number", "float": "a number", "str": "a text"}
# Argument (dots descend) -> why it is refused.
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
    """Return the `PeftConfig` for `arguments`, which are `method.peft` without target modules.

    Raises InputError if an argument is unknown, makes PEFT load something, or is refused by PEFT.
    """
    target = str(arguments.get(TARGET))
    kinds = adapter_kinds()
    if target not in kinds:
        raise InputError(
            f"method.peft.{TARGET}={target}: is not the configuration of a PEFT adapter."
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
        declared = fields[name].removeprefix("<class '").removesuffix("'>")
        if not _fits(value, declared):
            raise InputError(
                f"method.peft.{name}={value}: must be {PLAIN[declared]}, as {target} declares. "
                "Give it such a value."
            )
        if isinstance(value, Mapping) and "Config" in fields[name] and "dict" not in fields[name]:
            raise InputError(
                f"method.peft.{name}: needs a configuration object of PEFT, which YAML cannot "
                f"express. {_REMOVE}"
            )
    try:
        return kind(**given, target_modules=target_modules)
    except Exception as error:  # each class of PEFT raises errors of its own
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"method.peft: {target} refuses {given} ({cause}). Give it values that PEFT accepts."
        ) from error


def adapter_kinds() -> dict[str, type[PeftConfig]]:
    """Return by name (`peft.LoraConfig`) the classes of adapters that have target modules.

    This excludes soft prompts, and X-LoRA, which loads trained adapters.
    """
    classes = (PEFT_TYPE_TO_CONFIG_MAPPING[kind] for kind in PEFT_TYPE_TO_TUNER_MAPPING)
    return {
        f"peft.{one.__name__}": one
        for one in classes
        if getattr(peft, one.__name__, None) is one
        and "target_modules" in {field.name for field in dataclasses.fields(one)}
    }


def _fits(value: object, declared: str) -> bool:
    """Whether a value has the plain type that PEFT declares for it.

    PEFT itself does not check this: it takes `use_dora: maybe` for true. A number need not be whole
    where an int is declared, because an alpha that is scaled to a matched rank is not whole.
    """
    if declared in ("int", "float"):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return declared not in PLAIN or isinstance(value, bool if declared == "bool" else str)


def _check_entries(node: Mapping[Any, Any], prefix: str = "") -> None:
    """Raise InputError for a refused key; dots descend, into lists by index."""
    for key, value in node.items():
        name = f"{prefix}{key}"
        if str(key).startswith("_"):
            raise InputError(
                f"method.peft.{name}={value}: keys that begin with an underscore are refused; only "
                f"{TARGET} at the top is read. Remove it, and give plain values."
            )
        if name in LOADING:
            raise InputError(
                f"method.peft.{name}={value}: is refused, since it {LOADING[name]}, and a method's "
                f"YAML is data. {_REMOVE}"
            )
        if isinstance(value, (list, tuple)):
            _check_entries(dict(enumerate(value)), f"{name}.")
        elif isinstance(value, Mapping):
            _check_entries(value, f"{name}.")
