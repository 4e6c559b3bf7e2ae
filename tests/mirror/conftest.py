"""A Hub that is a folder, in the place of the real one."""

import fnmatch
import hashlib
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.utils import httpx

from frod_bench.mirror import hub

LARGE_BYTES = 100  # from here on a file has a hash that the Hub states


def http_error(kind: type, status: int) -> Any:
    """An error of the Hub's client with a status."""
    response = httpx.Response(status, request=httpx.Request("GET", "https://hub.test/x"))
    return kind(f"{status} from the Hub", response=response)


class FakeHub:
    """Repositories at `<folder>/<kind>/<hub id>/<revision>/`; "main" is a revision.

    `trouble[hub id]` is raised where the repository is looked at, `interrupt` before that file is
    written, and `garble` makes that file arrive with other bytes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trouble: dict[str, BaseException] = {}
        self.gated: dict[str, BaseException] = {}
        self.interrupt: tuple[str, BaseException] | None = None
        self.garble: str | None = None
        self.offers: list[Any] = []
        self.downloaded: list[str] = []
        self.asked = 0

    def put(self, kind: str, hub_id: str, files: dict[str, bytes], revision: str = "main") -> None:
        for name, content in files.items():
            path = self.folder / kind / hub_id / revision.replace("/", "-") / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def _tree(self, kind: str, hub_id: str, revision: str | None) -> Path:
        repository = self.folder / kind / hub_id
        if not repository.is_dir():
            raise http_error(RepositoryNotFoundError, 404)
        name = (revision or "main").removeprefix("commit-of-").replace("/", "-")
        if not (repository / name).is_dir():
            raise http_error(RevisionNotFoundError, 404)
        return repository / name

    def repo_info(
        self, hub_id: str, *, repo_type: str, revision: str | None, files_metadata: bool
    ) -> Any:
        self.asked += 1
        if hub_id in self.trouble:
            raise self.trouble[hub_id]
        tree = self._tree(repo_type, hub_id, revision)
        siblings = [
            SimpleNamespace(
                rfilename=path.relative_to(tree).as_posix(),
                size=path.stat().st_size,
                lfs=SimpleNamespace(sha256=hashlib.sha256(path.read_bytes()).hexdigest())
                if path.stat().st_size >= LARGE_BYTES
                else None,
            )
            for path in sorted(tree.rglob("*"))
            if path.is_file()
        ]
        return SimpleNamespace(
            sha=f"commit-of-{tree.name}", gated=hub_id in self.gated, siblings=siblings
        )

    def auth_check(self, hub_id: str, *, repo_type: str) -> None:
        raise self.gated[hub_id]

    def get_repo_discussions(self, hub_id: str, *, author: str) -> list[Any]:
        return [offer for offer in self.offers if offer.author == author]

    def snapshot_download(
        self,
        hub_id: str,
        *,
        repo_type: str,
        revision: str,
        local_dir: Path,
        allow_patterns: list[str],
    ) -> str:
        """As the real one: files that are there already are left alone."""
        tree = self._tree(repo_type, hub_id, revision)
        for path in sorted(path for path in tree.rglob("*") if path.is_file()):
            name = path.relative_to(tree).as_posix()
            target = local_dir / name
            if target.exists() or not any(fnmatch.fnmatch(name, p) for p in allow_patterns):
                continue
            if self.interrupt is not None and self.interrupt[0] == name:
                raise self.interrupt[1]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
            if self.garble == name:
                target.write_bytes(b"!" * path.stat().st_size)
            self.downloaded.append(f"{hub_id}/{name}")
        return str(local_dir)


@pytest.fixture
def fake_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    fake = FakeHub(tmp_path / "hub")
    monkeypatch.setattr(hub, "HfApi", lambda: fake)
    monkeypatch.setattr(hub, "snapshot_download", fake.snapshot_download)
    return fake
