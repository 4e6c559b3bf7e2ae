"""Secrets must reach no record, log, page or tracker.

Text that looks like a secret is refused in settings, because records keep all settings. In
messages it is left out.
"""

import functools
import logging
import os
import re

from frod_bench.common.errors import InputError

_NAMES = re.compile(
    r"(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE)S?$"  # PGPASSWORD, too
    r"|(?:^|_)(?:KEY|KEY_ID|PAT|CREDENTIALS|WEBHOOK|WEBHOOK_URL)$"
    r"|_PWD$",  # MYSQL_PWD, but not the shell's PWD and OLDPWD, which are folders
    re.IGNORECASE,
)
SHORTEST = 8  # characters; a shorter value of such a variable would be found in ordinary text
# Tokens that can be recognized by their beginning; the user and password before the host of an
# address; and values in the query of an address, or in the headers of a request, under such names.
_SHAPES = (
    r"hf_[A-Za-z0-9]{20,}",
    r"(?:AKIA|ASIA)[A-Z0-9]{16}",
    r"gh[pousr]_[A-Za-z0-9]{20,}",
    r"github_pat_\w{20,}",
    r"sk-[A-Za-z0-9_-]{20,}",
    r"wandb_v1_\w{20,}",
    r"xox[abeprs]-[A-Za-z0-9-]{10,}",
    r"glpat-[\w-]{20,}",
    r"AIza[\w-]{35}",
    r"npm_[A-Za-z0-9]{36}",
    r"pypi-[\w-]{50,}",
    r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]+",
)
_USER = r"(?<=://)[^\s/'\"]+(?=@)"
_QUERY = (
    r"(?<=[?&])(?i:(?:\w+_)?token|api_?key|(?:client_)?secret|passw(?:or)?d|sig|signature|"
    r"x-(?:amz|goog)-(?:signature|credential|security-token)|awsaccesskeyid)=[^\s&#'\"]{8,}"
)
_HEADER = r"(?i:authorization['\"]?\s*[:=]\s*['\"]?\w+\s+|bearer\s+)[\w.+/=~-]{8,}"
KINDS = {
    "value": "a secret",
    "token": "a token",
    "user": "a user or password in an address",
    "query": "a secret in the query of an address",
    "header": "a secret of a request's header",
}
MASK = "***"


def pattern() -> re.Pattern[str]:
    """What secrets look like now: values of environment variables that are named like secrets,
    well-known tokens, users and passwords in addresses, and secrets in queries and headers.
    """
    return _pattern(tuple(sorted(set(_of_environment()), key=len, reverse=True)))


def refuse(key: str, text: str, hidden: re.Pattern[str] | None = None) -> None:
    """Raise InputError, which does not repeat it, if the value of `key` holds a secret."""
    if found := (hidden or pattern()).search(text):
        variable = _of_environment().get(found[0])
        what = f"the value of {variable}" if variable else KINDS[str(found.lastgroup)]
        raise InputError(
            f"{key}: holds {what}, and records, logs and pages keep every setting. Leave it out: "
            "secrets are read from the environment (HF_TOKEN, WANDB_API_KEY), or are those of "
            "`hf auth login` and `wandb login`."
        )


def redacted(text: str) -> str:
    """The text, with *** for each secret in it."""
    return pattern().sub(MASK, text)


def keep_out_of_logs() -> None:
    """Leave secrets out of all that this process logs from now on, by whatever library."""
    make = logging.getLogRecordFactory()
    if getattr(make, "leaves_secrets_out", False):
        return

    @functools.wraps(make)
    def without_secrets(*args: object, **kwargs: object) -> logging.LogRecord:
        record = make(*args, **kwargs)
        try:
            message = record.getMessage()
        except (TypeError, ValueError):  # arguments that do not fit: the handler reports them
            return record
        if (kept := redacted(message)) != message:
            record.msg, record.args = kept, ()
        return record

    without_secrets.leaves_secrets_out = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(without_secrets)


def _of_environment() -> dict[str, str]:
    """The values of variables that are named like secrets, and these names."""
    return {
        value: name
        for name, value in os.environ.items()
        if len(value) >= SHORTEST and _NAMES.search(name)
    }


@functools.lru_cache(maxsize=8)
def _pattern(values: tuple[str, ...]) -> re.Pattern[str]:
    known = "|".join(map(re.escape, values)) or r"(?!)"  # without values it matches nothing
    kinds = {"value": known, "token": "|".join(_SHAPES), "user": _USER}
    kinds |= {"query": _QUERY, "header": _HEADER}
    return re.compile("|".join(f"(?P<{kind}>{shape})" for kind, shape in kinds.items()))
