"""Copy repositories of the Hub into a local mirror: only the files that the suite reads.

All repositories are looked up before anything is written, so that all problems are reported at
once. Each is then fetched at one commit, checked against the Hub's hashes, and listed.
"""

import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, metadata_load, metadata_save, snapshot_download
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

from frod_bench.cells.compose import composer
from frod_bench.cells.grid import expand
from frod_bench.common import hub_client
from frod_bench.common.errors import InputError
from frod_bench.common.names import check_hub_id, inside, stays
from frod_bench.common.paths import check_writable
from frod_bench.data.checksums import Entry, add_entry, damage, hash_file, read_sums
from frod_bench.data.hub_layout import CARD, data_patterns

hub_client.limit_waiting()
CONVERTER, CONVERSION = "SFconvertbot", "Adding `safetensors` variant of this model"
MODEL_FILES = (
    *("config.json", "model*.safetensors", "model.safetensors.index.json"),
    *("tokenizer*", "special_tokens_map.json", "vocab.json", "vocab.txt", "merges.txt"),
    "preprocessor_config.json",
)


class UnreachableError(InputError):
    """The Hub cannot be reached: the same for every repository, so it is reported once."""


@dataclass(frozen=True)
class Repository:
    """A repository of the Hub, and the configurations wanted of a data set."""

    kind: str  # dataset | model
    hub_id: str
    revision: str | None
    configs: tuple[str, ...] = ()  # of a data set

    def is_in(self, entry: Entry) -> bool:
        """Whether an entry of the mirror covers this."""
        same = entry.kind == self.kind and self.revision in (None, entry.revision)
        return same and set(self.configs) <= set(entry.configs)


@dataclass(frozen=True)
class Found:
    """A repository at one commit, and the wanted ones of its files."""

    wanted: Repository
    commit: str
    hashes: dict[str, str | None]  # file -> SHA-256, if the Hub states it (large files)
    size_bytes: int


def wanted_by(overrides: Sequence[str]) -> list[Repository]:
    """The data sets of the named tasks, or of a suite's, then the backbones of their families, each
    once.

    Raises InputError if the profile, `small` by default, reads synthetic data, or if two tasks need
    different revisions of one repository.
    """
    with composer() as compose_one:
        if not any(override.startswith("profile=") for override in overrides):
            overrides = ["profile=small", *overrides]
        named = [word for word in overrides if word.startswith("task=")]
        overrides = [word for word in overrides if word not in named]
        config = compose_one(list(overrides))
        if config.profile.stand_in:
            raise InputError(
                f"profile={config.profile.name}: its data and backbones come with the suite, so "
                "there is nothing to copy. Name another profile, e.g. profile=small."
            )
        choices = expand(None, named) if named else [[f"task={t}"] for t in config.suite.tasks]
        tasks = [compose_one([*overrides, *choice]).task for choice in choices]
    backbones = [config.backbones[family] for family in dict.fromkeys(t.family for t in tasks)]
    found: dict[str, Repository] = {}
    for new in (
        *(Repository("dataset", t.hub_id, t.revision, (t.hub_config,)) for t in tasks),
        *(Repository("model", b.hub_id, b.revision) for b in backbones),
    ):
        old = found.setdefault(new.hub_id, new)
        if (old.kind, old.revision) != (new.kind, new.revision):
            raise InputError(
                f"{new.hub_id}: is needed as {old.kind} at revision {old.revision} and as "
                f"{new.kind} at revision {new.revision}, but a mirror has one folder for it. Name "
                "one revision for both, or copy into two mirrors."
            )
        found[new.hub_id] = replace(new, configs=tuple(sorted({*old.configs, *new.configs})))
    return list(found.values())


