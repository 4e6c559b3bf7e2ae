"""Mirrors and repositories that list what lies outside: refused, and nothing there is touched."""

import json
from pathlib import Path

import pytest

from frod_bench.cells.fingerprint import backbone_fingerprint, data_fingerprint
from frod_bench.common.errors import InputError
from frod_bench.data.checksums import SUMS_FILE, Entry, add_entry, read_sums, verify
from frod_bench.mirror.hub import Repository, copy
from tests.mirror.conftest import FakeHub

WANTED = Repository("model", "org/model", None)
FILES = {"config.json": b"{}", "model.safetensors": b"w"}


def silent(_line: str) -> None:
    """Say nothing."""


def list_in_sums(root: Path, hub_id: str, file: str) -> None:
    """A mirror's list with one file of one repository, and a hash that no file has."""
    entry = {"kind": "model", "source": "commit x", "revision": None, "configs": []}
    root.mkdir(exist_ok=True)
    (root / SUMS_FILE).write_text(json.dumps({hub_id: entry | {"files": {file: "0" * 64}}}))


@pytest.mark.parametrize(
    ("hub_id", "file"),
    [
        *(("org/model", "../../../victim"), ("org/model", "a/../../../../victim")),
        *(("org/model", "ABSOLUTE"), ("org/model", ""), ("org/model", "..\\..\\victim")),
        *(("../..", "victim"), ("..", "victim"), ("/", "victim"), ("a/b/c", "x"), ("", "victim")),
    ],
)
def test_a_list_that_names_files_outside_deletes_and_reads_nothing(
    tmp_path: Path, fake_hub: FakeHub, hub_id: str, file: str
) -> None:
    root, victim = tmp_path / "mirror", tmp_path / "victim"
    victim.write_text("kept")
    file = file.replace("ABSOLUTE", str(victim))
    list_in_sums(root, hub_id, file)
    fake_hub.put("model", "org/model", FILES)
    for read in (
        lambda: copy([WANTED], root, silent),
        lambda: verify(root),
        lambda: read_sums(root),
    ):
        with pytest.raises(InputError) as refused:
            read()
        told = str(refused.value)
        assert str(root / SUMS_FILE) in told
        assert repr(file if hub_id == "org/model" else hub_id) in told
    assert victim.read_text() == "kept"


def test_a_list_of_ordinary_files_is_read(tmp_path: Path, fake_hub: FakeHub) -> None:
    fake_hub.put("model", "org/model", FILES)
    copy([WANTED], tmp_path / "mirror", silent)
    assert set(read_sums(tmp_path / "mirror")["org/model"].files) == set(FILES)
    list_in_sums(tmp_path / "mirror", "name", "rte/train-00000-of-00001.parquet")
    assert set(read_sums(tmp_path / "mirror")) == {"name"}


def test_fingerprints_do_not_read_a_list_that_leads_outside(tmp_path: Path) -> None:
    folder = tmp_path / "org/model"
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    (folder / "train.parquet").write_bytes(b"rows")
    list_in_sums(tmp_path, "org/model", "../x")
    with pytest.raises(InputError, match=r"lists the file '\.\./x'"):
        backbone_fingerprint("org/model", None, str(tmp_path))
    with pytest.raises(InputError, match=r"lists the file '\.\./x'"):
        data_fingerprint("org/model", "default", None, str(tmp_path))


@pytest.mark.parametrize("hub_id", ["../../victim", "/etc", "a/b/c"])
def test_what_is_no_hub_id_is_not_copied(tmp_path: Path, fake_hub: FakeHub, hub_id: str) -> None:
    with pytest.raises(InputError, match="must be NAME or OWNER/NAME"):
        copy([Repository("model", hub_id, None)], tmp_path / "mirror", silent)
    assert fake_hub.asked == 0


@pytest.mark.parametrize("pattern", ["../../../etc/*", "/etc/*", "https://host/x.parquet"])
def test_a_card_on_the_hub_that_leads_outside_is_told_with_its_repository(
    tmp_path: Path, fake_hub: FakeHub, pattern: str
) -> None:
    card = f"---\nconfigs:\n- config_name: rte\n  data_files: {pattern}\n---\n".encode()
    fake_hub.put("dataset", "org/data", {"README.md": card, "train.parquet": b"rows"})
    with pytest.raises(InputError) as refused:
        copy([Repository("dataset", "org/data", None, ("rte",))], tmp_path / "mirror", silent)
    assert f"org/data/README.md: data_files {pattern!r} of configuration 'rte'" in str(
        refused.value
    )
    assert not (tmp_path / "mirror").exists()


def test_a_folder_that_links_out_of_the_mirror_is_left_alone(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious.txt").write_text("years of work")
    root = tmp_path / "mirror"
    (root / "me/data").mkdir(parents=True)
    (root / "me/data/sub").symlink_to(outside)
    entry = Entry("dataset", "commit abc", None, ["default"], {"sub/precious.txt": "0" * 64})
    add_entry(root, "me/data", entry)
    with pytest.raises(InputError, match="leads out of"):
        copy([Repository("dataset", "me/data", None, ("default",))], root, lambda line: None)
    assert (outside / "precious.txt").read_text() == "years of work"
