"""Exit statuses, and messages that explain the errors of Hydra and OmegaConf."""

import difflib
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from frod_bench.common import processes, secrets, stopping
from frod_bench.common.errors import (
    CellsFailed,
    Detached,
    InputError,
    did_you_mean,
    input_error_behind,
)

# Words of OmegaConf's errors -> what to do.
ADVICE = {
    "converted to Integer": "Give it a whole number.",
    "converted to Float": "Give it a number.",
    "not a valid bool": "Give it true or false.",
    "is not Optional": "Give it a value, or leave it out: null is not allowed.",
    "is not a ListConfig": "Give it a list, [a,b].",
    "Cannot assign": "Set its keys one by one, KEY.NAME=VALUE.",
    "Interpolation key": "Name a key of the configuration in ${...}.",
    "Recursive interpolation": "Let ${...} name another key than its own.",
    "already at": "Leave out the +, which adds what does not exist yet.",
    "Could not override": "Put a + before a key that does not exist yet, +KEY=VALUE.",
}


def explain(error: Exception) -> str | None:
    """One message: the field, its value, what is allowed; None if it is not about bad input.

    Hydra's errors are recognized by their module, because importing Hydra takes a second.
    """
    of_hydra = type(error).__module__.partition(".")[0] in ("hydra", "omegaconf")
    if not (of_hydra or isinstance(error, InputError)):
        return None
    if (behind := input_error_behind(error)) is not None:  # itself, or raised by our resolver
        return str(behind)
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
    said = f"{key}: {message}" if key else message
    advice = next((advice for words, advice in ADVICE.items() if words in message), "")
    return f"{said.rstrip('.')}. {advice}" if advice else said


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


def keys() -> tuple[str, ...]:
    """Every key of the schema, with dots."""
    from frod_bench.config import settings  # imports OmegaConf

    return settings.keys()


def _shown(text: str) -> str:
    from frod_bench.common.terminal import shown  # imports rich, and only an error needs it

    return shown(text)


@contextmanager
def exit_statuses(resumes: bool = True) -> Iterator[None]:
    """Turn errors that a user can fix into one message and an exit status.

    1 if a run failed or diverged, 2 for bad input, 130 if interrupted, 143 if stopped by a signal.
    If several processes run one cell together, the first one on each machine prints the message.
    If a command `resumes` its work, the message about an interruption, or about an error of the
    operating system, says how.
    """
    secrets.keep_out_of_logs()
    prints = processes.is_first_here()
    again = " Run the same command again to resume." if resumes else ""
    # A shell without job control starts background processes that ignore SIGINT.
    is_ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    resets = is_ignored and threading.current_thread() is threading.main_thread()
    if resets:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with stopping.listening():
            yield
    except CellsFailed as error:
        sys.exit(_shown(str(error)) if prints else 1)
    except Detached as left:
        print(left, file=sys.stderr)
    except KeyboardInterrupt:
        print(f"Interrupted.{again}", file=sys.stderr)
        sys.exit(130)
    except stopping.Stopped as stop:
        if prints:
            print(f"Stopped by {stop}.{again}", file=sys.stderr)
        sys.exit(stopping.STATUS)
    except Exception as error:
        if message := explain(error):
            if prints:
                print(f"error: {_shown(message)}", file=sys.stderr)
            sys.exit(2)
        if isinstance(error, OSError):
            whole = " No file is incomplete." if resumes else ""
            sys.exit(f"error: {_shown(str(error))}.{whole}{again}")
        raise
    finally:
        if resets:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
