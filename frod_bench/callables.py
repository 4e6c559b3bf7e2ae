"""A function that a user names: `package.module:function`, or `path/to/file.py:function`.

Needs no torch; the module that is imported may.
"""

import functools
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from frod_bench.errors import InputError, did_you_mean

FORMS = "Write package.module:function, or path/to/file.py:function."


def load_callable(reference: str) -> Callable[..., Any]:
    """The function that `reference` names. A file is loaded alone, under a name of its own.

    Raises InputError where it is written otherwise, its module cannot be imported, or the module
    has no such function.
    """
    where, name = parts(reference)
    module = _loaded(reference, where, source_hash(reference))
    function = getattr(module, name, None)
    if not callable(function):
        has = [n for n, value in vars(module).items() if callable(value) and n[0] != "_"]
        raise InputError(
            f"method.apply={reference}: {where} has no function {name!r}." + did_you_mean(name, has)
        )
    return function


def source_hash(reference: str) -> str:
    """SHA-256 of the file that the function is in; what that file imports is not in it.

    Raises InputError as `load_callable` does, where there is no such file.
    """
    return hashlib.sha256(_source(reference).read_bytes()).hexdigest()


def check_function(kind: str, reference: str | None) -> None:
    """Raise InputError unless a method of the kind `python`, and no other, has a function, which
    can be imported.
    """
    if kind != "python" and reference is not None:
        raise InputError(
            f"method.apply={reference}: is read where method.kind=python, and method.kind={kind}. "
            "Set one of them, or the other."
        )
    if kind == "python" and reference is None:
        raise InputError(f"method.apply: is missing, and method.kind=python calls it. {FORMS}")
    if reference is not None:
        load_callable(reference)


def anchored(reference: str, folder: Path) -> str:
    """The reference with a file's path made absolute, from `folder`; that of a module as it is.

    Raises InputError where it is written otherwise.
    """
    where, name = parts(reference)
    return f"{(folder / where).resolve()}:{name}" if where.endswith(".py") else reference


def parts(reference: str) -> tuple[str, str]:
    """Module or file, and function. Raises InputError where there are no two parts."""
    where, _, name = reference.rpartition(":")
    if not where or not name.isidentifier():
        raise InputError(f"method.apply={reference}: names no function. {FORMS}")
    return where, name


def module_file(about: str, module: str) -> Path:
    """The file of an importable module; a package's is its `__init__.py`.

    Raises InputError, with `about` as what asked for it, where there is none.
    """
    try:
        spec = importlib.util.find_spec(module)
    except Exception as error:  # it imports the packages around the module
        raise _not_imported(about, error) from error
    if spec is None or not spec.has_location or spec.origin is None:
        raise InputError(
            f"{about}: there is no module {module!r}. Install it into the environment that "
            f"runs this, or name its file. {FORMS}"
        )
    return Path(spec.origin)


def _source(reference: str) -> Path:
    where, _ = parts(reference)
    if not where.endswith(".py"):
        return module_file(f"method.apply={reference}", where)
    if not Path(where).is_file():
        raise InputError(f"method.apply={reference}: there is no file {where}. {FORMS}")
    return Path(where)


@functools.lru_cache(maxsize=64)
def _loaded(reference: str, where: str, digest: str) -> ModuleType:
    try:
        if not where.endswith(".py"):
            return importlib.import_module(where)
        spec = importlib.util.spec_from_file_location(f"_method_{digest}", where)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
    except Exception as error:
        raise _not_imported(f"method.apply={reference}", error) from error
    return module


def _not_imported(about: str, error: Exception) -> InputError:
    return InputError(
        f"{about}: cannot be imported ({type(error).__name__}: {error}). Mend it, or install "
        "what it needs."
    )
