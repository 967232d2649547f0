"""Examples of a dataset at a glance."""

from collections.abc import Mapping, Sequence

from semiverse.commands.reporting.examples import evenly
from semiverse.commands.reporting.figures import draw
from semiverse.commands.reporting.pictures import legend, picture_grid
from semiverse.data import Record, SegmentationDataset
from semiverse.pictures import overlay


def draw_sheet(dataset: SegmentationDataset, splits: Mapping[str, Sequence[Record]], count: int) -> bytes:
    """Images of every split, evenly chosen, each beside its mask laid over it.

    Args:
        dataset: Where the records are from.
        splits: Readable records by split.
        count: About how many images to show, in equal shares of the splits.

    Returns:
        A PNG file.
    """
    used = {split: records for split, records in splits.items() if records}
    chosen = [
        (split, records[index])
        for split, records in used.items()
        for index in evenly(len(records), max(1, count // len(used)))
    ]
    cells, captions, masks = [], [], []
    for split, record in chosen:
        image, mask = dataset.read(record)
        cells += [image.permute(1, 2, 0), overlay(image, mask, dataset.labels).permute(1, 2, 0)]
        captions += [f"{split}: {record.id}", ""]
        masks.append(mask)
    # Two images a row: wide enough to see something, short enough for one screen.
    rows = [cells[i : i + 4] for i in range(0, len(cells), 4)]
    names = [captions[i : i + 4] for i in range(0, len(captions), 4)]
    headings = ["image", "mask"] * min(2, len(chosen))
    return draw(picture_grid(rows, headings, legend(masks, dataset.labels), names), "png")
