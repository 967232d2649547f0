"""The page about every dataset."""

from pathlib import Path

import pytest
from docs.datasets_page import datasets_page

from semiverse.configuration.options import options
from semiverse.datasets.catalogue import known_datasets, open_archive

PAGE = Path(__file__).parents[1] / "docs" / "datasets.md"


def section(name: str) -> str:
    """What the page says about one dataset."""
    parts = datasets_page().replace("\n### ", "\n## ").split("\n## ")
    (text,) = [part for part in parts if part.partition("\n")[0] == name]
    return text


def test_page_in_the_documents_is_what_the_code_says():
    assert PAGE.read_text(encoding="utf-8") == datasets_page(), "docs/datasets.md is outdated: run `make docs`"


@pytest.mark.parametrize("kind", known_datasets(), ids=lambda kind: kind.__name__)
def test_section_has_every_fact_of_the_class(kind):
    text = section(kind.__name__)
    assert all(f"| `{name}` |" in text for name in options(kind))
    for fact in ("source", "terms"):
        assert getattr(kind, fact, "") in text
    if hasattr(kind, "labels"):
        assert f"Classes ({len(kind.labels)}): {', '.join(kind.labels.classes)}" in text
    assert all(f"{split} ({count})" in text for split, count in getattr(kind, "image_counts", {}).items())
    archive = open_archive(kind)
    assert archive is None or f"`semiverse download {archive.folder}` fetches it" in text
    assert "``" not in text


def test_choices_and_defaults_of_arguments_are_told():
    assert "| `style` | Weather, time of day and camera. One of: day, dusk, rain, game. | `day` |" in section(
        "SyntheticStreets"
    )
    folder = section("Folder")
    assert "| `root` | The folder. | required |" in folder
    assert "are left out. | `''` |" in folder and "| `255` |" in folder
