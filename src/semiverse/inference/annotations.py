"""Predictions as files of annotation tools, with the confidence of each region, to be corrected there.

Every format gives the mask again, pixel by pixel, if nobody corrects it: where only polygons can be stored, regions in
holes of others come after those, and pixels without a label that others surround are a region called ``UNLABELED``.
"""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import numpy as np
from PIL import Image

from semiverse.files import Outputs
from semiverse.formats.label_studio import encode_brush
from semiverse.formats.outlines import Region, regions_of
from semiverse.inference.images import encoded
from semiverse.inference.predictor import Segmentation
from semiverse.labels import IGNORE, LabelSpace

AnnotationFormat = Literal["labelme", "cvat", "cvat-masks", "coco", "label-studio", "label-studio-brush"]
UNLABELED = "__ignore__"
"""What Labelme calls a region without a label."""
BORDER = (224, 224, 192)
"""Pascal VOC's colour of pixels without a label."""


class AnnotationFiles(ABC):
    """The files of one format.

    Args:
        outputs: What is written is noted here, and nothing else replaced.
        labels: The label space of the masks.
        below: The folder there.
    """

    per_image = False
    """Whether each image has files of its own, and there are no others."""

    def __init__(self, outputs: Outputs, labels: LabelSpace, below: str = "") -> None:
        self.outputs, self.labels, self.below = outputs, labels, below

    @staticmethod
    @abstractmethod
    def names(images: Iterable[str]) -> list[str]:
        """Files that are written for images of these names, by their paths in the folder."""

    @abstractmethod
    def add(self, name: str, image: Path, found: Segmentation) -> None:
        """Note, or write, what was found in an image.

        Args:
            name: What its files are called, without extension.
            image: Its file.
            found: Mask and confidence.
        """

    def finish(self) -> None:  # noqa: B027  (most formats have no file about all images)
        """Write what is about all images.

        Raises:
            OSError: If a file cannot be written.
        """

    def named(self, found: Segmentation) -> Iterator[tuple[str, Region]]:
        """Regions of a mask with the names of their classes, in the order in which they are painted."""
        for region in regions_of(found.mask.numpy(), found.confidence.numpy()):
            yield UNLABELED if region.train_id == IGNORE else self.labels.classes[region.train_id], region

    def write(self, name: str, content: str | bytes) -> None:
        """Write a file below the folder."""
        self.outputs.write(PurePosixPath(self.below, name).as_posix(), content)

    def write_json(self, name: str, content: object) -> None:
        """Write plain values below the folder."""
        self.write(name, json.dumps(content, ensure_ascii=False) + "\n")


class LabelmeFiles(AnnotationFiles):
    """A file of polygons for each image, which names the image by its path from there."""

    per_image = True

    @staticmethod
    def names(images: Iterable[str]) -> list[str]:
        """A file for each image."""
        return [f"{name}.json" for name in images]

    def add(self, name: str, image: Path, found: Segmentation) -> None:
        """Write the file of an image."""
        shapes: list[dict[str, Any]] = [
            {
                "label": title,
                "points": region.inner_polygon(),
                "group_id": None,
                "shape_type": "polygon",
                "flags": {},
                "description": f"confidence {region.confidence}",
                "confidence": region.confidence,
            }
            for title, region in self.named(found)
        ]
        height, width = found.mask.shape
        content: dict[str, Any] = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imageData": None}
        folder = (self.outputs.folder / self.below / name).parent
        content |= {"imagePath": Path(os.path.relpath(image, folder)).as_posix()}
        self.write_json(f"{name}.json", content | {"imageHeight": height, "imageWidth": width})