def copy(repositories: Sequence[Repository], root: Path, say: Callable[[str], None]) -> None:
    """Copy every repository to `root/<hub id>/`, fetching only missing and damaged files.

    `say` receives a line about each repository.

    Raises:
        InputError: `root` cannot be written, an id is invalid, repositories cannot be read (all are
            named), the disk is too small, a file has another hash than the Hub states, or a path
            leads out of `root`.
        OSError: a download was interrupted; complete files are kept for the next time.
    """
    for repository in repositories:
        check_hub_id("hub_id", repository.hub_id)
    check_writable(root, "out")
    missing = []
    for repository in repositories:
        entry = read_sums(root).get(repository.hub_id)
        wrong: Collection[str] = ()
        if entry is not None and repository.is_in(entry):
            wrong = damage(root, repository.hub_id, entry).keys() & entry.files.keys()
            if not wrong:
                say(f"{repository.hub_id}: there, as its checksums say")
                continue
            say(f"{repository.hub_id}: {len(wrong)} missing or changed files are fetched again")
        for name in wrong:
            _remove(root, repository.hub_id, name)
        if entry is not None and entry.kind == repository.kind:  # one commit for all configs
            configs = tuple(sorted({*repository.configs, *entry.configs}))
            repository = replace(repository, configs=configs)  # noqa: PLW2901
        missing.append(repository)
    found, problems = [], []
    for repository in missing:
        try:
            found.append(_find(repository))
        except UnreachableError:
            raise
        except InputError as error:
            problems.append(str(error))
    if problems:
        raise InputError(" ".join(problems) + " Nothing was copied.")
    _check_space(root, found)
    for source in found:
        say(f"{source.wanted.hub_id}: {len(source.hashes)} files, {source.size_bytes / 1e6:.1f} MB")
        _fetch(source, root)


def ask(wanted: Repository) -> Any:
    """The Hub's information about a repository at its revision.

    Raises InputError if it does not exist or is gated, OSError if the Hub answers with an error.
    """
    with _explained(wanted):
        info = _info(wanted, wanted.revision)
        if getattr(info, "gated", False):
            HfApi().auth_check(wanted.hub_id, repo_type=wanted.kind)
        return info


def _find(wanted: Repository) -> Found:
    info = ask(wanted)
    with _explained(wanted):
        if wanted.kind == "model" and wanted.revision is None and not _has_weights(info):
            info = _converted(wanted) or info
    files = {file.rfilename: file for file in info.siblings}
    if wanted.kind == "model":
        names = _model_names(wanted, list(files))
    else:
        names = _data_names(wanted, info.sha, list(files))
    if outside := [name for name in names if not (name.isprintable() and stays(name))]:
        raise InputError(
            f"{wanted.hub_id}: lists the file {outside[0]!r}, which is not in the repository. "
            "Leave it out, and tell its maintainers."
        )
    hashes = {name: files[name].lfs.sha256 if files[name].lfs else None for name in names}
    return Found(wanted, info.sha, hashes, sum(files[name].size or 0 for name in names))


def _info(wanted: Repository, revision: str | None) -> Any:
    at: dict[str, Any] = {"repo_type": wanted.kind, "revision": revision}
    return HfApi().repo_info(wanted.hub_id, files_metadata=True, **at)


def _has_weights(info: Any) -> bool:
    return any(file.rfilename.endswith(".safetensors") for file in info.siblings)


def _converted(wanted: Repository) -> Any | None:
    """The branch on which the Hub's own bot offers safetensors of a model that has none.

    `transformers` loads the same branch from the Hub.
    """
    for offer in HfApi().get_repo_discussions(wanted.hub_id, author=CONVERTER):
        if offer.is_pull_request and offer.status == "open" and offer.title == CONVERSION:
            info = _info(wanted, offer.git_reference)
            if _has_weights(info):
                return info
    return None


def _model_names(wanted: Repository, files: Sequence[str]) -> list[str]:
    names = list(filter_repo_objects(files, allow_patterns=list(MODEL_FILES)))
    if "config.json" not in names or not any(name.endswith(".safetensors") for name in names):
        raise InputError(
            f"{wanted.hub_id}: has no config.json with model*.safetensors, and the suite reads no "
            "other weights. Choose a revision that has them."
        )
    return names


def _data_names(wanted: Repository, commit: str, files: Sequence[str]) -> list[str]:
    """The card, and the files that it lists for the configs."""
    names = {CARD} & set(files)
    with tempfile.TemporaryDirectory() as folder:
        if names:
            _download(wanted, commit, [CARD], Path(folder))
        for config in wanted.configs:
            try:
                listed = data_patterns(Path(folder), config)
            except InputError as error:
                raise InputError(str(error).replace(folder, wanted.hub_id)) from error
            # The Hub's patterns are globs; in the download's (fnmatch) * matches slashes.
            patterns = [pattern.replace("**/", "*") for pattern in listed]
            of_config = set(filter_repo_objects(files, allow_patterns=patterns)) if patterns else ()
            if not of_config:
                raise InputError(
                    f"{wanted.hub_id}: lists no files of config {config!r} at commit {commit}. "
                    "Check the task's hub_config and revision."
                )
            names |= set(of_config)
    return sorted(names)


