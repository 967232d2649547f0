"""Is the data on disk what its class says it is?"""

import json
from pathlib import Path

from semiverse.doctor.examine import examine_domain
from semiverse.doctor.fix import write_fixed
from semiverse.doctor.page import Findings, as_values, described
from semiverse.files import write_atomically
from semiverse.mixture import DomainMixture

SHEET = 12
"""Images of a contact sheet."""


def check(data: DomainMixture, out: Path | None = None, fix: Path | None = None, fresh: bool = False) -> int:
    """Read every image and mask that a training would use: print what is there, and everything that is wrong.

    Files that were found in order before and have not changed since are not read again ($SEMIVERSE_CACHE).

    Args:
        data: The domains.
        out: Folder for check.json, for index.html, and for a picture of examples of each domain; None: only print.
        fix: New folder for corrected copies of domains with problems, as far as these can be corrected safely; the
            files that were read stay as they are. None: correct nothing.
        fresh: Read every file again.

    Returns:
        0, or 1 if there are problems.

    Raises:
        ValueError: If the folder for corrected copies is not empty.
        OSError: If a folder cannot be written.
    """
    if fix is not None and fix.exists() and (not fix.is_dir() or any(fix.iterdir())):
        raise ValueError(f"{fix} is not empty; expected a new folder, as nothing is overwritten: choose another --fix")
    found = {name: examine_domain(data, name, fresh) for name in data.domains}
    for name, findings in found.items():
        print("\n".join(described(name, findings)))
    problems = sum(len(findings.problems) for findings in found.values())
    images = sum(len(part.records) for findings in found.values() for part in findings.parts.values())
    print(f"{images} images in {_counted(len(found), 'domain')}: {_counted(problems, 'problem')}")
    if out is not None:
        _write(out, found, problems)
    if fix is not None:
        print("\n".join(write_fixed(data, found, fix)))
    return 1 if problems else 0


def _counted(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _write(out: Path, found: dict[str, Findings], problems: int) -> None:
    """Values, pictures and the page."""
    # Only now: training checks its data too, and has no use for libraries that draw.
    from semiverse.doctor.page import render_check

    facts = {"problems": problems, "domains": {name: as_values(findings) for name, findings in found.items()}}
    write_atomically(out / "check.json", json.dumps(facts, indent=1) + "\n")
    sheets = {name: sheet for name, findings in found.items() if (sheet := contact_sheet(findings))}
    for name, sheet in sheets.items():
        write_atomically(out / f"contact_sheet_{name.replace('/', '_')}.png", sheet)
    write_atomically(out / "index.html", render_check(found, sheets))
    print(f"written: {out / 'index.html'}, {out / 'check.json'} and a contact sheet of each domain")


def refuse_problems(data: DomainMixture) -> None:
    """Read every file that a training would use, images without masks included.

    Raises:
        ValueError: If files are bad; the message lists them.
    """
    found = [(name, finding) for name in data.domains for finding in examine_domain(data, name).found]
    problems = [(name, finding) for name, finding in found if finding.severity == "problem"]
    if problems:
        listed = "\n  ".join(f"{name} {finding}" for name, finding in problems[:20])
        more = f"\n  and {len(problems) - 20} more" if len(problems) > 20 else ""
        raise ValueError(f"the data cannot be used, {_counted(len(problems), 'problem')}:\n  {listed}{more}")


def contact_sheet(findings: Findings) -> bytes | None:
    """Examples of every split, each beside its mask laid over it, as a PNG; None where nothing can be read."""
    from semiverse.doctor.page import draw_sheet

    readable = {
        split: [record for record, content in zip(part.records, part.contents, strict=True) if not content.problem]
        for split, part in findings.parts.items()
    }
    return draw_sheet(findings.dataset, readable, SHEET) if any(readable.values()) else None
