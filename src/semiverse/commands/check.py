"""Is the data on disk what its class says it is?"""

from pathlib import Path

from semiverse.distributed import launched
from semiverse.doctor.examine import examine_domain, read_share
from semiverse.doctor.findings import counted
from semiverse.doctor.fix import copies_in, write_fixed
from semiverse.doctor.page import described, page_names, write_page
from semiverse.files import Outputs
from semiverse.mixture import DomainMixture


def check(data: DomainMixture, out: Path | None = None, fix: Path | None = None, fresh: bool = False) -> int:
    """Read every image and mask that a training would use: print what is there, and everything that is wrong.

    Files that were found in order before and have not changed since are not read again ($SEMIVERSE_CACHE). Under
    torchrun each process reads its share, and the first one says what was found.

    Args:
        data: The domains.
        out: Folder for check.json, for index.html, and for a picture of examples of each domain; None: only print.
        fix: Folder for corrected copies of domains with problems, as far as these can be corrected safely; the files
            that were read stay as they are, and only copies of an earlier call are replaced. None: correct nothing.
        fresh: Read every file again.

    Returns:
        0, or 1 if there are problems.

    Raises:
        ValueError: If the folder for corrected copies, or that for the page, holds files of somebody else.
        OSError: If a folder cannot be written.
    """
    copies = None if fix is None else copies_in(fix)
    if out is not None:
        Outputs(out, "check").refuse_foreign(page_names(data.domains))
    if not read_share(data, fresh):
        print("this share is read: the first process says what was found")
        return 0
    found = {name: examine_domain(data, name, fresh and launched()[1] == 1) for name in data.domains}
    if out is not None:
        write_page(out, found)
    fixed = [] if copies is None else write_fixed(data, found, copies)
    for name, findings in found.items():
        print("\n".join(described(name, findings)))
    problems = sum(len(findings.problems) for findings in found.values())
    images = sum(len(part.records) for findings in found.values() for part in findings.parts.values())
    print(f"{images} images in {counted(len(found), 'domain')}: {counted(problems, 'problem')}")
    if out is not None:
        print(f"written: {out / 'index.html'}, {out / 'check.json'} and a contact sheet of each domain")
    if fix is not None:
        print("\n".join(fixed))
    return 1 if problems else 0
