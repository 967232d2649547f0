"""Models on a hub: a name such as ``hf:owner/name`` stands wherever a run is expected."""

import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from semiverse.files import DataProblem

PREFIX = "hf:"
"""What a name on the hub begins with; without it a path that is mistyped would be asked for on the network."""
PATIENCE = 5.0
"""Seconds within which the hub has to answer."""
_NAME = re.compile(r"hf:/{0,2}(?P<name>[\w.-]+/[\w.-]+?)(?:@(?P<revision>[\w./-]+))?")


def is_hub_name(place: Path | str) -> bool:
    """Whether this names a model on the hub instead of a folder."""
    return str(place).startswith(PREFIX)


def split_name(place: Path | str) -> tuple[str, str | None]:
    """``owner/name`` and the revision of ``hf:owner/name@revision``.

    Raises:
        ValueError: If it is not written so.
    """
    found = _NAME.fullmatch(str(place))
    if found is None:
        raise ValueError(
            f"{place} is no name on the hub; expected hf:owner/name, or hf:owner/name@revision: correct it"
        )
    return found["name"], found["revision"]


@contextmanager
def asked() -> Iterator[str]:
    """Use the hub, or what its cache holds where it does not answer: its own library would ask on for a minute.

    Yields:
        Why only the cache is used; "" where the hub answers.
    """
    from huggingface_hub import constants

    why = f"{constants.ENDPOINT} does not answer" if not constants.HF_HUB_OFFLINE else "HF_HUB_OFFLINE is set"
    if not constants.HF_HUB_OFFLINE and _answers(constants.ENDPOINT):
        yield ""
        return
    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield why
    finally:
        constants.HF_HUB_OFFLINE = before


def _answers(address: str) -> bool:
    """Whether anything answers there, be it that it refuses."""
    try:
        urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=PATIENCE).close()
    except urllib.error.HTTPError:
        return True
    except OSError as error:  # a certificate that only Python does not know is for the hub's library to judge
        return isinstance(getattr(error, "reason", None), ssl.SSLError)
    return True


def fetch(place: Path | str, files: Sequence[str], more: Sequence[str] = ()) -> Path:
    """The folder of a model on the hub, fetched unless it is in the cache; nothing of it is executed.

    Args:
        place: ``hf:owner/name``, or ``hf:owner/name@revision`` for a branch, tag or commit.
        files: Names of what a model consists of.
        more: Names of what it may have.

    Raises:
        FileNotFoundError: If the hub has no such model, or it cannot be reached and the cache does not have it.
        ValueError: If the name is not written as one, or what is there is no model of this library.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    name, revision = split_name(place)
    try:
        with asked() as silence:
            folder = Path(snapshot_download(name, revision=revision, allow_patterns=[*files, *more]))
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise FileNotFoundError(
            f"the hub has no model {name}{f' at {revision}' if revision else ''}, or does not show it; expected one "
            "that can be read: check the name, or set HF_TOKEN if it is private"
        ) from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise FileNotFoundError(
            f"{name} could not be fetched from the hub ({silence or type(error).__name__}); expected an answer, or a "
            "copy in the cache: check the network, or name a local folder"
        ) from error
    lacking = [file for file in files if not (folder / file).is_file()]
    if lacking:
        raise ValueError(
            f"{name} on the hub lacks {', '.join(lacking)}; expected a model of semiverse, as semiverse push puts it "
            "there: choose another"
        )
    return folder


def upload(files: Sequence[Path], card: str, place: Path | str, private: bool = False) -> str:
    """Put the files of a model and its card on the hub, in one commit; returns its address.

    Args:
        files: Of a saved model.
        card: Text of its README.md.
        place: ``hf:owner/name``, made if it is not there; a revision has to be a branch that is there.
        private: Of a repository that is made: whether others see it.

    Raises:
        DataProblem: If the hub refuses or cannot be reached.
    """
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HfHubHTTPError

    name, revision = split_name(place)
    hub = HfApi(library_name="semiverse")
    with asked() as silence:
        if silence:
            raise DataProblem(f"the hub did not take {name} ({silence})", "an answer", "check the network")
    try:
        hub.create_repo(name, private=private, exist_ok=True)
        operations = [CommitOperationAdd(file.name, file) for file in files]
        commit = hub.create_commit(
            name,
            [*operations, CommitOperationAdd("README.md", card.encode())],
            commit_message="Upload a model of semiverse",
            revision=revision,
        )
    except (HfHubHTTPError, OSError) as error:
        raise DataProblem(
            f"the hub did not take {name} ({type(error).__name__}: {str(error).splitlines()[0]})",
            "a repository that you may write",
            "check the name and HF_TOKEN",
        ) from error
    return str(commit.repo_url)
