"""Segment images without any labels, each by itself."""

from dataclasses import asdict
from functools import partial
from pathlib import Path

from semiverse.clustering import Settings, check_count, name_clusters, segment
from semiverse.clustering.folder import CONFIG, ClusterFolder
from semiverse.configuration import read_yaml
from semiverse.data.images import read_image
from semiverse.files import refuse_inside
from semiverse.inference.images import ahead, find_images, read_or_explain, within_memory
from semiverse.progress import Progress

DEFAULTS = Settings()


def cluster(
    images: list[Path] | None = None,
    out: Path = Path("clusters"),
    settings: Settings = DEFAULTS,
    groups: int | None = None,
    pictures: bool = True,
    overwrite: bool = False,
    seed: int = 0,
    device: str = "auto",
    workers: int = 2,
    names: Path | None = None,
) -> int:
    """Divide every image into clusters of pixels that look alike, without labels.

    Kanezaki (2018): for each image a small network is trained on it alone, to agree with its own answer smoothed over
    superpixels. A file that cannot be read is listed at the end and the others are done. The same call goes on where an
    earlier one stopped.

    Afterwards, look at <stem>_sheet.png, write names of clusters into a YAML file, {image: {number: class}}, and call
    the command again without images, with the same --out and --names FILE: it makes a dataset to train from.

    Args:
        images: Image files, and folders in which they lie at any depth.
        out: The folder for the results.
        settings: How an image is segmented.
        groups: Make also a folder ``groups`` in which the clusters of all images are numbered alike: so many groups by
            mean colour and height in the image.
        pictures: Write also <stem>_overlay.jpg, <stem>_borders.png and <stem>_sheet.png, which shows the numbers.
        overwrite: Replace results of other settings.
        seed: Of the first weights.
        device: Where to compute; auto: a GPU if there is one.
        workers: Threads that read images.
        names: Only name clusters that are in --out: a YAML file {image: {number: class}}, or {number: class} for all
            images alike.

    Returns:
        0, or 1 if files could not be read.

    Raises:
        FileNotFoundError: If there is no image.
        ValueError: If two images have one name, results of other settings exist, or names are of no clusters.
    """
    if names is not None:
        return _name(out, names, images)
    if not images:
        raise ValueError("no image is given; expected files or folders, or --names for clusters that exist: name some")
    if groups is not None:
        check_count(groups)
    problems: dict[str, str] = {}
    refuse_inside(out, images)
    files = find_images(images, problems, out)
    folder = ClusterFolder(out, {"settings": asdict(settings), "seed": seed}, overwrite, files, pictures)
    left = {stem: path for stem, path in files.items() if stem not in folder.images}
    readable = ahead(partial(read_or_explain, read_image), left.values(), workers)
    with Progress("clustering", len(left) * settings.iterations, "iterations") as bar:
        for done, ((stem, path), image) in enumerate(zip(left.items(), readable, strict=True), 1):
            if isinstance(image, str):
                problems[str(path)] = image
            else:
                clustered = partial(segment, image, settings, seed, device, partial(_advance, bar, stem))
                found = within_memory(clustered, path, image, problems)
                if found is not None:
                    folder.add(stem, path, image, found, pictures)
            bar.advance(done * settings.iterations - bar.done)
    folder.save(problems)
    clustered_now = [stem for stem in files if stem in folder.images]
    print(f"{len(clustered_now)} of {len(files)} images clustered in {out}")
    if groups is not None:
        print(f"their clusters in {groups} groups in {folder.group(groups, seed, pictures)}")
    for message in problems.values():
        print(f"left out: {message}")
    return 1 if problems else 0


def _advance(bar: Progress, stem: str, _: int, labels: int, loss: float) -> None:
    bar.advance(note=f"{stem}: {labels} labels, loss {loss:.2f}")


def _name(out: Path, names: Path, images: list[Path] | None) -> int:
    if images:
        raise ValueError("--names is about clusters that exist; expected no images beside it: cluster them first")
    if not names.is_file():
        raise FileNotFoundError(f"{names}: no such file; expected YAML with names of clusters: write it")
    named = read_yaml(names, "YAML with names of clusters")
    if not isinstance(named, dict):
        raise ValueError(f"{names}: no names of clusters; expected {{image: {{number: class}}}}: correct the file")
    root = name_clusters(out, named)
    print(f"# {len(list((root / 'images').iterdir()))} images with named clusters; to train from:")
    print((root / CONFIG).read_text(encoding="utf-8"), end="")
    return 0
