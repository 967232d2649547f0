"""Files that do not belong together or belong nowhere, cannot be read, or are read otherwise than one may think."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from semiverse.data import ALL, Content
from semiverse.data.images import IMAGE_EXTENSIONS
from semiverse.doctor.findings import Facts, Finding, FolderFiles, listed, masked, told
from semiverse.formats.labelme import has_shapes, image_of

ANNOTATIONS = (".json", ".xml")
USUAL = ("RGB", "YCbCr")
"""How images are stored that are colours already, as Pillow says it."""
DARK = 64
"""The brightest value of an image, of 255, up to which it is nearly black: 14 bits in 16."""
SMALL = 32
"""Pixels on the shorter side: below, nothing is left after an encoder's output stride."""


def find_pairs(facts: Facts) -> Iterator[Finding]:
    """Everything about names: of images, of masks, of lists."""
    explained: set[str] = set()
    for folder in facts.folders:
        found = [*_two_endings(folder), *_unpaired(folder), *_odd_names(folder)]
        explained |= {finding.where for finding in found if finding.severity == "problem"}
        yield from found
    for split, problem in facts.errors.items():
        # A folder whose files were already found to be wrong does not have to be complained of again.
        if not explained & {split, ALL} or problem.listing is not None:
            kind, files = ("records", ()) if problem.listing is None else ("list", (problem.listing,))
            yield Finding(kind, "problem", split, *told(problem), files, unfixable="the split could not be listed")


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
            yield Finding("two-endings", "problem", folder.split, message, remedy, files, unfixable=reason)


def _unpaired(folder: FolderFiles) -> Iterator[Finding]:
    """Images without mask, which stop training, and masks without image, which do not."""
    if folder.masks is None:
        return
    images = [paths[0] for name, paths in folder.image_names.items() if name not in folder.mask_names]
    masks = {name: paths[0] for name, paths in folder.mask_names.items() if name not in folder.image_names}
    if images and not folder.unmasked:
        message = (
            f"no mask for {len(images)} of {len(folder.image_names)} images, first: {images[0]}; expected the same "
            f"file name under {folder.masks}"
        )
        remedy = "add the masks, or list the images as unlabelled (data.domains.NAME.unlabeled_folder)"
        stem = images[0].stem
        for name, path in masks.items():
            if Path(name).name.startswith(stem) or name.lower() == stem.lower():  # a suffix is the usual cause
                remedy += f"; is {path.name} its mask? Then give both the same name"
                break
        reason = "a mask cannot be made up"
        yield Finding("no-mask", "problem", folder.split, message, remedy, tuple(images), unfixable=reason)
    if masks:
        files = tuple(masks.values())
        message = (
            f"no image for {len(masks)} of {len(folder.mask_names)} masks, first: {files[0]}; expected the same "
            f"file name under {folder.images}"
        )
        yield Finding("no-image", "remark", folder.split, message, "add the images, or remove the masks", files)


def _odd_names(folder: FolderFiles) -> Iterator[Finding]:
    """Names that are equal but for capitals, one file on other systems; files that are no images by their ending."""
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
            yield Finding("letter-case", "remark", folder.split, message, "rename or remove one of each", files)
    yield from _not_read(folder)


def _not_read(folder: FolderFiles) -> Iterator[Finding]:
    """Pictures of other kinds, which somebody meant to be used, and other files, which need not be."""
    for problem in folder.problems:
        reason = "it may not be looked into"
        yield Finding("closed-folder", "problem", folder.split, *told(problem), unfixable=reason)
    if folder.pictures:
        message = (
            f"{len(folder.pictures)} pictures are of kinds that are not read: {listed(folder.pictures, 3)}; expected "
            f"{', '.join(IMAGE_EXTENSIONS)}"
        )
        remedy, reason = "convert them, or move them elsewhere", "they are not read"
        yield Finding("not-read", "problem", folder.split, message, remedy, tuple(folder.pictures), unfixable=reason)
    if folder.others:
        message = (
            f"{len(folder.others)} files are not read: {listed(folder.others, 3)}; expected only files ending in "
            f"{', '.join(IMAGE_EXTENSIONS)}"
        )
        remedy = "convert them if they are pictures, or move them elsewhere"
        yield Finding("no-image-file", "remark", folder.split, message, remedy, tuple(folder.others))


