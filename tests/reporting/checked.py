"""What every report on a run that was really trained has to show."""

import re
from pathlib import Path

from semiverse.commands.report import report
from semiverse.reporting.curves import curve_pictures
from tests.reporting.made_up_runs import read

REPORTED: set[tuple[str, ...]] = set()
"""What was recorded by the runs whose pages were written: pages of equal columns are made alike."""


def check_report(run: Path) -> None:
    """Every number that was recorded is drawn under the title of its method, and the page lacks nothing."""
    (setting,) = read(run)
    assert setting.runs[0].problems == () and setting.declared is not None
    curves = {picture.name: picture for picture in curve_pictures([setting])}
    lines = [line for picture in curves.values() for axes in picture.figure.axes for line in axes.lines]
    recorded = [column for column in setting.columns if "/" in column]
    assert len(lines) == len({*recorded, "learning_rate", "images_per_second"})
    titles = {"Validation", "Learning rate", *(curve.title for curve in setting.declared.records.values())}
    assert [name for name, picture in curves.items() if not picture.caption.startswith(tuple(titles))] == []
    if tuple(recorded) in REPORTED:
        return
    REPORTED.add(tuple(recorded))
    page = report([run], images=1, device="cpu")
    files = {path.stem for path in (page.parent / "figures").glob("*.png")}
    assert {*curves, *(f"examples_{domain}" for domain in setting.runs[0].domains)} <= files
    remarks = re.findall(r'class="remark">(.*?)</p>', page.read_text(encoding="utf-8"))
    assert [remark for remark in remarks if "evaluated without details" not in remark] == []
