"""The page in a browser, at the width of a desk and of a telephone."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from semiverse.commands.report import report
from tests.reporting.made_up_runs import make_run

BROWSERS = [path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))]
FULL = {"alpha": 0.1, "beta": 0.1, "anchor": 1.0}
WIDTHS = (1280, 390)
LISTENERS = """<script>
window.problems = [];
addEventListener("error", event => problems.push(`error: ${event.message || event.target.src.slice(0, 80)}`), true);
addEventListener("securitypolicyviolation", event => problems.push(`request: ${event.blockedURI}`));
console.error = (...words) => problems.push(`console: ${words.join(" ")}`);
console.warn = console.error;
</script>"""
PROBE = """<script>
addEventListener("load", () => {
  const images = [...document.images];
  const requests = performance.getEntriesByType("resource").map(entry => entry.name);
  const findings = {
    problems, width: innerWidth, scrollWidth: document.documentElement.scrollWidth, images: images.length,
    empty: images.filter(image => image.naturalWidth === 0).length,
    requests: requests.filter(name => !name.startsWith("data:")),
  };
  const out = document.createElement("pre");
  out.id = "findings";
  out.textContent = JSON.stringify(findings);
  parent.document.body.append(out);
});
</script>"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not BROWSERS, reason="there is no chromium, chromium-browser or google-chrome"),
]


def findings(text: str, width: int, folder: Path) -> dict[str, Any]:
    """What a browser finds on a page; in its copy scripts may run and no image waits to be scrolled to."""
    policy = "default-src 'none'"
    assert policy in text
    watched = text.replace(policy, f"{policy}; script-src 'unsafe-inline'").replace("<head>", f"<head>{LISTENERS}")
    copy = folder / "copy.html"
    watched = watched.replace(' loading="lazy"', "").replace("</body>", f"{PROBE}</body>")
    frame = f'<iframe style="width: {width}px; height: 900px; border: 0" srcdoc="{html.escape(watched)}"></iframe>'
    copy.write_text(f'<!doctype html><meta charset="utf-8">{frame}', encoding="utf-8")  # windows are 500 wide at least
    quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--host-resolver-rules=MAP * ~NOTFOUND"]
    where = [f"--user-data-dir={folder / 'profile'}", "--window-size=1400,1000"]
    command = [BROWSERS[0], *quiet, *where, "--dump-dom", copy.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    found = re.search(r'<pre id="findings">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found is not None, done.stderr[-2000:]
    return json.loads(html.unescape(found[1]))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def text(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page with verdicts, warnings, curves of efficiency and example pictures, and names that are long."""
    folder = tmp_path_factory.mktemp("page")
    run = folder / "streets_and_rooms_with_a_very_long_name_that_has_no_place_to_break_anywhere"
    run.mkdir()
    for part in ("config.yaml", "labeled.json", "model", "environment.json"):
        (run / part).symlink_to(trained / part)
    for seed in range(2):
        make_run(folder / f"plain_2_{seed}", {"street": 0.4}, seed=seed)
        make_run(folder / f"full_2_{seed}", {"street": 0.3 + 0.001 * seed}, "Universal", FULL, seed=seed)
    make_run(folder / "plain_4", {"street": 0.5}, budgets={"street": 4})
    return report([folder], images=2, device="cpu").read_text(encoding="utf-8")


@pytest.mark.parametrize("width", WIDTHS)
def test_page_fits_the_window_shows_all_images_and_asks_for_nothing(text: str, width: int, tmp_path: Path) -> None:
    assert "Warning: " in text and "Label efficiency" in text
    found = findings(text, width, tmp_path)
    assert found["problems"] == found["requests"] == []
    assert found["width"] == width
    assert found["scrollWidth"] <= width
    assert found["images"] >= 4 and found["empty"] == 0


def test_broken_page_is_told_from_a_sound_one(text: str, tmp_path: Path) -> None:
    faults = (
        '<div style="width: 3000px">wide</div>'
        '<img src="data:image/png;base64,AAAA">'
        '<img src="https://somewhere.invalid/picture.png">'
        "<script>console.error('told'); nowhere.at.all</script>"
    )
    found = findings(text.replace("</body>", f"{faults}</body>"), WIDTHS[0], tmp_path)
    assert found["scrollWidth"] > found["width"]
    assert found["empty"] == 2
    assert any(problem.startswith("request: https://somewhere.invalid") for problem in found["problems"])
    assert "console: told" in found["problems"]
    assert any("nowhere is not defined" in problem for problem in found["problems"])
