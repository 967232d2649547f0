"""The page of a check: findings, class frequencies, sizes and examples of every domain."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from semiverse.commands.reporting.findings import Findings, as_values


def render_check(found: Mapping[str, Findings], sheets: Mapping[str, bytes]) -> str:
    """The page as HTML that needs nothing else.

    Args:
        found: What was found, by domain.
        sheets: Contact sheets as PNG, by domain.
    """
    environment = Environment(
        loader=PackageLoader("semiverse.commands", "reporting"),
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
