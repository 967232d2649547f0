"""The service over HTTP: answers are those of ``predict``, limits hold, and nothing that is sent ends it."""

import io
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import requests
import torch
from PIL import Image

from semiverse.commands.predict import predict
from semiverse.formats.regions import fill_polygon
from tests.serving.conftest import SPACES
from tests.serving.server import running

from semiverse.serving.service import Limits, application  # isort: skip  (after the modules that may be missing)


def photograph(width=48, height=32, kind="PNG"):
    packed = io.BytesIO()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(packed, kind)
    return packed.getvalue()


@pytest.fixture(scope="module")
def url(predictor):
    with running(application(predictor, "tiny", Limits(megabytes=0.5, megapixels=0.1))) as address:
        yield address


def segment(url, body, **query):
    return requests.post(f"{url}/segment", data=body, params=query, timeout=30)


def test_the_mask_is_that_of_predict(url, model, tmp_path):
    model.save(tmp_path / "model")
    (tmp_path / "photo.png").write_bytes(photograph())
    predict(tmp_path, [tmp_path / "photo.png"], domain="yard", out=tmp_path / "out")
    answer = segment(url, photograph(), domain="yard")
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
    assert answer.headers["x-domain"] == answer.headers["x-labels"] == "yard"
    assert answer.content == (tmp_path / "out" / "photo.png").read_bytes()


def test_an_overlay_has_the_size_of_the_image(url):
    answer = segment(url, photograph(), domain="yard", form="overlay")
    picture = Image.open(io.BytesIO(answer.content))
    assert picture.format == "JPEG" and picture.size == (48, 32)


def test_values_and_regions_are_those_of_the_mask(url):
    mask = np.asarray(Image.open(io.BytesIO(segment(url, photograph(), domain="yard").content)))
    values = segment(url, photograph(), domain="yard", form="json", regions=True).json()
    assert (values["height"], values["width"], values["labels"]) == (32, 48, "yard")
    for train_id, title in enumerate(SPACES["yard"].classes):
        facts = values["classes"][title]
        assert facts["pixels"] == (mask == train_id).sum()
        assert facts["share"] == pytest.approx((mask == train_id).mean())
        assert facts["color"] == list(SPACES["yard"].palette[train_id])
    painted, counted = np.full(mask.shape, 255), np.full(mask.shape, 255)
    for region in values["polygons"]:
        painted[fill_polygon(region["points"], mask.shape)] = SPACES["yard"].classes.index(region["class"])
    for region in values["runs"]:
        assert region["size"] == [32, 48] and sum(region["counts"]) == mask.size
        ones = np.repeat(np.arange(len(region["counts"])) % 2, region["counts"]).astype(bool)
        counted[ones.reshape(48, 32).T] = SPACES["yard"].classes.index(region["class"])
    assert (painted == mask).all() and (counted == mask).all()


def test_other_classes_of_the_same_image(url):
    answer = segment(url, photograph(), domain="yard", labels="street", form="json").json()
    assert (answer["domain"], answer["labels"]) == ("yard", "street") and set(answer["classes"]) == {"road", "sky"}


def test_models_health_and_metrics(url):
    (described,) = requests.get(f"{url}/models", timeout=30).json()
    assert [(one["name"], one["classes"]) for one in described["domains"]] == [
        (name, list(space.classes)) for name, space in SPACES.items()
    ]
    assert requests.get(f"{url}/health", timeout=30).json() == {"status": "ok"}
    segment(url, photograph(), domain="yard")
    text = requests.get(f"{url}/metrics", timeout=30).text
    assert 'semiverse_requests_total{path="/segment",status="200"}' in text
    assert "semiverse_batch_images_bucket" in text and "semiverse_waiting 0.0" in text


def bomb(width, height):
    """A small PNG whose header promises many pixels."""
    header = photograph(1, 1)
    at = header.index(b"IHDR")
    import zlib

    body = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + header[at + 12 : at + 17]
    return header[:at] + body + zlib.crc32(body).to_bytes(4, "big") + header[at + 21 :]


