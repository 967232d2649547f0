"""The page in a real browser: an image goes in, the legend can be read, the saved mask is that of the service."""

import base64
import shutil
import time

import numpy as np
import pytest
import requests
from PIL import Image

from tests.serving.server import running

from semiverse.serving.service import application  # isort: skip  (after the modules that may be missing)

pytestmark = pytest.mark.slow


@pytest.fixture
def browser(tmp_path):
    webdriver = pytest.importorskip("selenium.webdriver", reason="pip install selenium to look at the page")
    chrome, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if chrome is None or driver is None:
        pytest.skip("no chromium with its driver to look at the page")
    options = webdriver.ChromeOptions()
    options.binary_location = chrome
    for word in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1000,800",
    ):
        options.add_argument(word)
    options.add_experimental_option("prefs", {"download.default_directory": str(tmp_path / "saved")})
    found = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield found
    found.quit()


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("it did not happen")


def test_an_image_goes_in_and_the_mask_comes_back(browser, predictor, tmp_path):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By

    photo = tmp_path / "photo.png"
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (90, 120, 3), np.uint8).repeat(2, 0).repeat(2, 1)).save(photo)
    with running(application(predictor, "tiny")) as address:
        expected = requests.post(f"{address}/segment?domain=yard", data=photo.read_bytes(), timeout=30).content
        browser.get(address)
        until(lambda: browser.find_elements(By.CSS_SELECTOR, "#domain option"))
        assert [one.text for one in browser.find_elements(By.CSS_SELECTOR, "#domain option")][-1] == "all of them"
        browser.find_element(By.ID, "file").send_keys(str(photo))
        until(lambda: browser.find_element(By.ID, "message").text == "done")
        (section,) = browser.find_elements(By.CSS_SELECTOR, "section.result")
        legend = [row.text.split() for row in section.find_elements(By.CSS_SELECTOR, "tbody tr")]
        assert {name for name, *_ in legend} <= {"ground", "fence", "machine"}
        assert sum(float(share) for _, share, _ in legend) == pytest.approx(100, abs=0.2)
        picture = section.find_element(By.CSS_SELECTOR, ".picture")
        ActionChains(browser).move_to_element(picture).perform()
        hint = until(lambda: section.find_element(By.CSS_SELECTOR, ".hint").text)
        assert hint in {"ground", "fence", "machine"}
        section.find_element(By.CSS_SELECTOR, "a.download").click()
        saved = until(lambda: list((tmp_path / "saved").glob("photo_yard.png")))
        assert until(lambda: saved[0].read_bytes()) == expected

        browser.execute_script(
            "const s = document.getElementById('opacity'); s.value = 10; s.dispatchEvent(new Event('input'));"
        )
        assert browser.find_element(By.CSS_SELECTOR, "canvas.mask").value_of_css_property("opacity") == "0.1"
        browser.find_element(By.CSS_SELECTOR, "#domain option:last-child").click()
        until(lambda: len(browser.find_elements(By.CSS_SELECTOR, "section.result")) == 2)
        drop = """const bytes = Uint8Array.from(atob(arguments[0]), c => c.charCodeAt(0)), given = new DataTransfer();
            given.items.add(new File([bytes], "dropped.png", {type: "image/png"}));
            const event = new DragEvent("drop", {dataTransfer: given, bubbles: true});
            document.getElementById("drop").dispatchEvent(event);"""
        browser.execute_script(drop, base64.b64encode(b"no image").decode())
        wrong = until(lambda: browser.find_elements(By.CSS_SELECTOR, "#message.wrong"))
        assert wrong[0].text
        assert browser.get_log("browser") == [] or all(
            "422" in entry["message"] for entry in browser.get_log("browser")
        )
        unnamed = browser.execute_script(
            "return [...document.querySelectorAll('input:not([hidden]), select')].filter(e => !e.labels.length).length"
        )
        assert unnamed == 0  # a screen reader names every control
