"""Images and masks that do not belong together, and files that belong nowhere."""

from collections.abc import Iterator
from pathlib import Path

from semiverse.data.images import IMAGE_EXTENSIONS
from semiverse.doctor.findings import Facts, Finding, FolderFiles, listed, told


def find_pairs(facts: Facts) -> Iterator[Finding]:
    """Everything about names: of images, of masks, of lists."""
    explained: set[str] = set()
    for folder in facts.folders:
        found = [*_two_endings(folder), *_unpaired(folder), *_letter_case(folder), *_strangers(folder)]
        explained |= {finding.where for finding in found if finding.severity == "problem"}
        yield from found
    for split, problem in facts.errors.items():
        # A folder whose files were already found to be wrong does not have to be complained of again.
        if not explained & {split, "all"} or problem.listing is not None:
            message, remedy = told(problem)
            kind, files = ("records", ()) if problem.listing is None else ("list", (problem.listing,))
            yield Finding(kind, "problem", split, message, remedy, files, unfixable="the split could not be listed")


def _where(folder: FolderFiles) -> str:
    return folder.split or "all"


def _two_endings(folder: FolderFiles) -> Iterator[Finding]:
    """Two files of one name that differ in their ending: nobody can tell which is meant."""
    for kind, names in (("image", folder.image_names), ("mask", folder.mask_names)):
        twins = [paths for paths in names.values() if len(paths) > 1]
        if twins:
            shown = " and ".join(path.name for path in twins[0])
            message = (
                f"{len(twins)} {kind} names stand for several files, first: {shown} in {twins[0][0].parent} differ "
                "only in their extension; expected one file of a name"
            )
            files, remedy = tuple(path for paths in twins for path in paths), "remove or rename one of each"
            reason = "which of the files is meant only their owner knows"
            yield Finding("two-endings", "problem", _where(folder), message, remedy, files, unfixable=reason)


def _unpaired(folder: FolderFiles) -> Iterator[Finding]:
    """Images without mask, which stop training, and masks without image, which do not."""
    if folder.masks is None:
        return
    images = [paths[0] for name, paths in folder.image_names.items() if name not in folder.mask_names]
    if images:
        message = (
            f"no mask for {len(images)} of {len(folder.image_names)} images, first: {images[0]}; expected the same "
            f"file name under {folder.masks}"
        )
        remedy = "add the masks, or list the images as unlabelled (data.domains.NAME.unlabeled_folder)"
        remedy += _near(images[0], folder.mask_names, folder.image_names)
        reason = "a mask cannot be made up"
        yield Finding("no-mask", "problem", _where(folder), message, remedy, tuple(images), unfixable=reason)
    masks = [paths[0] for name, paths in folder.mask_names.items() if name not in folder.image_names]
    if masks:
        message = (
            f"no image for {len(masks)} of {len(folder.mask_names)} masks, first: {masks[0]}; expected the same "
            f"file name under {folder.images}"
        )
        remedy = "add the images, or remove the masks"
        yield Finding("no-image", "remark", _where(folder), message, remedy, tuple(masks))


def _near(image: Path, masks: dict[str, list[Path]], images: dict[str, list[Path]]) -> str:
    """A mask without image whose name begins like the image's: a suffix is the usual cause."""
    free = [name for name in masks if name not in images]
    near = next(
        (name for name in free if Path(name).name.startswith(image.stem) or name.lower() == image.stem.lower()), None
    )
    return "" if near is None else f"; is {masks[near][0].name} its mask? Then give both the same name"


def _letter_case(folder: FolderFiles) -> Iterator[Finding]:
    """Names that are equal but for capitals: one file on other systems."""
    for names in (folder.image_names, folder.mask_names):
        same: dict[str, list[str]] = {}
        for name in names:
            same.setdefault(name.lower(), []).append(name)
        twins = [group for group in same.values() if len(group) > 1]
        if twins:
            message = (
                f"{len(twins)} names differ only in capitals, first: {' and '.join(twins[0])} in "
                f"{names[twins[0][0]][0].parent}; expected different names, as Windows and macOS keep only one of them"
            )
            files = tuple(names[name][0] for group in twins for name in group)
            yield Finding("letter-case", "remark", _where(folder), message, "rename or remove one of each", files)


def _strangers(folder: FolderFiles) -> Iterator[Finding]:
    """Files that are no images by their ending, and so are not read."""
    if folder.others:
        message = (
            f"{len(folder.others)} files are not read: {listed(folder.others, 3)}; expected only files ending in "
            f"{', '.join(IMAGE_EXTENSIONS)}"
        )
        remedy = "convert them if they are pictures, or move them elsewhere"
        yield Finding("no-image-file", "remark", _where(folder), message, remedy, tuple(folder.others))
