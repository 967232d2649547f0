"""What a check of data found, as values, as text and as a page."""

import json
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from semiverse.data import SegmentationDataset
from semiverse.doctor.findings import Findings, Part
from semiverse.files import write_atomically
from semiverse.inference.pictures import overlay
from semiverse.reporting.examples import evenly, frequencies
from semiverse.reporting.figures import draw, legend, picture_grid


def as_values(findings: Findings) -> dict[str, Any]:
    """Findings as plain values; shares in [0, 1]."""
    dataset = findings.dataset
    return {
        "dataset": type(dataset).__name__,
        "root": str(dataset.root),
        "classes": list(dataset.labels.classes),
        "splits": {split: _part_values(part, dataset) for split, part in findings.parts.items()},
        "problems": findings.problems,
        "remarks": findings.remarks,
        "findings": [
            {name: getattr(finding, name) for name in ("kind", "severity", "where", "message", "remedy")}
            | {"files": [str(path) for path in finding.files], "unfixable": finding.unfixable or None}
            for finding in findings.found
        ],
    }


def _part_values(part: Part, dataset: SegmentationDataset) -> dict[str, Any]:
    counted = frequencies(part.contents, dataset.labels)
    sizes = Counter(content.size for content in part.contents if content.size is not None)
    return {
        "images": len(part.records),
        "masks": sum(record.mask is not None for record in part.records),
        "problems": sum(content.problem is not None for content in part.contents),
        "sizes": [{"height": h, "width": w, "images": count} for (h, w), count in sizes.most_common()],
        "ignored": round(1 - sum(share for share, _ in counted.values()), 6) if counted else None,
        "frequencies": {
            title: {"pixels": round(share, 6), "images": images} for title, (share, images) in counted.items()
        },
    }


def described(name: str, findings: Findings) -> list[str]:
    """Findings as lines of text."""
    values = as_values(findings)
    splits: Mapping[str, Any] = values["splits"]
    rows = [["split", "images", "masks", "without label", "problems", "width x height"]]
    for split, part in splits.items():
        ignored = "-" if part["ignored"] is None else f"{100 * part['ignored']:.1f} %"
        rows.append([split, part["images"], part["masks"], ignored, part["problems"], _sizes(part["sizes"])])
    masked = {split: part["frequencies"] for split, part in splits.items() if part["frequencies"]}
    classes = [["class", *(word for split in masked for word in (f"{split} pixels", "images"))]]
    for title in values["classes"]:
        counts = [(part[title]["pixels"], part[title]["images"]) for part in masked.values()]
        classes.append([title, *(word for share, images in counts for word in (f"{100 * share:.2f} %", images))])
    lines = [f"{name}: {values['dataset']} at {values['root']}, {len(values['classes'])} classes", ""]
    lines += [*_aligned(rows), "", *(_aligned(classes) if masked else ["no masks"]), ""]
    lines += [f"  remark   {remark}" for remark in findings.remarks]
    lines += [f"  PROBLEM  {problem}" for problem in findings.problems]
    return [*lines, ""] if findings.remarks or findings.problems else lines


def _sizes(sizes: Sequence[Mapping[str, int]]) -> str:
    listed = [f"{size['width']}x{size['height']}" for size in sizes]
    if len(listed) > 3:
        return f"{listed[0]} ({sizes[0]['images']}) and {len(listed) - 1} other sizes"
    return ", ".join(
        f"{text} ({size['images']})" if len(listed) > 1 else text for text, size in zip(listed, sizes, strict=True)
    )


def _aligned(rows: Sequence[Sequence[object]]) -> list[str]:
    """Words in columns, the first to the left, the others to the right."""
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(
            f"{word!s:<{width}}" if i == 0 else f"{word!s:>{width}}"
            for i, (word, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return [f"  {line}".rstrip() for line in lines]


def render_check(found: Mapping[str, Findings], sheets: Mapping[str, bytes]) -> str:
    """The page as HTML that needs nothing else.

    Args:
        found: What was found, by domain.
        sheets: Contact sheets as PNG, by domain.
    """
    environment = Environment(
        loader=PackageLoader("semiverse.reporting", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    sections = [_section(name, findings, sheets.get(name)) for name, findings in found.items()]
    problems = sum(len(findings.problems) for findings in found.values())
    return environment.get_template("check.html.j2").render(sections=sections, problems=problems)


def _section(name: str, findings: Findings, sheet: bytes | None) -> dict[str, Any]:
    values = as_values(findings)
    shares = [entry["pixels"] for part in values["splits"].values() for entry in part["frequencies"].values()]
    return values | {
        "name": name,
        "colors": dict(zip(values["classes"], findings.dataset.labels.palette, strict=True)),
        "largest": max([share for share in shares if share > 0], default=1),
        "sheet": None if sheet is None else f"data:image/png;base64,{b64encode(sheet).decode()}",
    }


def write_page(folder: Path, found: Mapping[str, Findings]) -> None:
    """Write what was found: values as check.json, a contact sheet of each domain, and a page of both as index.html.

    Raises:
        OSError: If a file cannot be written.
    """
    problems = sum(len(findings.problems) for findings in found.values())
    values = {"problems": problems, "domains": {name: as_values(findings) for name, findings in found.items()}}
    write_atomically(folder / "check.json", json.dumps(values, indent=1) + "\n")
    sheets = {name: sheet for name, findings in found.items() if (sheet := contact_sheet(findings))}
    for name, sheet in sheets.items():
        write_atomically(folder / f"contact_sheet_{name.replace('/', '_')}.png", sheet)
    write_atomically(folder / "index.html", render_check(found, sheets))


def contact_sheet(findings: Findings, most: int = 12) -> bytes | None:
    """Images of every split, evenly chosen, each beside its mask laid over it, as a PNG; None if none is readable.

    Args:
        findings: What was found in a domain.
        most: About how many images to show, in equal shares of the splits.
    """
    dataset = findings.dataset
    parts = {split: zip(part.records, part.contents, strict=True) for split, part in findings.parts.items()}
    readable = {split: [record for record, content in pairs if not content.problem] for split, pairs in parts.items()}
    used = {split: records for split, records in readable.items() if records}
    chosen = [
        (split, records[index])
        for split, records in used.items()
        for index in evenly(len(records), max(1, most // len(used)))
    ]
    if not chosen:
        return None
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
