"""A saved model on disk: its configuration, its labels and its weights, without executable code."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import file_digest
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from semiverse.configuration.records import checked, record
from semiverse.data import Resolution
from semiverse.downloads.hub import fetch, is_hub_name
from semiverse.files import previous_folder, read_json, reading, replaced_folder
from semiverse.labels import LabelSpace
from semiverse.models.published import read_tensors

CONFIG, LABELS, WEIGHTS, DOMAINS = "config.json", "labels.json", "model.safetensors", "domains.safetensors"
NEEDED = (CONFIG, LABELS, WEIGHTS)
SAVED = ("what save() wrote", "save the model again, or copy it again from where it is whole")
"""What the files of a model are, and what to do where they are not."""


class SavedModel(NamedTuple):
    """What a model's folder holds.

    ``config`` are the plain values of its configuration, ``label_spaces`` and ``resolutions`` are by domain,
    ``label_embeddings`` are the options these were added with and ``latent_branch`` the numbers of latent classes
    (None: there are none), ``tensors`` its named weights, and ``domains`` what images of its domains look like (None:
    not known).
    """

    config: Mapping[str, Any]
    label_spaces: Mapping[str, LabelSpace]
    resolutions: Mapping[str, Resolution]
    label_embeddings: Mapping[str, Any] | None
    latent_branch: Mapping[str, int] | None
    tensors: Mapping[str, Tensor]
    domains: Mapping[str, Tensor] | None = None


def write_model(folder: Path, saved: SavedModel) -> None:
    """Write a model into a folder, which is replaced as a whole once everything is written, or not at all.

    Args:
        folder: The folder to make or replace.
        saved: What to write.

    Raises:
        ValueError: If the folder holds other files, which would be lost.
    """
    from safetensors.torch import save_file

    domains = {
        domain: {
            "label_space": space.name,
            "classes": space.classes,
            "palette": space.palette,
            "resolution": asdict(saved.resolutions[domain]),
        }
        for domain, space in saved.label_spaces.items()
    }
    # Copies, because the file format knows neither tensors that share memory nor ones in another order (channels_last).
    tensors = {name: value.detach().to("cpu", copy=True).contiguous() for name, value in saved.tensors.items()}
    _refuse_foreign(Path(folder))
    with replaced_folder(Path(folder)) as new:
        (new / CONFIG).write_text(json.dumps(dict(saved.config), indent=2, default=str) + "\n", encoding="utf-8")
        labels = {
            "domains": domains,
            "label_embeddings": saved.label_embeddings,
            "latent_branch": saved.latent_branch,
        }
        (new / LABELS).write_text(json.dumps(labels, indent=2) + "\n", encoding="utf-8")
        save_file(tensors, new / WEIGHTS)
        if saved.domains is not None:
            save_file({name: value.contiguous() for name, value in saved.domains.items()}, new / DOMAINS)
        for file in new.glob("*.safetensors"):  # some versions of the writer make files private to their owner
            shutil.copymode(new / CONFIG, file)


def read_model(folder: Path) -> SavedModel:
    """Read a saved model; nothing in the folder is executed.

    Args:
        folder: What ``write_model`` wrote, or a run folder that contains it as ``model``.

    Raises:
        FileNotFoundError: If there is no saved model, or a part of it is missing.
        ValueError: If a part is damaged.
    """
    folder = find_model(folder)
    config = read_config(folder)
    if not (folder / LABELS).is_file():
        raise _incomplete(folder, LABELS)
    with reading(folder / LABELS, *SAVED, "it is damaged"):
        labels = read_json(folder / LABELS, SAVED[0])
        domains = labels["domains"]
        if not domains:
            raise ValueError("it names no domain")
        spaces = {name: _label_space(facts, f"{folder / LABELS}: {name}") for name, facts in domains.items()}
        resolutions = {
            name: _resolution(facts["resolution"], f"{folder / LABELS}: {name}") for name, facts in domains.items()
        }
        hints = {"label_embeddings": dict[str, Any] | None, "latent_branch": dict[str, int] | None}
        rows, latent = (checked(labels.get(name), hint, f"{folder / LABELS}: {name}") for name, hint in hints.items())
    seen = read_tensors(folder / DOMAINS) if (folder / DOMAINS).is_file() else None
    return SavedModel(config, spaces, resolutions, rows, latent, read_tensors(folder / WEIGHTS), seen)


def read_config(folder: Path) -> dict[str, Any]:
    """The plain values of a saved model's configuration.

    Args:
        folder: What ``write_model`` wrote.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is damaged.
    """
    if not (folder / CONFIG).is_file():
        raise _incomplete(folder, CONFIG)
    with reading(folder / CONFIG, *SAVED, "it is damaged"):
        return read_json(folder / CONFIG, SAVED[0])


def find_model(folder: Path) -> Path:
    """The folder that holds the weights: this one, its ``model``, or the version that a crash kept from replacement.

    ``hf:owner/name`` stands for a model on the hub, which is fetched.

    Raises:
        FileNotFoundError: If none of them does.
        ValueError: If a name on the hub is not written as one.
    """
    if is_hub_name(folder):
        return fetch(folder, NEEDED, [DOMAINS])
    folder = Path(folder).resolve()
    inside = folder / "model"
    for candidate in (folder, inside, previous_folder(folder), previous_folder(inside)):
        if (candidate / WEIGHTS).is_file():
            return candidate
    state = "does not exist" if not folder.exists() else "is no folder" if not folder.is_dir() else f"has no {WEIGHTS}"
    raise FileNotFoundError(
        f"there is no saved model in {folder}, which {state}; expected the folder of a model or of a run, or "
        "hf:owner/name: check the path"
    )


def state_of(folder: Path) -> str:
    """What stands for the weights of a model, whenever they were written: others have other results.

    Raises:
        FileNotFoundError: If there is no such model.
    """
    with (find_model(folder) / WEIGHTS).open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _refuse_foreign(folder: Path) -> None:
    """Make sure that nothing but a saved model would be replaced."""
    foreign = sorted({path.name for path in folder.glob("*")} - {*NEEDED, DOMAINS})
    if foreign or folder.is_file():
        raise ValueError(
            f"{folder} {'holds ' + ', '.join(foreign[:5]) if foreign else 'is a file'}; expected a saved model or "
            "nothing there, because it is replaced as a whole: choose another folder"
        )


def _incomplete(folder: Path, name: str) -> FileNotFoundError:
    return FileNotFoundError(f"the model in {folder} has no {name}; expected what save() wrote: save it again")


def _label_space(facts: Mapping[str, Any], where: str) -> LabelSpace:
    values = {"name": facts["label_space"], "classes": facts["classes"], "palette": facts["palette"]}
    return record(LabelSpace, values, where)


def _resolution(facts: Mapping[str, Any], where: str) -> Resolution:
    return record(Resolution, {name: facts[name] for name in ("scale", "size")}, where)