def find_unused(facts: Facts) -> Iterator[Finding]:
    """Files in the dataset's folders that no split uses: annotations of no image, images that nothing lists."""
    for folder in facts.unused:
        drawn = [path for path in folder.others if path.suffix.lower() in ANNOTATIONS]
        rest = [path for path in folder.others if path not in drawn]
        yield from _not_read(replace(folder, others=rest))
        yield from _annotations_of_no_image(folder, drawn, facts)
        images = tuple(paths[0] for paths in folder.image_names.values())
        if images:
            message = f"{len(images)} pictures are in no split: {listed(images, 3)}; expected each image of the folder"
            remedy = "nothing has to be done if they are not meant to be used"
            yield Finding("not-used", "remark", folder.split, message, remedy, images)
    if facts.skipped:
        message = f"{facts.skipped} annotations, or parts of them, cover no pixel; expected an area of each"
        yield Finding("no-area", "remark", facts.train, message, "they are left out, as empty: skip says")


def _annotations_of_no_image(folder: FolderFiles, drawn: Sequence[Path], facts: Facts) -> Iterator[Finding]:
    """Annotation files that belong to no image; those that seem to be an image's under another name stop training."""
    if not drawn:
        return
    waiting = {record.image for part in facts.parts.values() for record in part.records if record.mask is None}
    by_name = {path.name.lower(): path for path in waiting} | {path.stem.lower(): path for path in waiting}
    lost: list[Path] = []
    for path in drawn:
        twin = by_name.get(path.stem.lower()) or by_name.get(image_of(path).lower())
        if twin is None:
            if has_shapes(path):
                lost.append(path)
            continue
        cause = "which differs in capitals" if twin.stem.lower() == path.stem.lower() else "which the file names"
        message = f"{path}: no image of this name, and {twin}, {cause}, has no annotation; expected one name"
        remedy, reason = f"rename it to {twin.stem}.json", "whether they belong together only the owner knows"
        yield Finding("letter-case", "problem", folder.split, message, remedy, (path,), unfixable=reason)
    if lost:
        message = f"no image for {len(lost)} annotation files, first: {lost[0]}; expected the same file name"
        yield Finding("no-image", "remark", folder.split, message, "add the images, or remove the files", tuple(lost))


def find_unreadable(facts: Facts) -> Iterator[Finding]:
    """Images that are missing, empty, truncated or none at all, one finding each; masks that a program misreads."""
    for split, part in facts.parts.items():
        for record, content in zip(part.records, part.contents, strict=True):
            if content.problem is not None and content.at == "image":
                reason = "a damaged file cannot be restored"
                yield Finding("unreadable", "problem", split, *told(content.problem), (record.image,), unfixable=reason)
            elif content.problem is not None and content.at == "reader":
                files, reason = (record.mask or record.image,), "a program has to be corrected"
                yield Finding("reader", "problem", split, *told(content.problem), files, unfixable=reason)


def _unusual(content: Content) -> Iterator[tuple[str, Any]]:
    """In what an image is unusual."""
    if content.image is None:
        return
    header = content.image.header
    if header.orientation > 1 and content.at != "size":
        yield "turned", header.orientation
    if header.format is not None and header.mode not in USUAL:
        yield "modes", header.mode
    if header.pages > 1:
        yield "stacks", header.pages
    if content.image.brightest <= DARK:
        yield "dark", content.image.brightest
    if content.size is not None and min(content.size) < SMALL:
        yield "small", content.size


