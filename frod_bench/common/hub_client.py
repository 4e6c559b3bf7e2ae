"""A limit on waiting for the Hub.

If a server accepts a request and does not answer, the Hub's client waits for ever, unless the
caller sets a timeout. Preflight would hang. `datasets` waits for a minute and tries again five
times, so it would take six minutes.
"""

from typing import Any

from huggingface_hub import constants, set_client_factory
from huggingface_hub.utils import _http

ANSWER_SEC = 20.0  # for an answer to begin, and between two pieces of it
PARTS = ("connect", "read", "write", "pool")


def limit_waiting() -> None:
    """Have all requests of this process to the Hub end in an error if it does not answer."""
    set_client_factory(_client)


def _client() -> Any:
    client = _http.default_client_factory()
    client.event_hooks["request"].append(_limit)
    return client


def _limit(request: Any) -> None:
    # A call that passes on `timeout=None` overrides the client's own, so each request is changed.
    longest = max(ANSWER_SEC, constants.HF_HUB_DOWNLOAD_TIMEOUT)  # which the user may have set
    named = request.extensions.get("timeout") or {}
    times = {part: named.get(part) for part in PARTS}
    request.extensions["timeout"] = {
        part: longest if seconds is None else min(seconds, longest)
        for part, seconds in times.items()
    }
