"""Methods and tasks that are not in `conf/`: a YAML file each, by its path or from a package, which
Hydra composes as it composes those of the suite (docs/reference/methods.md).
"""

import dataclasses
import hashlib
import io
import re
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import yaml
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.common.names import MATCHED_ENDING, check_name, is_name, resolved
from frod_bench.common.paths import CONF_DIR, is_file
from frod_bench.common.yaml_text import check_yaml, read_text
from frod_bench.config import callables
from frod_bench.config.overrides import OWN_FILES, names_file, read_overrides
from frod_bench.config.settings import MethodConfig, TaskConfig

GROUP = "frod_bench.methods"  # of entry points
SCHEMAS = dict(zip(OWN_FILES, (MethodConfig, TaskConfig), strict=True))
RESOLVERS = ("rate", "sized", "by_size", "by_budget", "budget_rank", "budget_alpha")
# All but a key of the configuration, and the suite's own resolvers.
NOT_ALLOWED = re.compile(rf"\$\{{(?!\s*(?:(?:{'|'.join(RESOLVERS)})\s*:|[\w.\[\]]+\s*\}})).*")
NEEDS = {
    "method": "name, kind and learning_rates",
    "task": "name, family, hub_id, test_split, label_column and metrics",
}


class OwnFiles:
    """The user's YAML files that one command line, or one grid, names."""

    def __init__(self) -> None:
        self._paths: dict[tuple[str, str], Path] = {}  # (group, name) -> where it was found

    def named(self, overrides: Sequence[str]) -> list[str]:
        """The overrides, each as `known` has it. Raises InputError as `read_overrides`, too."""
        return [self.known(override) for override in read_overrides(overrides)]

    def known(self, parsed: Override) -> str:
        """The override; of `method=` and `task=` with a name that Hydra knows as its value. Raises
        InputError if there is no such method, or if a file cannot be used.
        """
        override, group = str(parsed.input_line), parsed.get_key_element()
        value = parsed.value()
        if group not in SCHEMAS or not isinstance(value, str):
            return override
        if names_file(value):
            path = resolved(Path(value).expanduser(), group)
            return self._stored(group, path, read(path, override, group))
        return self._method(override, value) if group == "method" else override

    def _method(self, override: str, value: str) -> str:
        """The override of a method by its name: the suite's, or a package's."""
        shipped = shipped_names()
        installed = entry_points(group=GROUP)
        found = [entry for entry in installed if entry.name == value]
        if value in shipped and found:
            raise InputError(
                f"{override}: the suite has a method of this name, and so has {_package(found[0])}."
                " Uninstall the package, or give the path of its YAML under another name."
            )
        if value not in {*shipped, *(entry.name for entry in installed)}:
            raise InputError(
                f"{override}: no method has this name."
                + did_you_mean(value, {*shipped, *installed.names})
                + " Give a file by its path, method=path/to/my_method.yaml."
            )
        return self._stored("method", *_installed(found[0], override)) if found else override

    def _stored(self, group: str, path: Path, content: DictConfig) -> str:
        """Give the file to Hydra, under a name with its hash: it may change within a process."""
        name = str(content.name)
        if (other := self._paths.setdefault((group, name), path)) != path:
            raise InputError(
                f"{path}: has the name {name}, and so has {other}. Tables tell {group}s apart by "
                "name: rename one of them."
            )
        digest = hashlib.sha256(OmegaConf.to_yaml(content).encode()).hexdigest()[:16]
        ConfigStore.instance().store(group=group, name=f"{name}-{digest}", node=content)
        return f"{group}={name}-{digest}"


