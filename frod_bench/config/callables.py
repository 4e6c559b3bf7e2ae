"""A function that a user names: `package.module:function`, or `path/to/file.py:function`.

It is the one thing in a configuration that is code. Only `load_callable` imports it, where a method
is applied; all else here reads its file as text, so that a plan or a report runs nothing of it.

Needs no torch; the module that is imported may.
"""

import ast
import functools
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from frod_bench.common.errors import InputError, did_you_mean

FORMS = "Write package.module:function, or path/to/file.py:function."


def load_callable(reference: str) -> Callable[..., Any]:
    """The function that `reference` names: imports it, and with it runs its file. A file is loaded
    alone, under a name of its own.

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
    """Raise InputError unless a method of the kind `python`, and no other, names a function, and
    the file that it is in defines that name. The file is read and not imported.
    """
    if kind != "python" and reference is not None:
        raise InputError(
            f"method.apply={reference}: is read where method.kind=python, and method.kind={kind}. "
            "Set one of them, or the other."
        )
    if kind == "python" and reference is None:
        raise InputError(f"method.apply: is missing, and method.kind=python calls it. {FORMS}")
    if reference is not None:
        _check_source(reference)


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
    """The file of a module that is installed; a package's is its `__init__.py`. Imports nothing.

    Raises InputError, with `about` as what asked for it, where there is none.
    """
    spec = _spec_of(module)
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


def _spec_of(module: str) -> ModuleSpec | None:
    """As `importlib.util.find_spec`, which imports the packages around a module: this does not."""
    first, *rest = module.split(".")
    if not all(part.isidentifier() for part in (first, *rest)):
        return None
    finders = (finder for finder in sys.meta_path if hasattr(finder, "find_spec"))
    found = (finder.find_spec(first, None) for finder in finders)
    spec = next((one for one in found if one is not None), None)
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return None
        # By its own name alone: one with dots is looked up in packages that are imported already.
        spec = PathFinder.find_spec(part, list(spec.submodule_search_locations))
    return spec


def _check_source(reference: str) -> None:
    """Raise InputError unless the function's file is Python and defines it at the top."""
    file, (where, name) = _source(reference), parts(reference)
    try:
        defined = set(_top_names(ast.parse(file.read_bytes())))
    except (SyntaxError, ValueError, RecursionError) as error:
        raise InputError(
            f"method.apply={reference}: {file} is no Python source that can be read ({error}). "
            "Mend it, or name another file."
        ) from error
    if not defined & {name, "*", "__getattr__"}:  # of the last two only an import can tell
        has = [one for one in defined if one[0] != "_"]
        raise InputError(
            f"method.apply={reference}: {where} has no function {name!r}."
            + (did_you_mean(name, has) if has else f" {FORMS}")
        )


def _top_names(node: ast.AST) -> Iterator[str]:
    """What a module binds: functions, classes, imports and variables, those in `if` and `try` too;
    `*` where it imports all of another.
    """
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield child.name  # and nothing of what is in it
        elif isinstance(child, ast.alias):
            yield child.asname or child.name.partition(".")[0]
        elif isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
            yield child.id
        else:
            yield from _top_names(child)


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
        raise InputError(
            f"method.apply={reference}: cannot be imported ({type(error).__name__}: {error}). Mend "
            "it, or install what it needs."
        ) from error
    return module
