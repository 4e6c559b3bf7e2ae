"""Secrets of the environment, in settings and addresses: in no record, log, page or wandb file."""

import logging
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from frod_bench.cells.grid import compose_cells
from frod_bench.common import secrets
from frod_bench.common.errors import InputError
from frod_bench.common.terminal import plain_console
from frod_bench.report.asked import asked_cells
from frod_bench.report.build import write_report
from frod_bench.training import runner
from tests.conftest import MakeCell, RunHere

# By the names of variables, none by a known form.
ENVIRONMENT = {
    "HF_TOKEN": "planted-huggingface-token",
    "WANDB_API_KEY": "0123456789abcdef0123456789abcdef01234567",
    "AWS_SECRET_ACCESS_KEY": "planted/aws+secret/key",
    "AWS_ACCESS_KEY_ID": "PLANTEDAWSACCESSKEY0",
    "MY_PASSWORD": "planted-password",
    "PGPASSWORD": "planted-postgres-word",
    "MYSQL_PWD": "planted-mysql-word",
    "GITHUB_PAT": "planted-github-pat",
    "SLACK_WEBHOOK_URL": "https://hooks.example/services/planted/hook",
}
# By their form, wherever they are.
TOKENS = (
    "hf_plantedAbCdEfGhIjKlMnOpQrSt",
    "AKIAPLANTEDPLANTED00",
    "ghp_plantedAbCdEfGhIjKlMnOpQrSt",
    "github_pat_plantedAbCdEfGhIjKlMn",
    "sk-plantedAbCdEfGhIjKlMnOp",
    "xoxb-planted0000-planted",
    "glpat-plantedAbCdEfGhIjKlM",
    "AIzaPlantedAbCdEfGhIjKlMnOpQrStUvWxYz01",
    f"npm_{'planted' * 5}X",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJwbGFudGVkIn0.planted-signature",
)
ADDRESS = "https://planted-user:planted-word@host.example/path"
# Known by what names them, each with the secret in it.
NAMED = {
    "https://host.example/x?a=1&token=planted-query-token": "planted-query-token",
    "https://host.example/x?api_key=planted-query-key&b=2": "planted-query-key",
    "https://s3.example/x?X-Amz-Signature=0plantedsignature0": "0plantedsignature0",
    "https://user:planted@word@host.example/x": "word@host",
    "Authorization: Bearer planted.header.token": "planted.header.token",
    "{'authorization': 'Basic cGxhbnRlZDpoZWFkZXI='}": "cGxhbnRlZDpoZWFkZXI",
}
PLANTED = (*ENVIRONMENT.values(), *TOKENS, *NAMED.values(), "planted-user", "planted-word")


@pytest.fixture(autouse=True)
def planted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Secrets in the environment; what logs are made by is as before afterwards."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HTTPS_PROXY", "http://planted-user:planted-word@127.0.0.1:9")
    factory = logging.getLogRecordFactory()
    yield
    logging.setLogRecordFactory(factory)


def leaked(text: str | bytes) -> list[str]:
    """The planted secrets that a text holds."""
    content = text.encode(errors="surrogateescape") if isinstance(text, str) else text
    return [secret for secret in PLANTED if secret.encode() in content]


