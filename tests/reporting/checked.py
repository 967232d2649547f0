"""What every report on a run that was really trained has to show."""

import re
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from semiverse.commands.report import report
from semiverse.reporting.curves import curve_pictures
from semiverse.reporting.figures import Picture
from tests.reporting.made_up_runs import read

REPORTED: set[tuple[object, ...]] = set()
"""What was recorded by the runs whose pages were written, drawn or blank: pages of equal columns are made alike."""


def leave_blank(monkeypatch: pytest.MonkeyPatch, but: tuple[str, ...] = ()) -> None:
    """Put one blank picture in the place of all figures of pages but those whose names begin so.

    To draw them takes most of a page's time, and they are drawn where reports are tested.
    """
    draw = Picture.draw
    blank = Picture("blank", "", Figure(figsize=(1, 1))).draw()

    def draw_some(picture: Picture) -> dict[str, bytes]:
        if picture.name.startswith(but):
            return draw(picture)
        picture.png = blank["png"]
        return blank

    monkeypatch.setattr(Picture, "draw", draw_some)


def check_report(run: Path, blank: pytest.MonkeyPatch | None = None) -> None:
    """Every number that was recorded is drawn under the title of its method, and the page lacks nothing.

    With ``blank`` the figures of the page are left blank.
    """
    (setting,) = read(run)
    assert setting.runs[0].problems == () and setting.declared is not None
    curves = {picture.name: picture for picture in curve_pictures([setting])}
    lines = [line for picture in curves.values() for axes in picture.figure.axes for line in axes.lines]
    recorded = [column for column in setting.columns if "/" in column]
    assert len(lines) == len({*recorded, "learning_rate", "images_per_second"})
    titles = {"Validation", "Learning rate", *(curve.title for curve in setting.declared.records.values())}
    assert [name for name, picture in curves.items() if not picture.caption.startswith(tuple(titles))] == []
    if (blank is None, *recorded) in REPORTED:
        return
    REPORTED.add((blank is None, *recorded))
    if blank is not None:
        leave_blank(blank)
    page = report([run], images=1, device="cpu")
    files = {path.stem for path in (page.parent / "figures").glob("*.png")}
    assert {*curves, *(f"examples_{domain}" for domain in setting.runs[0].domains)} <= files
    remarks = re.findall(r'class="remark">(.*?)</p>', page.read_text(encoding="utf-8"))
    assert [remark for remark in remarks if "evaluated without details" not in remark] == []
