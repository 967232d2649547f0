"""How everything here is measured: two variants in turn in one process, and the memory each needs above its start."""

import ctypes
import gc
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

Variant = Callable[[], object]
_MEBIBYTE = 2**20


class Goal(NamedTuple):
    """What a comparison should reach.

    Args:
        time: Reference time / our time, at least.
        memory: Reference memory / our memory, at least; None: not judged.
    """

    time: float
    memory: float | None = None


def compare(reference: Variant, ours: Variant, rounds: int, goal: Goal) -> dict[str, Any]:
    """Run both variants in turn after a warm-up, then measure the memory of each on its own.

    Args:
        reference: The slow way; called without arguments.
        ours: The library's way.
        rounds: Number of timed pairs.
        goal: What should be reached.

    Returns:
        Plain values: medians in milliseconds, ratios reference / ours (the median over rounds, of the minima, of
        process time), peaks in MiB above the level before the call, and whether the goal was reached.
    """
    for warm_up in (reference, ours):
        warm_up()
    pairs = [(_timed(reference), _timed(ours)) for _ in range(rounds)]
    walls = [(slow.wall, fast.wall) for slow, fast in pairs]
    processes = [(slow.process, fast.process) for slow, fast in pairs]
    ratio = statistics.median(slow / fast for slow, fast in walls)
    reference_peak, our_peak = peak_memory(reference), peak_memory(ours)
    memory_ratio = reference_peak / max(our_peak, 1.0) if reference_peak is not None and our_peak is not None else None
    return {
        "rounds": rounds,
        "reference_ms": 1e3 * statistics.median(slow for slow, _ in walls),
        "ours_ms": 1e3 * statistics.median(fast for _, fast in walls),
        "ratio": ratio,
        "ratio_of_minima": min(slow for slow, _ in walls) / min(fast for _, fast in walls),
        "ratio_of_process_time": statistics.median(slow / fast for slow, fast in processes),
        "reference_peak_mib": reference_peak,
        "ours_peak_mib": our_peak,
        "memory_ratio": memory_ratio,
        "goal": goal._asdict(),
        "reached": ratio >= goal.time and (goal.memory is None or (memory_ratio or 0) >= goal.memory),
    }


class _Times(NamedTuple):
    wall: float
    process: float


def _timed(variant: Variant) -> _Times:
    wall, process = time.perf_counter(), time.process_time()
    variant()
    return _Times(time.perf_counter() - wall, time.process_time() - process)


def peak_memory(variant: Variant) -> float | None:
    """Resident high-water mark of one call above the level before it, in MiB; None where the system cannot tell."""
    high_water = Path("/proc/self/clear_refs")
    if not high_water.exists():
        return None
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    high_water.write_text("5")
    before = _status("VmHWM")
    variant()
    return (_status("VmHWM") - before) / _MEBIBYTE


def _status(field: str) -> int:
    """A field of this process's status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def machine() -> dict[str, Any]:
    """What the numbers were taken on."""
    information = Path("/proc/cpuinfo")
    models = (
        [line.split(":", 1)[1].strip() for line in information.read_text().splitlines() if "model name" in line]
        if information.exists()
        else []
    )
    return {
        "processor": models[0] if models else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "vectors": torch.backends.cpu.get_cpu_capability(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "load_before": os.getloadavg()[0],
        "settings": {name: os.environ.get(name) for name in ("OMP_WAIT_POLICY", "GLIBC_TUNABLES")},
    }
