"""Put a model on a hub, with a card that says what it is."""

from pathlib import Path

from semiverse.downloads.hub import split_name, upload
from semiverse.models.saving import DOMAINS, NEEDED, find_model, read_model
from semiverse.reporting.card import model_card
from semiverse.reporting.runs import read_run


def push(run: Path, to: str, private: bool = False, dry_run: bool = False) -> int:
    """Upload a model and its card; afterwards ``hf:owner/name`` stands wherever a run is expected.

    The card is made from the run: label spaces, data and their terms, scores, how to use it. Weights are a safetensors
    file; nothing that is uploaded can be executed. The token is that of ``hf auth login``, or HF_TOKEN.

    Args:
        run: A run folder, or the model folder in it.
        to: hf:owner/name, or owner/name; made if it is not there.
        private: Whether only its owner sees a repository that is made.
        dry_run: Print the card, and upload nothing.

    Returns:
        0.

    Raises:
        FileNotFoundError: If there is no model.
        ValueError: If the name is not written as one, or the hub refuses.
    """
    place = to if to.startswith("hf:") else f"hf:{to}"
    name, _ = split_name(place)
    folder = find_model(run)
    spaces = read_model(folder).label_spaces
    around = folder.parent if folder.name == "model" else folder
    facts = read_run(around, name) if (around / "config.yaml").is_file() else None
    card = model_card(name, spaces, facts)
    if dry_run:
        print(card)
        return 0
    files = [folder / file for file in (*NEEDED, DOMAINS) if (folder / file).is_file()]
    address = upload(files, card, place, private)
    print(f"{folder} is at {address}")
    return 0
