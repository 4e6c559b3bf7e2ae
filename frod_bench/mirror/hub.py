"""Copies repositories of the Hub into a local mirror: only the files that the suite reads.

All repositories are looked at before anything is written, so that a gated or missing one, a wrong
revision or a full disk is told at once. Each is then fetched at one commit; its files are checked
against the hashes that the Hub states, and listed in the mirror's checksums.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import filter_repo_objects

from frod_bench.common.errors import InputError
from frod_bench.common.names import check_hub_id, inside, stays
from frod_bench.common.paths import check_writable
from frod_bench.data.checksums import Entry, add_entry, damage, hash_file, read_sums
from frod_bench.data.hub_layout import CARD, data_patterns
from frod_bench.mirror.card import trim_card

CONVERTER, CONVERSION = "SFconvertbot", "Adding `safetensors` variant of this model"
MODEL_FILES = (
    *("config.json", "model*.safetensors", "model.safetensors.index.json"),
    *("tokenizer*", "special_tokens_map.json", "vocab.json", "vocab.txt", "merges.txt"),
    "preprocessor_config.json",
)


class UnreachableError(InputError):
    """The Hub cannot be reached: the same for every repository, so it is told once."""


@dataclass(frozen=True)
class Repository:
    """What is wanted of one repository of the Hub."""

    kind: str  # dataset | model
    hub_id: str
    revision: str | None
    configs: tuple[str, ...] = ()  # of a data set

    def is_in(self, entry: Entry | None) -> bool:
        """Whether an entry of the mirror covers this."""
        return (
            entry is not None
            and entry.kind == self.kind
            and self.revision in (None, entry.revision)
            and set(self.configs) <= set(entry.configs)
        )


@dataclass(frozen=True)
class Found:
    """A repository at one commit, and those of its files that are wanted."""

    wanted: Repository
    commit: str
    hashes: dict[str, str | None]  # file -> SHA-256 where the Hub states it (large files)
    size_bytes: int


def copy(repositories: Sequence[Repository], root: Path, say: Callable[[str], None]) -> None:
    """Bring every repository under `root/<hub id>/`, fetching only what is not there.

    Args:
        say: takes a line about each repository.

    Raises:
        InputError: `root` cannot be written, an id is none of the Hub's, one or more repositories
            cannot be read (each is named), the disk is too small, a file is not what the Hub says
            it is, or what `root` or a card lists lies outside of it.
        OSError: a download broke off; what is whole is kept for the next time.
    """
    for repository in repositories:
        check_hub_id("hub_id", repository.hub_id)
    check_writable(root, "out")
    missing = []
    for repository in repositories:
        entry = read_sums(root).get(repository.hub_id)
        if entry is None or not repository.is_in(entry):
            missing.append(_with_configs_of(entry, repository))
        elif wrong := damage(root, repository.hub_id, entry).keys() & entry.files.keys():
            say(f"{repository.hub_id}: {len(wrong)} files are not as they were, fetched again")
            for name in wrong:
                _remove(root, repository.hub_id, name)
            missing.append(_with_configs_of(entry, repository))
        else:
            say(f"{repository.hub_id}: there, as its checksums say")
    found = _look_at(missing)
    _check_space(root, found)
    for source in found:
        say(f"{source.wanted.hub_id}: {len(source.hashes)} files, {source.size_bytes / 1e6:.1f} MB")
        _fetch(source, root)


def _with_configs_of(entry: Entry | None, wanted: Repository) -> Repository:
    """`wanted`, and the configs that the mirror has of the same data set: one commit for all."""
    if entry is None or entry.kind != wanted.kind:
        return wanted
    configs = tuple(sorted({*wanted.configs, *entry.configs}))
    return Repository(wanted.kind, wanted.hub_id, wanted.revision, configs)


def _look_at(repositories: Sequence[Repository]) -> list[Found]:
    """What the Hub has of each; all that are not to be had are told in one message."""
    found, problems = [], []
    for repository in repositories:
        try:
            found.append(_find(repository))
        except UnreachableError:
            raise
        except InputError as error:
            problems.append(str(error))
    if problems:
        raise InputError(" ".join(problems) + " Nothing was copied.")
    return found


def ask(wanted: Repository) -> Any:
    """What the Hub says of a repository at its revision, if we may read it.

    Raises InputError where it is not there, or gated; OSError where the Hub answers with an error.
    """
    api = HfApi()
    with _explained(wanted):
        info = _info(api, wanted, wanted.revision)
        if getattr(info, "gated", False):
            api.auth_check(wanted.hub_id, repo_type=wanted.kind)
        return info


def _find(wanted: Repository) -> Found:
    api, info = HfApi(), ask(wanted)
    with _explained(wanted):
        if wanted.kind == "model" and wanted.revision is None and not _has_weights(info):
            info = _converted(api, wanted) or info
    files = {file.rfilename: file for file in info.siblings}
    if wanted.kind == "model":
        names = _model_names(wanted, list(files))
    else:
        names = _data_names(wanted, info.sha, list(files))
    if outside := [name for name in names if not stays(name)]:
        raise InputError(
            f"{wanted.hub_id}: lists the file {outside[0]!r}, which is not in the repository. Tell "
            "whoever keeps it, and leave it out."
        )
    return Found(
        wanted,
        info.sha,
        {name: files[name].lfs.sha256 if files[name].lfs else None for name in names},
        sum(files[name].size or 0 for name in names),
    )


def _info(api: HfApi, wanted: Repository, revision: str | None) -> Any:
    return api.repo_info(
        wanted.hub_id, repo_type=wanted.kind, revision=revision, files_metadata=True
    )


def _has_weights(info: Any) -> bool:
    return any(file.rfilename.endswith(".safetensors") for file in info.siblings)


def _converted(api: HfApi, wanted: Repository) -> Any | None:
    """The branch on which the Hub's own bot offers safetensors of a model that has none.

    `transformers` loads the same one where it reads the Hub.
    """
    for offer in api.get_repo_discussions(wanted.hub_id, author=CONVERTER):
        if offer.is_pull_request and offer.status == "open" and offer.title == CONVERSION:
            info = _info(api, wanted, offer.git_reference)
            if _has_weights(info):
                return info
    return None


def _model_names(wanted: Repository, files: Sequence[str]) -> list[str]:
    names = list(filter_repo_objects(files, allow_patterns=list(MODEL_FILES)))
    if "config.json" not in names or not any(name.endswith(".safetensors") for name in names):
        raise InputError(
            f"{wanted.hub_id}: has no config.json with model*.safetensors beside it, and the suite "
            "reads no other weights. Choose a revision that has them."
        )
    return names


def _data_names(wanted: Repository, commit: str, files: Sequence[str]) -> list[str]:
    """The card, and the files that it lists for the configs."""
    names = {CARD} & set(files)
    with tempfile.TemporaryDirectory() as folder:
        if names:
            _download(wanted, commit, [CARD], Path(folder))
        for config in wanted.configs:
            # The Hub's patterns are a glob's, the download's are fnmatch's: * takes slashes in.
            listed = _patterns(wanted, Path(folder), config)
            patterns = [pattern.replace("**/", "*") for pattern in listed]
            of_config = set(filter_repo_objects(files, allow_patterns=patterns)) if patterns else ()
            if not of_config:
                raise InputError(
                    f"{wanted.hub_id}: lists no files of config {config!r} at commit {commit}. "
                    "Check the task's hub_config and revision."
                )
            names |= set(of_config)
    return sorted(names)


def _patterns(wanted: Repository, folder: Path, config: str) -> list[str]:
    """`data_patterns`, of a card that lies in `folder` for the moment."""
    try:
        return data_patterns(folder, config)
    except InputError as error:
        raise InputError(str(error).replace(str(folder), wanted.hub_id)) from error


def _check_space(root: Path, found: Sequence[Found]) -> None:
    existing = root.absolute()
    while not existing.exists():
        existing = existing.parent
    needed, free = sum(source.size_bytes for source in found), shutil.disk_usage(existing).free
    if needed > free:
        raise InputError(
            f"out={root}: {needed / 1e9:.1f} GB are to be copied and {free / 1e9:.1f} GB are free "
            "there. Name a folder on a larger disk. Nothing was copied."
        )


def _fetch(source: Found, root: Path) -> None:
    wanted, folder = source.wanted, inside(root, source.wanted.hub_id)
    for name in source.hashes:
        inside(root, wanted.hub_id, str(Path(name).parent))
    has_card = wanted.kind == "dataset" and CARD in source.hashes
    if has_card:
        (folder / CARD).unlink(missing_ok=True)  # one that is there may speak of fewer configs
    try:
        _download(wanted, source.commit, list(source.hashes), folder)
    except UnreachableError as error:
        raise OSError(str(error)) from error  # it was there a moment ago
    _check_hashes(source, folder)
    if has_card:
        trim_card(folder / CARD, wanted.configs)
    files = {name: hash_file(folder / name) for name in source.hashes}
    old = read_sums(root).get(wanted.hub_id)
    for name in old.files.keys() - files.keys() if old else ():
        _remove(root, wanted.hub_id, name)  # of another commit: a pattern would pick it up
    commit, configs = f"commit {source.commit}", list(wanted.configs)
    add_entry(root, wanted.hub_id, Entry(wanted.kind, commit, wanted.revision, configs, files))


def _remove(root: Path, hub_id: str, name: str) -> None:
    """Remove a file of a mirror. Raises InputError if its folder is a link out of the mirror."""
    file = Path(name)
    folder = inside(root, hub_id, str(file.parent))
    (folder / file.name).unlink(missing_ok=True)


def _check_hashes(source: Found, folder: Path) -> None:
    """Remove files that are not what the Hub states, and raise InputError where there are any."""
    stated = {name: digest for name, digest in source.hashes.items() if digest}
    wrong = [name for name, digest in stated.items() if hash_file(folder / name) != digest]
    for name in wrong:
        (folder / name).unlink()
    if wrong:
        raise InputError(
            f"{source.wanted.hub_id}: {', '.join(wrong)} did not arrive with the SHA-256 that the "
            "Hub states. What is wrong was removed; the same command fetches it again."
        )


def _download(wanted: Repository, commit: str, names: list[str], folder: Path) -> None:
    with _explained(wanted):
        snapshot_download(
            wanted.hub_id,
            repo_type=wanted.kind,
            revision=commit,
            local_dir=folder,
            allow_patterns=names,
        )
    absent = [name for name in names if not (folder / name).is_file()]
    if absent:  # without network the client gives back a folder that is there as it is
        raise OSError(
            f"{wanted.kind} {wanted.hub_id}: the download broke off, {len(absent)} of {len(names)} "
            f"files did not come ({', '.join(absent[:3])})"
        )


@contextmanager
def _explained(wanted: Repository) -> Iterator[None]:
    """Turn what goes wrong with the Hub into one message.

    Raises InputError where a user can mend it, OSError where a copy broke off.
    """
    name = f"{wanted.kind} {wanted.hub_id}"
    at = f" at revision {wanted.revision}" if wanted.revision else ""
    try:
        yield
    except GatedRepoError as error:
        raise InputError(
            f"{name}: is gated. Accept its licence on its page on the Hub, then log in with `hf "
            "auth login` (or set HF_TOKEN) as the user who did."
        ) from error
    except LocalEntryNotFoundError as error:  # what the client says of no network
        raise UnreachableError(_unreachable(name, error)) from error
    except RevisionNotFoundError as error:
        raise InputError(f"{name}: has no revision {wanted.revision!r}.") from error
    except (RepositoryNotFoundError, HFValidationError, EntryNotFoundError) as error:
        raise InputError(
            f"{name}{at}: is not on the Hub, or is private and you are not logged in (`hf auth "
            f"login`): {_line(error)}."
        ) from error
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        if status in (401, 403):
            raise InputError(
                f"{name}: the Hub refuses access (status {status}). Log in with `hf auth login`."
            ) from error
        raise OSError(f"{name}: the Hub answered with an error: {_line(error)}") from error
    except (ConnectionError, TimeoutError, HTTPError) as error:
        raise UnreachableError(_unreachable(name, error)) from error
    except RuntimeError as error:  # of the client's compiled part
        raise OSError(f"{name}: the download broke off: {_line(error)}") from error


def _unreachable(name: str, error: BaseException) -> str:
    return (
        f"{name}: the Hub cannot be reached ({_line(error)}). Run this on a machine with network, "
        "with HF_HUB_OFFLINE unset, and copy the folder over; it can be resumed."
    )


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
