"""Exit statuses, and messages that explain the errors of Hydra and OmegaConf."""

import dataclasses
import difflib
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import get_type_hints

from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException
from omegaconf.errors import OmegaConfBaseException

from frod_bench.common import processes
from frod_bench.common.errors import CellsFailed, InputError, did_you_mean
from frod_bench.config.settings import Settings

COMPOSITION_ERRORS = (ConfigCompositionException, HydraException, OmegaConfBaseException)


def explain(error: BaseException) -> str:
    """One message: the field, its value, what is allowed."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        return f"{group}={name}: there is none of that name." + did_you_mean(
            name, error.options or []
        )
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    message = str(cause).splitlines()[0] if str(cause) else type(cause).__name__
    if message.startswith("Ambiguous value"):
        return f"{message}: a list of choices is a grid, start it with -m."
    key = getattr(cause, "full_key", None) or _quoted_key(message)
    if key and re.search(r"Key '|not in ", message):
        return unknown_key(key)
    return f"{key}: {message}" if key else message


def unknown_key(key: str) -> str:
    """Message about a key that does not exist, with the nearest one and its neighbours."""
    known = keys()
    parent = key.rpartition(".")[0]
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.7)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    beside = [name for name in known if name.rpartition(".")[0] == parent]
    allowed = f" Allowed {'in ' + parent if parent else 'at the top'}: {', '.join(beside)}."
    return f"{key}: there is no such key.{hint}{allowed if beside else ''}"


def keys() -> list[str]:
    """Every key of the schema, with dots."""

    def walk(kind: type, prefix: str) -> Iterator[str]:
        hints = get_type_hints(kind)
        for name in (field.name for field in dataclasses.fields(kind)):
            yield prefix + name
            if dataclasses.is_dataclass(hints[name]):
                yield from walk(hints[name], f"{prefix}{name}.")

    return list(walk(Settings, ""))


def _quoted_key(message: str) -> str | None:
    found = re.search(r"[Kk]ey '([^']+)'|override '([^'=]+)", message)
    return next(filter(None, found.groups()), None) if found else None


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGINT interrupt this process even if its parent ignored it.

    A shell without job control starts background processes like that, and Python then sets no
    handler. Only the main thread may set one.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def exit_statuses() -> Iterator[None]:
    """Turn errors that a user can fix into one message and an exit status.

    1 if a run failed or diverged, 2 for bad input, 130 if interrupted. Of several processes that
    run one cell together, the first on each machine prints the message.
    """
    prints = processes.is_first_here()
    try:
        with interruptible():
            yield
    except CellsFailed as error:
        sys.exit(str(error) if prints else 1)
    except (InputError, *COMPOSITION_ERRORS) as error:
        if prints:
            print(f"error: {explain(error)}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        sys.exit(f"error: {error}. No file is incomplete. Run the same command again to resume.")
    except KeyboardInterrupt:
        print("Interrupted. Run the same command again to resume.", file=sys.stderr)
        sys.exit(130)
