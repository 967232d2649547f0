"""From a folder to a configuration."""

from pathlib import Path

from semiverse.commands.check import check
from semiverse.configuration import load_yaml
from semiverse.configuration.build import build
from semiverse.discovery.configuration import configured, domain_names, look_at
from semiverse.files import Outputs
from semiverse.inference.predictor import usable_device
from semiverse.mixture import DomainMixture


def init(paths: list[Path], out: Path = Path("mine.yaml"), device: str = "auto") -> int:
    """Look at folders of images and write a complete configuration for training on them, with comments; then check it.

    Each folder becomes a domain. Found are images with masks of any coding (numbers, palettes, colours, black and
    white), in folders beside each other, for each split, or side by side; files of COCO, Labelme, CVAT, Label Studio
    and YOLO; Pascal VOC's folders; published datasets; lists and folders of splits; and images without masks. Comments
    say what was guessed, and how sure that is.

    Args:
        paths: Folders; each becomes a domain.
        out: The file to write; one that is there is replaced only if an earlier call wrote it and nobody changed it.
        device: What will be trained on, which decides sizes and steps: cpu or cuda; auto: a GPU if there is one.

    Returns:
        0, or 1 if the check found problems.

    Raises:
        FileNotFoundError: If a folder is missing, or holds no image.
        ValueError: If no folder has masks, they cannot be understood, or the file is somebody else's.
    """
    outputs = Outputs(out.parent, "init")
    outputs.refuse_foreign([out.name])
    kind = "cuda" if usable_device(device).type == "cuda" else "cpu"
    folders = dict(zip(domain_names(paths), paths, strict=True))
    found = {name: look_at(folder) for name, folder in folders.items()}
    text = configured(folders, found, kind, out)
    data: DomainMixture = build(DomainMixture, load_yaml(text)["data"], "data")
    outputs.write(out.name, text)
    for name, one in found.items():
        print("\n".join([f"{name}: {one.kind} at {folders[name]}", *(f"  {guess}" for guess in one.guesses)]))
    print(f"written: {out}\n")
    code = check(data)
    print(f"train with: semiverse train --config {out} --out runs/{out.stem}")
    return code
