"""Tables and figures from one or many runs, on one page that can be forwarded."""

from pathlib import Path
from typing import Literal


def report(
    runs: list[Path],
    out: Path | None = None,
    images: int = 4,
    title: str | None = None,
    device: str = "auto",
    latent_order: Literal["class", "number"] = "class",
    latent_validation: bool = False,
    as_: list[str] | None = None,
    classes: list[str] | None = None,
) -> Path:
    """Compare runs: tables, curves and example pictures on one self-contained HTML page, and as files for papers.

    Runs that differ only in the seed become one row with mean and standard deviation; where runs allow it, a verdict
    says whether unlabelled images and other domains helped. The folder of a ``semiverse reproduce`` call gives the
    table of the paper too, ours next to the published numbers, with its verdicts and figures. A run that is not
    finished or was never evaluated is shown with what there is. A report that is there already is replaced; other files
    never are.

    Args:
        runs: Run folders, folders that hold run folders, or the --out of ``semiverse reproduce``; and models that are
            of no run, such as published ones, which are shown among the example pictures alone.
        out: Where to write index.html, tables and figures; None: ``report`` inside the only folder given, or beside the
            first of several.
        images: Example images of each domain, the best, worst and most improved where evaluations have details, else
            evenly chosen; 0: none.
        title: Of the page; None: made from the names of the runs.
        device: Where to compute the example predictions; auto: a GPU if there is one.
        latent_order: Order of latent classes in P(l|c): by the class that predicts each most, or by number.
        latent_validation: Estimate P(l|c) from all validation images as well, beside that of the training.
        as_: The domain that example images are like, for models that do not know theirs; of several, the first that a
            model knows counts. None: such models show nothing.
        classes: Show only these in example pictures and maps of features, by title or, of one domain alone, as
            DOMAIN/TITLE. None: all. Tables and other figures have all.

    Returns:
        The page that was written.

    Raises:
        FileNotFoundError: If something given is no run.
        ValueError: If the folder holds files that are not from an earlier report, or a class is unknown.
    """
    if images < 0:
        raise ValueError(f"images is {images}; expected how many examples of each domain to show: 0 or more")
    from semiverse.reporting.page import Shown, write_report  # seconds of imports that the help does not need

    shown = Shown(images, device, latent_order, latent_validation, as_ or (), classes)
    page = write_report(runs, out, title, shown)
    print(f"report: {page}")
    return page