def read(path: Path, override: str, group: str = "method") -> DictConfig:
    """The YAML of a method or a task; the file of a method's function made absolute. Raises
    InputError unless it is a YAML mapping with a new name, known keys, and values of their types.
    """
    if not is_file(path):
        near = sorted(file.name for file in path.parent.glob("[!.]*.y*ml"))
        hint = did_you_mean(path.name, near) if near else " Name an existing one."
        raise InputError(f"{override}: there is no file {path}.{hint}")
    try:
        text = read_text(path)
        check_yaml(text)
        content = OmegaConf.load(io.StringIO(text))
    except (yaml.YAMLError, OmegaConfBaseException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{override}: {path} is not valid YAML ({reason}). Correct it: it needs "
            f"{NEEDS[group]}, as the files in conf/{group} have them."
        ) from error
    if not isinstance(content, DictConfig) or not content:
        raise InputError(
            f"{override}: {path} is not a mapping. It needs {NEEDS[group]}, as the files in "
            f"conf/{group} have them."
        )
    plain = OmegaConf.to_container(content)
    _check_interpolations(path, content)
    _check_name(path, plain, group)
    _check_defaults(path, plain, group)
    _check_keys(path, content, group)
    reference = OmegaConf.select(content, "apply")
    if isinstance(reference, str):
        content.apply = callables.anchored(reference, path.parent)
    return content


def shipped_names(group: str = "method") -> set[str]:
    """The methods, or tasks, of the suite itself."""
    return {file.stem for file in (CONF_DIR / group).glob("*.yaml")}


def _check_name(path: Path, content: Any, group: str) -> None:
    name = content.get("name")
    if name is None:
        raise InputError(f"{path}: has no name. Give it one, e.g. name: {path.stem}.")
    check_name(f"{path}: name", name)
    if name.removesuffix(MATCHED_ENDING) in shipped_names(group):
        raise InputError(
            f"{path}: name={name} is taken by a {group} of the suite. Give it another name."
        )


def _check_interpolations(path: Path, content: DictConfig) -> None:
    """Refuse other resolvers: `${oc.env:X}` would copy a secret into the record."""
    if odd := NOT_ALLOWED.search(OmegaConf.to_yaml(content)):
        raise InputError(
            f"{path}: {odd[0]}: this interpolation is not allowed here. Allowed are keys of the "
            f"configuration, ${{key.name}}, and the resolvers {', '.join(RESOLVERS)}."
        )


def _check_defaults(path: Path, content: Any, group: str) -> None:
    """Refuse defaults of other groups, e.g. hydra.callbacks, which Hydra would execute."""
    defaults = content.get("defaults", [])
    is_list = isinstance(defaults, list)
    odd = [one for one in defaults if one != "_self_" and not is_name(one)] if is_list else []
    if not is_list or odd:
        raise InputError(
            f"{path}: defaults={odd[0] if odd else defaults!r}: must be a list of {group}s of the "
            "suite, by name, and _self_, as [lora, _self_]. Write other settings into the file."
        )


def _check_keys(path: Path, content: DictConfig, group: str) -> None:
    names = [key for key in content if key != "defaults"]
    known = [field.name for field in dataclasses.fields(SCHEMAS[group])]
    if unknown := [str(key) for key in names if key not in known]:
        raise InputError(
            f"{path}: {unknown[0]}: {group}s have no such key." + did_you_mean(unknown[0], known)
        )
    for name in map(str, names):
        body = OmegaConf.masked_copy(content, name)
        try:
            OmegaConf.merge(OmegaConf.structured(SCHEMAS[group]), body)
        except OmegaConfBaseException as error:
            raise InputError(
                f"{path}: {error.full_key or name}: {str(error).splitlines()[0].rstrip('.')}. Give "
                f"it a value as the files in conf/{group} do."
            ) from error


def _installed(entry: EntryPoint, override: str) -> tuple[Path, DictConfig]:
    """Path and content of an entry point's YAML, `<its name>.yaml` in the folder of its module;
    without `apply`, a method of the kind `python` calls the entry point's function.
    """
    about = f"{override} ({_package(entry)}, {entry.value})"
    path = callables.module_file(about, entry.module).with_name(f"{entry.name}.yaml")
    content = read(path, about)
    if content.get("kind") == "python" and "apply" not in content:
        content.apply = entry.value
    return path, content


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else "a package without a name"