def trim_card(path: Path, configs: Collection[str]) -> None:
    """Remove all other configs from a data set's card (its README.md).

    `datasets` looks for the files of the first config that a card lists, whichever is asked for, so
    a config whose files were not copied would make the others unreadable.
    """
    front: dict[str, Any] = metadata_load(path) or {}
    kept = dict(front)
    for key in ("configs", "dataset_info"):
        if isinstance(front.get(key), list):
            kept[key] = [
                entry
                for entry in front[key]
                if isinstance(entry, dict) and entry.get("config_name") in configs
            ]
    if kept != front:
        metadata_save(path, kept)


def _check_space(root: Path, found: Sequence[Found]) -> None:
    above = (root.absolute(), *root.absolute().parents)
    existing = next(folder for folder in above if folder.exists())
    needed, free = sum(source.size_bytes for source in found), shutil.disk_usage(existing).free
    if needed > free:
        raise InputError(
            f"out={root}: the copy needs {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free "
            "there. Name a folder on a larger disk. Nothing was copied."
        )


def _fetch(source: Found, root: Path) -> None:
    wanted, folder = source.wanted, inside(root, source.wanted.hub_id)
    for name in source.hashes:
        inside(root, wanted.hub_id, str(Path(name).parent))
    has_card = wanted.kind == "dataset" and CARD in source.hashes
    if has_card:
        (folder / CARD).unlink(missing_ok=True)  # an existing one may list fewer configs
    try:
        _download(wanted, source.commit, list(source.hashes), folder)
    except UnreachableError as error:
        raise OSError(str(error)) from error  # it was reachable a moment ago
    _check_hashes(source, folder)
    if has_card:
        trim_card(folder / CARD, wanted.configs)
    files = {name: hash_file(folder / name) for name in source.hashes}
    old = read_sums(root).get(wanted.hub_id)
    for name in old.files.keys() - files.keys() if old else ():
        _remove(root, wanted.hub_id, name)  # from another commit: a pattern would match it
    commit, configs = f"commit {source.commit}", list(wanted.configs)
    add_entry(root, wanted.hub_id, Entry(wanted.kind, commit, wanted.revision, configs, files))


def _remove(root: Path, hub_id: str, name: str) -> None:
    """Remove a file of a mirror. Raises InputError if its folder is a link out of the mirror."""
    folder = inside(root, hub_id, str(Path(name).parent))
    (folder / Path(name).name).unlink(missing_ok=True)


def _check_hashes(source: Found, folder: Path) -> None:
    """Remove files whose hash differs from the Hub's, and raise InputError if there are any."""
    stated = {name: digest for name, digest in source.hashes.items() if digest}
    wrong = [name for name, digest in stated.items() if hash_file(folder / name) != digest]
    for name in wrong:
        (folder / name).unlink()
    if wrong:
        raise InputError(
            f"{source.wanted.hub_id}: {', '.join(wrong)} did not arrive with the SHA-256 that the "
            "Hub states, and was removed. Run the same command to fetch it again."
        )


def _download(wanted: Repository, commit: str, names: list[str], folder: Path) -> None:
    with _explained(wanted):
        where: dict[str, Any] = {"repo_type": wanted.kind, "local_dir": folder}
        snapshot_download(wanted.hub_id, revision=commit, allow_patterns=names, **where)
    absent = [name for name in names if not (folder / name).is_file()]
    if absent:  # without network the client returns an existing folder as it is
        raise OSError(
            f"{wanted.kind} {wanted.hub_id}: the download was interrupted, {len(absent)} of "
            f"{len(names)} files did not come ({', '.join(absent[:3])})"
        )


@contextmanager
def _explained(wanted: Repository) -> Iterator[None]:
    """Turn errors of the Hub's client into one message.

    Raises InputError if a user can fix it, OSError if a copy was interrupted.
    """
    name = f"{wanted.kind} {wanted.hub_id}"
    at = f" at revision {wanted.revision}" if wanted.revision else ""

    def unreachable(error: BaseException) -> UnreachableError:
        return UnreachableError(
            f"{name}: the Hub cannot be reached ({_line(error)}). Run this on a machine with "
            "network, with HF_HUB_OFFLINE unset, and copy the folder over; it can be resumed."
        )

    try:
        yield
    except LocalEntryNotFoundError as error:  # the client's error without network
        raise unreachable(error) from error
    except GatedRepoError as error:
        raise InputError(
            f"{name}: is gated. Accept its licence on its page on the Hub, then log in with `hf "
            "auth login` (or set HF_TOKEN) as the user who did."
        ) from error
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
        raise unreachable(error) from error
    except RuntimeError as error:  # of the client's compiled part
        raise OSError(f"{name}: the download was interrupted: {_line(error)}") from error


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