class CvatFiles(AnnotationFiles):
    """One XML file of polygons ("CVAT for images 1.1"), each with its confidence as an attribute."""

    @staticmethod
    def names(images: Iterable[str]) -> list[str]:  # noqa: ARG004  (one for all)
        """One file."""
        return ["annotations.xml"]

    def __init__(self, outputs: Outputs, labels: LabelSpace, below: str = "") -> None:
        super().__init__(outputs, labels, below)
        self.root = Element("annotations")
        SubElement(self.root, "version").text = "1.1"
        listed = SubElement(SubElement(SubElement(self.root, "meta"), "task"), "labels")
        colors = [*zip(labels.classes, labels.palette, strict=True), (UNLABELED, BORDER)]
        for title, (red, green, blue) in colors:
            entry = SubElement(listed, "label")
            SubElement(entry, "name").text = title
            SubElement(entry, "color").text = f"#{red:02x}{green:02x}{blue:02x}"
            attribute = SubElement(SubElement(entry, "attributes"), "attribute")
            for key, text in (("name", "confidence"), ("mutable", "False"), ("input_type", "text")):
                SubElement(attribute, key).text = text
            SubElement(attribute, "default_value").text = SubElement(attribute, "values").text = ""
        self.count = 0

    def add(self, name: str, image: Path, found: Segmentation) -> None:
        """Note the polygons of an image."""
        height, width = found.mask.shape
        sizes = {"width": str(width), "height": str(height)}
        entry = SubElement(self.root, "image", {"id": str(self.count), "name": f"{name}{image.suffix}"} | sizes)
        self.count += 1
        for order, (title, region) in enumerate(self.named(found)):
            points = ";".join(f"{x},{y}" for x, y in region.polygon())
            more = {"source": "auto", "occluded": "0", "points": points, "z_order": str(order)}
            shape = SubElement(entry, "polygon", {"label": title} | more)
            SubElement(shape, "attribute", {"name": "confidence"}).text = str(region.confidence)

    def finish(self) -> None:
        """Write the file."""
        indent(self.root)
        self.write("annotations.xml", tostring(self.root, "utf-8", xml_declaration=True))


class CvatMaskFiles(AnnotationFiles):
    """Coloured masks in the folders of Pascal VOC ("Segmentation mask 1.1"), which hold no confidence."""

    @staticmethod
    def names(images: Iterable[str]) -> list[str]:
        """Masks, their classes and their list."""
        masks = [f"SegmentationClass/{name}.png" for name in images]
        return [*masks, "labelmap.txt", "ImageSets/Segmentation/default.txt"]

    def __init__(self, outputs: Outputs, labels: LabelSpace, below: str = "") -> None:
        super().__init__(outputs, labels, below)
        self.masks: list[str] = []

    def add(self, name: str, image: Path, found: Segmentation) -> None:  # noqa: ARG002  (it is uploaded apart)
        """Write the mask of an image."""
        colors = self.labels.colorize(found.mask).numpy()
        colors[found.mask.numpy() == IGNORE] = BORDER
        self.write(f"SegmentationClass/{name}.png", encoded(Image.fromarray(colors), "PNG"))
        self.masks.append(name)

    def finish(self) -> None:
        """Write the classes with their colours, and the list of the images."""
        colors = zip(self.labels.classes, self.labels.palette, strict=True)
        lines = [f"{title}:{','.join(map(str, color))}::" for title, color in colors]
        self.write("labelmap.txt", "\n".join(["# label:color_rgb:parts:actions", *lines, ""]))
        listed = "".join(f"{name}\n" for name in self.masks)
        self.write("ImageSets/Segmentation/default.txt", listed)


