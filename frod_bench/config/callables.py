"""A function that a user names: `package.module:function`, or `path/to/file.py:function`. Only
`load_callable`, which applies a method, executes its file; all else reads it as text.
"""

import ast
import functools
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.common.names import resolved
from frod_bench.common.paths import is_file

FORMS = "Write package.module:function, or path/to/file.py:function."


def load_callable(reference: str) -> Callable[..., Any]:
    """Import the file of the function that `reference` names, and return the function. Raises
    InputError if the reference has another form or there is no such module or function.
    """
    where, name = parts(reference)
    module = _loaded(reference, where, source_hash(reference))
    function = getattr(module, name, None)
    if not callable(function):
        raise _no_function(reference, (n for n, value in vars(module).items() if callable(value)))
    return function


def source_hash(reference: str) -> str:
    """SHA-256 of the file that defines the function, not of what that imports. Raises InputError if
    the reference has another form or there is no such file.
    """
    return hashlib.sha256(_source(reference).read_bytes()).hexdigest()


def check_function(kind: str, reference: str | None) -> None:
    """Raise InputError unless methods of the kind `python`, and no others, name a function that
    their file, which is not executed, defines at its top level.
    """
    if reference is None:
        if kind == "python":
            raise InputError(f"method.apply: is missing, but method.kind=python calls it. {FORMS}")
        return
    if kind != "python":
        raise InputError(
            f"method.apply={reference}: is read only if method.kind=python, not {kind}. Set "
            "method.kind=python, or remove method.apply."
        )
    file, (_, name) = _source(reference), parts(reference)
    try:
        defined = set(_top_names(ast.parse(file.read_bytes())))
    except (SyntaxError, ValueError, RecursionError) as error:
        raise InputError(
            f"method.apply={reference}: {file} is not valid Python ({error}). "
            "Correct it, or name another file."
        ) from error
    if not defined & {name, "*", "__getattr__"}:  # the last two: only an import can tell
        raise _no_function(reference, defined)


def anchored(reference: str, folder: Path) -> str:
    """The reference, with the path of a file absolute. Raises InputError for another form."""
    where, name = parts(reference)
    return f"{resolved(folder / where)}:{name}" if where.endswith(".py") else reference


def parts(reference: str) -> tuple[str, str]:
    """Module or file, and function. Raises InputError unless there are two parts."""
    where, _, name = reference.rpartition(":")
    if not where or not name.isidentifier() or not where.isprintable():
        raise InputError(f"method.apply={reference}: does not name a function. {FORMS}")
    return where, name


def module_file(about: str, module: str) -> Path:
    """The file of an installed module, found without importing it. Raises InputError, which begins
    with `about`, if there is none.
    """
    spec = _spec_of(module)
    if spec is None or not spec.has_location or spec.origin is None:
        problem = (
            "there is no module {!r}. Install it into the environment that runs this, or name its "
            "file."
            if spec is None
            else "no file defines the module {!r}. Name a function that a file defines."
        )
        raise InputError(f"{about}: {problem.format(module)} {FORMS}")
    return Path(spec.origin)


def _source(reference: str) -> Path:
    where, _ = parts(reference)
    if not where.endswith(".py"):
        return module_file(f"method.apply={reference}", where)
    if not is_file(Path(where)):
        raise InputError(f"method.apply={reference}: there is no file {where}. {FORMS}")
    return Path(where)


def _spec_of(module: str) -> ModuleSpec | None:
    """As `importlib.util.find_spec`, but without importing the packages that contain the module."""
    first, *rest = module.split(".")
    if not all(part.isidentifier() for part in (first, *rest)):
        return None
    finders = (finder for finder in sys.meta_path if hasattr(finder, "find_spec"))
    found = (finder.find_spec(first, None) for finder in finders)
    spec = next((one for one in found if one is not None), None)
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return None
        # A name with dots would be looked up in packages that are imported already.
        spec = PathFinder.find_spec(part, list(spec.submodule_search_locations))
    return spec


def _no_function(reference: str, defined: Iterable[str]) -> InputError:
    where, name = parts(reference)
    has = [one for one in defined if one[0] != "_"]
    return InputError(
        f"method.apply={reference}: {where} has no function {name!r}."
        + (did_you_mean(name, has) if has else f" {FORMS}")
    )


def _top_names(node: ast.AST) -> Iterator[str]:
    """The names that a module binds, also inside `if` and `try`; `*` for a star import."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield child.name  # and none of the names in it
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
            f"method.apply={reference}: cannot be imported ({type(error).__name__}: {error}). "
            "Correct it, or install what it needs."
        ) from error
    return module