BROKEN = {
    "nothing": (b"", 422),
    "text": (b"hello", 422),
    "half a PNG": (photograph()[:300], 422),
    "half a JPEG": (photograph(kind="JPEG")[:200], 422),
    "a web page": (b"<!doctype html><p>not found", 422),
    "a bomb": (bomb(60_000, 60_000), 413),
    "a wide one": (bomb(10_000, 11), 413),
    "no pixels": (bomb(0, 0), 422),
    "too many bytes": (b"\0" * 600_000, 413),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_images_are_told_and_the_next_is_served(url, name):
    body, status = BROKEN[name]
    answer = segment(url, body, domain="yard")
    assert answer.status_code == status and answer.json()["detail"]
    assert "Traceback" not in answer.text
    assert segment(url, photograph(), domain="yard").status_code == 200


def test_mutated_images_never_end_the_service(url):
    rng, codes = np.random.default_rng(0), set()
    for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"):
        for _ in range(5):
            body = np.frombuffer(photograph(kind=kind), np.uint8).copy()
            body[rng.integers(0, len(body), 6)] = rng.integers(0, 256, 6)
            codes.add(segment(url, body.tobytes(), domain="yard").status_code)
    assert codes <= {200, 413, 422}


@pytest.mark.parametrize(
    "query", [{}, {"domain": "nowhere"}, {"domain": "all"}, {"domain": "yard", "labels": "x"}, {"form": "svg"}]
)
def test_questions_that_have_no_answer(url, query):
    answer = segment(url, photograph(), **query)
    assert answer.status_code == 422 and answer.json()["detail"]


def test_requests_beyond_the_queue_are_refused_and_all_others_answered(predictor):
    class Slow:
        model, via = predictor.model, predictor.via

        def segment(self, images, questions):
            time.sleep(0.2)
            return predictor.segment(images, questions)

    with running(application(Slow(), "slow", Limits(waiting=2, batch=1))) as address, ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: segment(address, photograph(), domain="yard"), range(12)))
    codes = [answer.status_code for answer in answers]
    assert set(codes) == {200, 429} and codes.count(200) >= 2
    assert next(a for a in answers if a.status_code == 429).headers["retry-after"] == "1"


def test_a_token_guards_all_but_the_page_and_health(predictor):
    with running(application(predictor, "tiny", token="secret")) as address:
        for path, code in (("/", 200), ("/health", 200), ("/models", 401), ("/metrics", 401), ("/openapi.json", 401)):
            assert requests.get(address + path, timeout=30).status_code == code
        for given, code in (("Bearer wrong", 401), ("secret", 401), ("Bearer secret", 200)):
            assert requests.get(f"{address}/models", headers={"Authorization": given}, timeout=30).status_code == code


def test_the_page_needs_nothing_from_outside(url):
    page = requests.get(url, timeout=30).text
    assert "http://" not in page and "https://" not in page and '<html lang="en">' in page


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_what_its_description_allows_never_fails(url):
    schemathesis = pytest.importorskip("schemathesis", reason="pip install schemathesis to run this")
    from hypothesis import HealthCheck, given, settings

    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    for operation in schema.get_all_operations():

        @given(case=operation.ok().as_strategy())
        @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
        def ask(case):
            assert case.call().status_code < 500

        ask()


@pytest.mark.slow
def test_the_command_serves_until_it_is_told_to_end(model, tmp_path):
    model.save(tmp_path / "model")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "semiverse", "serve", str(tmp_path), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            for _ in itertools.repeat(None, 600):
                try:
                    answer = segment(f"http://127.0.0.1:{port}", photograph(), domain="street", form="json")
                    break
                except requests.ConnectionError:
                    assert process.poll() is None, process.stderr.read()
                    time.sleep(0.1)
            assert answer.json()["labels"] == "street"
        finally:
            process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=30)
    assert process.returncode == 0 and "Traceback" not in error and f"http://127.0.0.1:{port}/" in out


def test_others_need_a_token(model, tmp_path):
    from semiverse.commands.serve import serve

    model.save(tmp_path / "model")
    os.environ.pop("SEMIVERSE_TOKEN", None)
    with pytest.raises(ValueError, match="add --token"):
        serve(tmp_path, host="0.0.0.0")


@pytest.mark.slow
def test_memory_stays_where_it_is(url):
    """Twenty warm requests, then as many again: the service keeps nothing of them."""
    import gc

    for _ in range(20):
        segment(url, photograph(), domain="yard", form="json", regions=True)
    gc.collect()
    before = sum(type(one) is torch.Tensor for one in gc.get_objects())
    for _ in range(20):
        segment(url, photograph(), domain="yard", form="json", regions=True)
    gc.collect()
    assert sum(type(one) is torch.Tensor for one in gc.get_objects()) <= before + 5