@pytest.mark.parametrize("secret", [*ENVIRONMENT.values(), *TOKENS, ADDRESS, *NAMED])
def test_a_text_is_shown_without_its_secrets(
    secret: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = f"GET {secret} failed (token={secret})"
    assert not leaked(secrets.redacted(text))
    assert secrets.redacted(text).startswith("GET ")
    plain_console(width=200).print(text)
    assert not leaked(capsys.readouterr().out)


@pytest.mark.parametrize(
    "text",
    [
        *("0123456789abcdef0123456789abcdef01234568", "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c"),
        *(
            "https://huggingface.co/api/models",
            "hf://datasets/a/b@main/x",
            "hf_short",
            "a@b.example",
            "https://host.example/x?page=2&sort=token&signature=",
            "the bearer of this letter",
        ),
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert secrets.redacted(text) == text
    secrets.refuse("task.revision", text)


WORDS = [
    *(f"tracker.project={value}" for value in (ENVIRONMENT["HF_TOKEN"], *TOKENS)),
    *(f"{key}={ADDRESS}" for key in ("data_root", "results_root", "task.hub_id")),
    f"+method.options.key='{ENVIRONMENT['AWS_SECRET_ACCESS_KEY']}'",
    *(f"profile.title='{ENVIRONMENT[name]}'" for name in ("MY_PASSWORD", "PGPASSWORD")),
    *(f'profile.title="{text}"' for text in NAMED if "'" not in text),
]
LINES = [*(("run", word) for word in WORDS), ("run", "-m", WORDS[0]), ("plan", WORDS[0])]
LINES += [
    ("report", f"results_root={ADDRESS}"),
    ("compare", f"out={ADDRESS}"),
    ("mirror", f"out={ADDRESS}"),
]
LINES += [
    ("reproduce", f"data_root={ADDRESS}"),
    ("bench", f"out={ADDRESS}"),
    ("archive", f"folder={ADDRESS}"),
]


@pytest.mark.parametrize("line", LINES, ids=lambda line: " ".join(line)[:60])
def test_a_secret_on_the_command_line_is_refused_and_not_repeated(
    tmp_path: Path, here: RunHere, monkeypatch: pytest.MonkeyPatch, line: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    done = here("frod_bench", *line)
    assert done.returncode == 2
    assert re.search(r"error: \S+: holds .*, and records, logs and pages keep every", done.stderr)
    assert "Leave it out" in done.stderr
    assert not leaked(done.stdout + done.stderr)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "value",
    [ENVIRONMENT["HF_TOKEN"], TOKENS[0], ADDRESS, "${oc.env:HF_TOKEN}"],
    ids=["of the environment", "by its form", "in an address", "by a resolver"],
)
def test_a_secret_in_a_file_or_by_a_resolver_is_refused_and_not_repeated(
    tmp_path: Path, value: str
) -> None:
    (tmp_path / "mine.py").write_text("def apply(*_): ...")
    (tmp_path / "mine.yaml").write_text(
        "name: mine\nkind: python\nlearning_rates: {head: 1}\napply: mine.py:apply\n"
        f"options: {{key: '{value}'}}\n"
    )
    lines = [[f"method={tmp_path}/mine.yaml", "seed=0"]]
    if value.startswith("$"):
        lines.append(["seed=0", f"profile.title={value}"])
    for line in lines:
        with pytest.raises(InputError, match=r"holds|not allowed here") as refused:
            compose_cells(["task=rte", *line])
        assert not leaked(str(refused.value))


def test_the_suites_own_keys_are_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CACHE_KEY", "checkpoint_every_steps")
    assert compose_cells(["task=rte", "seed=0"])[1]


def test_logs_of_every_library_leave_secrets_out(caplog: pytest.LogCaptureFixture) -> None:
    secrets.keep_out_of_logs()
    secrets.keep_out_of_logs()
    logger = logging.getLogger("urllib3.connectionpool")
    logger.warning("Retrying %s with %s", ADDRESS, TOKENS[0])
    logger.warning("plain %d %%", 7)
    logger.warning("without arguments %")
    assert not leaked(caplog.text)
    assert [record.getMessage() for record in caplog.records] == [
        "Retrying https://***@host.example/path with ***", "plain 7 %", "without arguments %"
    ]  # fmt: skip


METHOD = f"""
import os
def apply(model, method, backbone, seed):
    raise RuntimeError(f"GET {ADDRESS}: {{os.environ['HF_TOKEN']}} is not {TOKENS[0]}")
"""


def test_a_failed_record_leaves_secrets_out(make_cell: MakeCell, tmp_path: Path) -> None:
    # Its source is in the traceback; what it names is in the message.
    (tmp_path / "mine.py").write_text(METHOD)
    (tmp_path / "mine.yaml").write_text(
        "name: mine\nkind: python\nlearning_rates: {head: 1}\napply: mine.py:apply\n"
    )
    cell = make_cell("task=rte", f"method={tmp_path}/mine.yaml")
    outcome = runner.execute(cell)
    assert outcome.status == "failed"
    assert "RuntimeError: GET https://***@host.example/path: *** is not ***" in outcome.summary
    assert not leaked(cell.record_path.read_bytes())
    assert not leaked(outcome.summary)


@pytest.mark.git
def test_a_cell_with_wandb_and_its_report_leave_no_secret(
    make_cell: MakeCell,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """One cell from beginning to end, with every file that it leaves."""
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "data"))
    repository = tmp_path / "repository"
    repository.mkdir()
    me = "-c user.name=me -c user.email=me@host.example -c commit.gpgsign=false"
    for line in (
        "init",
        f"{me} commit --allow-empty -m first",
        f"remote add origin {ADDRESS}?token=planted-query-token",
    ):
        subprocess.run(["git", *line.split()], cwd=repository, check=True, capture_output=True)
    monkeypatch.chdir(repository)
    words = ("task=rte", "method=frozen", "tracker=wandb", "tracker.mode=offline")
    cell = make_cell(*words, "save=adapter")
    assert runner.execute(cell).status == "ok"
    root = cell.results_dir.parent
    report = write_report(root, "embedded", asked_cells([cell]), "title", parts=["html", "tables"])
    assert any(path.name == "report.html" for path in report.paths)
    files = [
        path for path in tmp_path.rglob("*") if path.is_file() and repository not in path.parents
    ]
    kinds = {path.suffix for path in files}
    assert {".json", ".jsonl", ".parquet", ".safetensors", ".wandb", ".html", ".csv"} <= kinds
    runs = [path.read_bytes() for path in files if path.suffix == ".wandb"]
    assert all(b"frozen" in run for run in runs)  # wandb's files are plain: a secret would be seen
    assert not {path: found for path in files if (found := leaked(path.read_bytes()))}
    said = capfd.readouterr()
    assert not leaked(said.out + said.err)
