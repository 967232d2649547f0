"""A run over a thousand and a million unlabelled images: first listing, later starts, memory, and what a batch costs.

Images are hard links to few files of 64 x 48 pixels, ten thousand a folder, and members of tar files, ten thousand a
file. Every number comes from a process of its own: "first" has an empty cache, "later" finds the index there. Times are
to the first batch, without imports; memory is what the process holds above its imports; a batch is the median process
time of blocks of 50 steps of four images, of a domain alone.
"""

import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIZES = (1_000, 10_000, 100_000, 1_000_000)
FOLDER, BLOCK, BLOCKS = 10_000, 50, 8
GOALS = {"first_wall_s": 60.0, "later_wall_s": 10.0, "more_memory_mib": 300.0, "batch_ratio": 1.05}


def run() -> dict[str, Any]:
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        for kind, make in (("links", _links), ("shards", _shards)):
            for size in SIZES:
                root = make(Path(place) / f"{kind}_{size}", size)
                cache = Path(place) / f"cache_{kind}_{size}"
                first, later = (_measured(root, cache) for _ in range(2))
                results[f"{kind} {size}"] = {"first": first, "later": later}
            least, most = (results[f"{kind} {size}"] for size in (SIZES[0], SIZES[-1]))
            found = {
                "first_wall_s": most["first"]["wall_s"],
                "later_wall_s": most["later"]["wall_s"],
                "more_memory_mib": most["later"]["peak_mib"] - least["later"]["peak_mib"],
                "batch_ratio": most["later"]["batch_ms"] / least["later"]["batch_ms"],
            }
            reached = {name: value <= GOALS[name] for name, value in found.items()}
            results[kind] = found | {"goals": GOALS, "reached": reached}
    return results


def _pictures(count: int) -> list[bytes]:
    generator, found = np.random.default_rng(0), []
    for _ in range(count):
        coarse = Image.fromarray(generator.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        buffer = io.BytesIO()
        coarse.resize((64, 48), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=85)
        found.append(buffer.getvalue())
    return found


def _links(root: Path, count: int) -> Path:
    """A folder of ``images``, each a hard link to one of few files, as a file has not more than some ten thousand."""
    sources = root / "sources"
    sources.mkdir(parents=True)
    for number, content in enumerate(_pictures(-(-count // 20_000))):
        (sources / f"{number}.jpg").write_bytes(content)
    for number in range(count):
        folder = root / "images" / f"{number // FOLDER:03d}"
        if number % FOLDER == 0:
            folder.mkdir(parents=True)
        os.link(sources / f"{number // 20_000}.jpg", folder / f"frame_{number:07d}.jpg")
    return root / "images"


def _shards(root: Path, count: int) -> Path:
    root.mkdir()
    content = _pictures(1)[0]
    for start in range(0, count, FOLDER):
        with tarfile.open(root / f"{start // FOLDER:03d}.tar", "w") as archive:
            for number in range(start, min(start + FOLDER, count)):
                facts = tarfile.TarInfo(f"frame_{number:07d}.jpg")
                facts.size = len(content)
                archive.addfile(facts, io.BytesIO(content))
    return root / "*.tar"


def _measured(root: Path, cache: Path) -> dict[str, float]:
    code = "import sys; from benchmarks.scale import start; start(sys.argv[1])"
    environment = os.environ | {"SEMIVERSE_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code, str(root)], env=environment, stdout=subprocess.PIPE, check=True)
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def start(root: str) -> None:
    """Print what it takes from nothing to the first batch of a training on these images, and for each further one."""
    from semiverse.datasets import Images, SyntheticRooms
    from semiverse.mixture import Domain, DomainMixture
    from semiverse.mixture.batches import Draws

    rooms = SyntheticRooms(images=4, val_images=2, size=(48, 64))
    many = Domain(Images(root, rooms.labels), labeled=0, train="all", val=None)
    few = Domain(rooms, labeled=2, unlabeled=False)
    data = DomainMixture({"rooms": few, "many": many}, batch_size=4, crop=(32, 48), workers=0)
    before, wall, process = _resident(), time.perf_counter(), time.process_time()
    steps: Any = data.training(lambda: 0, Draws(unlabeled_from=0)).dataset
    steps = steps.dataset if hasattr(steps, "dataset") else steps
    count = len(steps.unlabeled["many"])
    steps[0]
    found = {"images": count, "wall_s": time.perf_counter() - wall, "process_s": time.process_time() - process}
    blocks = []
    for block in range(BLOCKS):
        begun = time.process_time()
        for step in range(1 + block * BLOCK, 1 + (block + 1) * BLOCK):
            steps._draw(steps.unlabeled["many"], [step])
        blocks.append((time.process_time() - begun) / BLOCK)
    found |= {"batch_ms": 1e3 * statistics.median(blocks), "memory_mib": _resident() - before}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(found | {"peak_mib": peak - before}))


def _resident() -> float:
    """Memory of this process, in MiB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024