def find_unusual_images(facts: Facts) -> Iterator[Finding]:
    """Images that are turned on reading, not in colours, or tiny: remarks."""
    for split, part in facts.parts.items():
        seen: dict[str, dict[Path, Any]] = {kind: {} for kind in ("turned", "modes", "stacks", "dark", "small")}
        for record, content in zip(part.records, part.contents, strict=True):
            for kind, value in _unusual(content):
                seen[kind][record.image] = value
        turned, modes, stacks, dark, small = seen.values()
        if turned:
            message = (
                f"{len(turned)} images are turned on reading, as their EXIF orientation says, first: "
                f"{next(iter(turned))}; expected upright pixels, since many programs ignore it"
            )
            remedy = "make sure that masks were drawn on the upright image"
            yield Finding("turned", "remark", split, message, remedy, tuple(turned))
        if modes:
            found = listed(sorted(set(modes.values())))
            message = f"{len(modes)} images are stored as {found}, first: {next(iter(modes))}; expected RGB"
            remedy = "nothing has to be done if that is meant: grey is repeated, alpha dropped, 16 bits are scaled to 8"
            yield Finding("not-rgb", "remark", split, message, remedy, tuple(modes))
        if stacks:
            path, count = next(iter(stacks.items()))
            message = (
                f"{len(stacks)} files hold several pictures, first: {path} with {count}; expected one a file, as only "
                "the first is read"
            )
            yield Finding("stack", "remark", split, message, "save the others as files of their own", tuple(stacks))
        if dark:
            path, value = next(iter(dark.items()))
            message = (
                f"{len(dark)} images are nearly black: the brightest value of {path} is {value} of 255, as of 12 bits "
                "stored in 16; expected values up to 255 (65535 of 16 bits)"
            )
            remedy = "set SEMIVERSE_BRIGHTEST to the largest value (4095, say) whenever they are read, or multiply them"
            yield Finding("dark", "remark", split, message, remedy, tuple(dark))
        if small:
            path, (height, width) = next(iter(small.items()))
            message = (
                f"{len(small)} images are smaller than {SMALL} pixels, first: {path} with {width}x{height}; expected "
                f"at least {SMALL} on each side, as networks see one in 8 to 32 pixels"
            )
            yield Finding("tiny", "remark", split, message, "are they thumbnails? Use the originals", tuple(small))


def find_sizes(facts: Facts) -> Iterator[Finding]:
    """One finding a mask, with the likely cause."""
    for split, record, content in masked(facts):
        if content.at == "size" and record.mask is not None and content.problem is not None:
            (message, remedy), (cause, reason) = told(content.problem), _cause(content)
            text, files = f"{message} ({cause})" if cause else message, (record.mask, record.image)
            yield Finding("sizes", "problem", split, text, remedy, files, unfixable=reason)


def _cause(content: Content) -> tuple[str, str]:
    """The likely cause, and why it cannot be repaired; empty where unknown, or where it can."""
    if content.image is None or content.mask is None or content.size is None:
        return "", "the image cannot be read"
    image, mask = content.image.header, content.mask.header.size
    if image.lying and mask == image.size:
        cause = f"the image's EXIF orientation {image.orientation} turns it on reading, and the mask fits the image as"
        return f"{cause} stored: turn the mask likewise, --fix does", ""
    if mask == content.size[::-1]:
        return "height and width are swapped", "whether to turn the mask left or right cannot be told"
    if scaled(content.size, mask):
        return "the same shape at another scale: --fix enlarges or shrinks it without mixing ids", ""
    return "", "its shape is another one, so that which part of the image it covers cannot be told"


def scaled(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two sizes are one shape at two scales, up to rounding to whole pixels."""
    factor = max(one) / max(*other, 1)
    return min(other) > 0 and all(abs(a - b * factor) <= max(1.0, factor) for a, b in zip(one, other, strict=True))
