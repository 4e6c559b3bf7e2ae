"""Exit statuses, and messages that explain the errors of Hydra and OmegaConf."""

import dataclasses
import difflib
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, get_type_hints

from frod_bench.common import processes, stopping
from frod_bench.common.errors import CellsFailed, InputError, did_you_mean


def explain(error: Exception) -> str | None:
    """One message: the field, its value, what is allowed; None if it is not about bad input.

    Hydra's errors are recognized by their module, because importing Hydra takes a second.
    """
    if isinstance(error, InputError):
        return str(error)
    if type(error).__module__.partition(".")[0] not in ("hydra", "omegaconf"):
        return None
    from hydra.errors import MissingConfigException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        hint = did_you_mean(name, error.options or [])
        return f"{group}={name}: no {group} has this name.{hint}"
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    message = str(cause).splitlines()[0] if str(cause) else type(cause).__name__
    if message.startswith("Ambiguous value"):
        return f"{message}: a list of choices is a grid, start it with -m."
    quoted = re.search(r"[Kk]ey '([^']+)'|override '([^'=]+)", message)
    key = getattr(cause, "full_key", None) or (quoted and (quoted[1] or quoted[2]))
    if key and re.search(r"Key '|not in ", message):
        return unknown_key(key)
    return f"{key}: {message}" if key else message


def unknown_key(key: str, own: Sequence[str] = ()) -> str:
    """Message about a key that does not exist, with the nearest one and its neighbours.

    `own` are keys that a verb reads itself.
    """
    known = [*own, *keys()]
    parent = key.rpartition(".")[0]
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    beside = [name for name in known if name.rpartition(".")[0] == parent]
    allowed = f" Allowed {'in ' + parent if parent else 'at the top'}: {', '.join(beside)}."
    return f"{key}: there is no such key.{hint}{allowed if beside else ''}"


def keys() -> list[str]:
    """Every key of the schema, with dots."""
    from frod_bench.config.settings import Settings

    def walk(kind: Any, prefix: str) -> Iterator[str]:
        for name, hint in get_type_hints(kind).items():
            yield prefix + name
            if dataclasses.is_dataclass(hint):
                yield from walk(hint, f"{prefix}{name}.")

    return list(walk(Settings, ""))


@contextmanager
def exit_statuses(resumes: bool = True) -> Iterator[None]:
    """Turn errors that a user can fix into one message and an exit status.

    1 if a run failed or diverged, 2 for bad input, 130 if interrupted, 143 if stopped by a signal.
    Of several processes that run one cell together, the first on each machine prints the message.
    After an error of the operating system, the message says how to go on if the command `resumes`
    its work.
    """
    prints = processes.is_first_here()
    # A shell without job control starts background processes that ignore SIGINT.
    is_ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    resets = is_ignored and threading.current_thread() is threading.main_thread()
    if resets:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with stopping.listening():
            yield
    except CellsFailed as error:
        sys.exit(str(error) if prints else 1)
    except KeyboardInterrupt:
        print("Interrupted. Run the same command again to resume.", file=sys.stderr)
        sys.exit(130)
    except stopping.Stopped as stop:
        if prints:
            print(f"Stopped by {stop}. Run the same command again to resume.", file=sys.stderr)
        sys.exit(stopping.STATUS)
    except Exception as error:
        if message := explain(error):
            if prints:
                print(f"error: {message}", file=sys.stderr)
            sys.exit(2)
        if isinstance(error, OSError):
            hint = " No file is incomplete. Run the same command again to resume."
            sys.exit(f"error: {error}.{hint if resumes else ''}")
        raise
    finally:
        if resets:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
