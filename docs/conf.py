"""The documentation site: the pages of this folder and a reference from the docstrings; ``make docs`` builds it.

Pages are plain Markdown whose links work in the repository as well. Here links that leave this folder are turned to the
pages of the site that stand for them, or to the repository.
"""

import os
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

import semiverse

DOCS = Path(__file__).parent
ROOT = DOCS.parent
REPOSITORY = "https://github.com/semiverse/semiverse"
INCLUDED = {"start": "README.md", "contributing": "CONTRIBUTING.md", "changelog": "CHANGELOG.md"}
"""Pages whose text is a file of the repository's root."""
CONTENTS = {
    "Guides": ["Start <start>", "guides/your_own_images", "guides/check_your_data", "guides/few_labels", "datasets"],
    "Methods": ["methods/universal"],
    "Measured": ["results", "reproduce", "performance", "reliability", "scale"],
    "Project": ["design", "contributing", "changelog"],
    "Reference": ["reference/semiverse"],
}
"""What stands at the side: headings with their first pages; other pages of a heading's folder follow by themselves."""

project = "semiverse"
version = release = semiverse.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3
highlight_language = "none"

autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False  # those of torch are about something else
autodoc_typehints = "description"
autodoc_typehints_description_target = "all"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
maximum_signature_line_length = 100
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = "semiverse"
html_copy_source = False
html_show_search_summary = False  # it would be fetched, which browsers refuse for files on disk
html_show_copyright = False


def text_of_page(app: Sphinx, page: str, source: list[str]) -> None:
    """Give a page its text: that of another file where it stands for one, with links that fit the site."""
    if page in INCLUDED:
        source[0] = (ROOT / INCLUDED[page]).read_text(encoding="utf-8")
        app.env.note_dependency(ROOT / INCLUDED[page])  # read again when that file changes
    home = ROOT if page in INCLUDED else (DOCS / page).parent
    source[0] = re.sub(
        r"(?<=\]\()(?!\w+:|#)([^)#\s]+)(?=[)#])", lambda found: target(found[1], home, DOCS / page), source[0]
    )
    if page == "index":
        source[0] += "".join(map(toctree, CONTENTS))


def target(link: str, home: Path, page: Path) -> str:
    """Where a link of a page leads on the site."""
    file = (home / link).resolve()
    pages = {ROOT / text: DOCS / f"{name}.md" for name, text in INCLUDED.items()}
    file = pages.get(file, file)
    if file.is_relative_to(DOCS):
        return Path(os.path.relpath(file, page.parent)).as_posix()
    return f"{REPOSITORY}/blob/main/{file.relative_to(ROOT).as_posix()}"


def toctree(heading: str) -> str:
    """The pages below a heading, for the side of the site."""
    first = CONTENTS[heading]
    rest = [f"{heading.lower()}/*"] if (DOCS / heading.lower()).is_dir() else []
    return "\n".join(["", "```{toctree}", ":hidden:", ":glob:", f":caption: {heading}", "", *first, *rest, "```", ""])


def public_name(app: Sphinx, env: BuildEnvironment, node: Any, content: nodes.Node) -> nodes.Node | None:  # noqa: ANN401
    """Lead a type that is named by the module it lies in to the package that offers it."""
    if node["refdomain"] != "py" or not node["reftarget"].startswith("semiverse."):
        return None
    short = node["reftarget"].rpartition(".")[2]
    found = [name for name in env.domains.python_domain.objects if name.split(".")[0] == "semiverse"]
    same = [name for name in found if name.rpartition(".")[2] == short and name.count(".") <= 2]
    if len(same) != 1:
        return None
    python = env.domains.python_domain
    return python.resolve_xref(env, node["refdoc"], app.builder, "obj", same[0], node, content)


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", text_of_page)
    app.connect("missing-reference", public_name)
