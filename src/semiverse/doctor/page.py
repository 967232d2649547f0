"""What a check of data found, as values, as text and as a page."""

import json
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from semiverse.data.records import masked, taken
from semiverse.doctor.findings import Findings
from semiverse.files import Outputs
from semiverse.inference.pictures import overlay
from semiverse.reporting.examples import evenly, frequencies
from semiverse.reporting.figures import draw, legend, picture_grid
from semiverse.reporting.page import rendered


def as_values(findings: Findings) -> dict[str, Any]:
    """Findings as plain values; shares in [0, 1]."""
    dataset, splits = findings.dataset, {}
    for split, part in findings.parts.items():
        counted = frequencies(part.contents, dataset.labels)
        sizes = Counter(content.size for content in part.contents if content.size is not None)
        splits[split] = {
            "images": len(part.records),
            "masks": int(np.count_nonzero(masked(part.records))),
            "problems": len(part.contents.problems),
            "sizes": [{"height": h, "width": w, "images": count} for (h, w), count in sizes.most_common()],
            "ignored": round(1 - sum(share for share, _ in counted.values()), 6) if counted else None,
            "frequencies": {
                title: {"pixels": round(share, 6), "images": images} for title, (share, images) in counted.items()
            },
        }
    return {
        "dataset": type(dataset).__name__,
        "root": str(dataset.root),
        "classes": list(dataset.labels.classes),
        "splits": splits,
        "problems": findings.problems,
        "remarks": findings.remarks,
        "findings": [
            {name: getattr(finding, name) for name in ("kind", "severity", "where", "message", "remedy")}
            | {"files": [str(path) for path in finding.files], "unfixable": finding.unfixable or None}
            for finding in findings.found
        ],
    }


def described(name: str, findings: Findings) -> list[str]:
    """Findings as lines of text."""
    values = as_values(findings)
    splits: Mapping[str, Any] = values["splits"]
    rows = [["split", "images", "masks", "without label", "problems", "width x height"]]
    for split, part in splits.items():
        ignored = "-" if part["ignored"] is None else f"{100 * part['ignored']:.1f} %"
        sizes = [f"{size['width']}x{size['height']} ({size['images']})" for size in part["sizes"]]
        shown = ", ".join(sizes) if len(sizes) < 4 else f"{sizes[0]} and {len(sizes) - 1} other sizes"
        shown = shown if len(sizes) != 1 else shown.partition(" ")[0]
        rows.append([split, part["images"], part["masks"], ignored, part["problems"], shown])
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


def _aligned(rows: Sequence[Sequence[object]]) -> list[str]:
    """Words in columns, the first to the left, the others to the right."""
    widths = [max(len(str(word)) for word in column) for column in zip(*rows, strict=True)]
    sides = ["<", *">" * (len(widths) - 1)]
    lines = ["  ".join(map("{!s:{}{}}".format, row, sides, widths)) for row in rows]
    return [f"  {line}".rstrip() for line in lines]


def write_page(folder: Path, found: Mapping[str, Findings]) -> None:
    """Write what was found: values as check.json, a contact sheet of each domain, and a page of both as index.html.

    Raises:
        ValueError: If a file to write is there and not from an earlier check.
        OSError: If a file cannot be written.
    """
    outputs = Outputs(folder, "check")
    outputs.refuse_foreign(page_names(found))
    problems = sum(len(findings.problems) for findings in found.values())
    domains = {name: as_values(findings) for name, findings in found.items()}
    outputs.write("check.json", json.dumps({"problems": problems, "domains": domains}, indent=1) + "\n")
    sections = []
    for name, findings in found.items():
        values, sheet = domains[name], _contact_sheet(findings)
        if sheet:
            outputs.write(_sheet_name(name), sheet)
        shares = [entry["pixels"] for part in values["splits"].values() for entry in part["frequencies"].values()]
        more = {
            "name": name,
            "colors": dict(zip(values["classes"], findings.dataset.labels.palette, strict=True)),
            "largest": max(shares, default=0) or 1,
            "sheet": f"data:image/png;base64,{b64encode(sheet).decode()}" if sheet else None,
        }
        sections.append(values | more)
    page = rendered("check.html.j2", sections=sections, problems=problems)
    outputs.write("index.html", page)


def page_names(domains: Iterable[str]) -> list[str]:
    """Files that ``write_page`` writes for these domains."""
    return ["check.json", "index.html", *map(_sheet_name, domains)]


def _sheet_name(domain: str) -> str:
    return f"contact_sheet_{domain.replace('/', '_')}.png"


def _contact_sheet(findings: Findings) -> bytes | None:
    """About 12 images of all splits, each beside its mask laid over it, as a PNG; None if none is readable."""
    dataset, used = findings.dataset, {}
    for split, part in findings.parts.items():
        in_order = np.ones(len(part.records), dtype=bool)
        in_order[list(part.contents.problems)] = False
        if records := taken(part.records, np.flatnonzero(in_order)):
            used[split] = records
    cells, captions, masks = [], [], []
    for split, records in used.items():
        for index in evenly(len(records), max(1, 12 // len(used))):
            image, mask = dataset.read(records[index])
            cells += [image.permute(1, 2, 0), overlay(image, mask, dataset.labels).permute(1, 2, 0)]
            captions += [f"{split}: {records[index].id}", ""]
            masks.append(mask)
    if not masks:
        return None
    # Two images a row: wide enough to see something, short enough for one screen.
    rows = [cells[i : i + 4] for i in range(0, len(cells), 4)]
    names = [captions[i : i + 4] for i in range(0, len(captions), 4)]
    headings = ["image", "mask"] * min(2, len(masks))
    return draw(picture_grid(rows, headings, legend(masks, dataset.labels), names), "png")