class CocoFiles(AnnotationFiles):
    """One file of run lengths, each region with its confidence as ``score``."""

    @staticmethod
    def names(images: Iterable[str]) -> list[str]:  # noqa: ARG004  (one for all)
        """One file."""
        return ["annotations.json"]

    def __init__(self, outputs: Outputs, labels: LabelSpace, below: str = "") -> None:
        super().__init__(outputs, labels, below)
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []

    def add(self, name: str, image: Path, found: Segmentation) -> None:
        """Note the regions of an image."""
        height, width = found.mask.shape
        number = len(self.images) + 1
        self.images.append({"id": number, "file_name": f"{name}{image.suffix}", "height": height, "width": width})
        for _, region in self.named(found):
            if region.train_id != IGNORE:
                left, top = region.corner
                self.annotations.append(
                    {
                        "id": len(self.annotations) + 1,
                        "image_id": number,
                        "category_id": region.train_id + 1,
                        "segmentation": {"size": [height, width], "counts": region.runs((height, width))},
                        "bbox": [left, top, region.pixels.shape[1], region.pixels.shape[0]],
                        "area": int(np.count_nonzero(region.pixels)),
                        "iscrowd": 0,
                        "score": region.confidence,
                    }
                )

    def finish(self) -> None:
        """Write the file; categories are numbered from 1."""
        categories = [{"id": i, "name": title} for i, title in enumerate(self.labels.classes, 1)]
        content = {"images": self.images, "annotations": self.annotations, "categories": categories}
        self.write_json("annotations.json", content)


class LabelStudioFiles(AnnotationFiles):
    """One file of tasks whose predictions are polygons, and the labelling interface that shows them."""

    kind, tag = "polygonlabels", "PolygonLabels"

    @staticmethod
    def names(images: Iterable[str]) -> list[str]:  # noqa: ARG004  (one for all)
        """Tasks and interface."""
        return ["tasks.json", "interface.xml"]

    def __init__(self, outputs: Outputs, labels: LabelSpace, below: str = "") -> None:
        super().__init__(outputs, labels, below)
        self.tasks: list[dict[str, Any]] = []

    def add(self, name: str, image: Path, found: Segmentation) -> None:
        """Note the regions of an image as a task."""
        height, width = found.mask.shape
        about = {"from_name": "label", "to_name": "image", "type": self.kind, "image_rotation": 0}
        about |= {"original_width": width, "original_height": height}
        results = [
            {
                "id": f"region{i}",
                **about,
                "score": region.confidence,
                "value": self.value(region, (height, width), title),
            }
            for i, (title, region) in enumerate(self.named(found))
        ]
        score = round(float(found.confidence.mean()), 4)
        prediction = {"model_version": "semiverse", "score": score, "result": results}
        reference = f"/data/local-files/?d={name}{image.suffix}"
        self.tasks.append({"data": {"image": reference}, "predictions": [prediction]})

    def value(self, region: Region, size: tuple[int, int], title: str) -> dict[str, Any]:
        """A region as a polygon whose points are per cent of the image."""
        points = [[100 * x / size[1], 100 * y / size[0]] for x, y in region.polygon()]
        return {"points": points, "closed": True, self.kind: [title]}

    def finish(self) -> None:
        """Write the tasks and the interface."""
        view = Element("View")
        SubElement(view, "Image", {"name": "image", "value": "$image"})
        choices = SubElement(view, self.tag, {"name": "label", "toName": "image"})
        colors = [*zip(self.labels.classes, self.labels.palette, strict=True), (UNLABELED, BORDER)]
        for title, (red, green, blue) in colors:
            SubElement(choices, "Label", {"value": title, "background": f"#{red:02x}{green:02x}{blue:02x}"})
        indent(view)
        self.write("interface.xml", tostring(view, "utf-8"))
        self.write_json("tasks.json", self.tasks)


class LabelStudioBrushFiles(LabelStudioFiles):
    """The same with brushed regions."""

    kind, tag = "brushlabels", "BrushLabels"

    def value(self, region: Region, size: tuple[int, int], title: str) -> dict[str, Any]:
        """A region as brushed pixels of the whole image."""
        painted, (left, top) = np.zeros(size, dtype=bool), region.corner
        height, width = region.pixels.shape
        painted[top : top + height, left : left + width] = region.pixels
        return {"format": "rle", "rle": encode_brush(painted), self.kind: [title]}


FORMATS: dict[str, type[AnnotationFiles]] = {
    "labelme": LabelmeFiles,
    "cvat": CvatFiles,
    "cvat-masks": CvatMaskFiles,
    "coco": CocoFiles,
    "label-studio": LabelStudioFiles,
    "label-studio-brush": LabelStudioBrushFiles,
}
"""What writes each format."""
