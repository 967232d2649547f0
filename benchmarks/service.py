"""The service under load: 200 clients ask at the same time for a minute, over loopback.

Each sends one image of 240 x 320 pixels after the other, and waits a second, as it is told to, where the queue is full.
The goal: no answer but 200 and the documented 429, and resident memory that has not grown by more than 5 % in the last
half of the minute. There is no reference: this is not a comparison.
"""

import http.client
import io
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy
from PIL import Image

from semiverse.labels import LabelSpace
from semiverse.models import ModelConfig, SegmentationModel

CLIENTS, SECONDS, SIZE = 200, 60.0, (240, 320)
CONFIG = ModelConfig("tf_efficientnet_lite0", decoder="mlp", output_stride=32, pretrained=False)


def run() -> dict[str, Any]:
    packed = io.BytesIO()
    noise = numpy.random.default_rng(0).integers(0, 256, (*SIZE, 3), numpy.uint8)
    Image.fromarray(noise).save(packed, "JPEG")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        SegmentationModel(CONFIG, {"city": LabelSpace("eleven", tuple(f"class {i}" for i in range(11)))}).save(
            Path(folder) / "model"
        )
        command = [sys.executable, "-m", "semiverse", "serve", folder, "--port", str(port)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            try:
                _until_it_answers(port)
                return _load(port, process.pid, packed.getvalue())
            finally:
                process.send_signal(signal.SIGINT)


def _until_it_answers(port: int) -> None:
    for _ in range(600):
        try:
            _ask(port, b"", "GET", "/health")
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the service did not start within a minute")


def _ask(port: int, body: bytes, method: str = "POST", path: str = "/segment") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def _load(port: int, pid: int, body: bytes) -> dict[str, Any]:
    end, answers, seconds = time.monotonic() + SECONDS, Counter[str](), []

    def client() -> None:
        while time.monotonic() < end:
            began = time.monotonic()
            try:
                status = str(_ask(port, body))
            except OSError as error:
                status = type(error).__name__
            answers[status] += 1
            if status == "200":
                seconds.append(time.monotonic() - began)
            else:
                time.sleep(1.0)  # Retry-After

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    memory = []
    while time.monotonic() < end:
        time.sleep(1.0)
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        memory.append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)
    for thread in threads:
        thread.join()
    half = len(memory) // 2
    growth = max(memory[half:]) / max(memory[half // 2 : half])
    return {
        "clients": CLIENTS,
        "seconds": SECONDS,
        "answers": dict(answers),
        "images_a_second": answers["200"] / SECONDS,
        "median_seconds": float(numpy.median(seconds)),
        "memory_mib": [round(memory[0]), round(max(memory)), round(memory[-1])],
        "memory_growth": growth,
        "reached": set(answers) <= {"200", "429"} and growth <= 1.05,
    }
