"""Requests to stop: when they are raised, when they wait, and how a process ends."""

import signal
import subprocess
import sys

import pytest

from frod_bench.cli.exits import exit_statuses
from frod_bench.common import stopping


@pytest.mark.parametrize("number", stopping.SIGNALS)
def test_a_signal_ends_a_command_with_status_143(
    number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, exit_statuses():
        signal.raise_signal(number)
    assert ended.value.code == 143
    name = signal.Signals(number).name
    assert capsys.readouterr().err == (
        f"Stopped by {name}. Run the same command again to resume.\n"
    )
    assert signal.getsignal(number) is signal.SIG_DFL
    assert not stopping.requested()


def test_a_command_that_keeps_nothing_does_not_promise_to_resume(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended, exit_statuses(resumes=False):
        signal.raise_signal(signal.SIGTERM)
    assert ended.value.code == 143
    with pytest.raises(SystemExit) as ended, exit_statuses(resumes=False):
        raise KeyboardInterrupt
    assert ended.value.code == 130
    assert capsys.readouterr().err == "Stopped by SIGTERM.\nInterrupted.\n"


def test_a_deferred_request_is_raised_at_the_end_and_once() -> None:
    reached = []

    def body() -> None:
        with stopping.deferred():
            assert not stopping.requested()
            signal.raise_signal(signal.SIGUSR1)
            assert stopping.requested()
            signal.raise_signal(signal.SIGTERM)
            reached.append("the end")
        reached.append("too far")

    with pytest.raises(stopping.Stopped, match="SIGUSR1"), stopping.listening():
        body()
    assert reached == ["the end"]


def test_a_request_explains_an_error_that_it_caused() -> None:
    def body() -> None:
        signal.raise_signal(signal.SIGTERM)
        raise RuntimeError("a peer has gone away")

    with pytest.raises(stopping.Stopped), stopping.listening(), stopping.deferred():
        body()


def test_no_handler_of_failures_takes_a_request_for_one() -> None:
    def body() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except Exception:
            pytest.fail("it was handled")

    with pytest.raises(stopping.Stopped), stopping.listening():
        body()


def test_a_handler_of_the_callers_own_stays() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        with exit_statuses():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]


def test_a_whole_process_ends_so() -> None:
    code = (
        "import os, signal\n"
        "from frod_bench.cli.exits import exit_statuses\n"
        "with exit_statuses():\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 143
