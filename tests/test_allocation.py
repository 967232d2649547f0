"""Memory that stays with the process meanwhile."""

import ctypes
import subprocess
import sys

import pytest
import torch

from semiverse.allocation import memory_kept
from tests.tiny import needs_glibc

SCRIPT = """
import resource

import torch

from semiverse.allocation import memory_kept

PAGES = (64 << 20) // resource.getpagesize()

def pages(number):  # that the system has to clear for so many maps, one after another
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(number):
        bytearray(b"1") * (64 << 20)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / PAGES

def resident():
    return int(open("/proc/self/statm").read().split()[1]) / PAGES

with memory_kept(torch.device("cpu")) as settle:
    pages(1)
    print(pages(4), resident())
    maps = [bytearray(b"1") * (1 << 20) for _ in range(64)]
    del maps[::2]  # leaves gaps
    for _ in range(16):
        print(resident())
        settle()
    print(resident())
    del maps
print(resident())
"""


@needs_glibc
def test_freed_memory_is_used_again_and_given_back_in_the_end():
    """In maps of 64 MiB: what the system cleared and what the process held, with gaps in between."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    inside, held, *with_gaps, settled, left = map(float, done.stdout.split())
    assert inside < 0.2  # four without
    assert len(with_gaps) == 16
    assert max(with_gaps) - min(with_gaps) < 0.05
    assert with_gaps[-1] - settled > 0.4  # half of the maps
    assert held - left > 0.9


@pytest.mark.parametrize(("platform", "device"), [("darwin", "cpu"), ("win32", "cpu"), ("linux", "cuda")])
def test_elsewhere_it_does_nothing(monkeypatch, platform, device):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", None)
    with pytest.raises(KeyError), memory_kept(torch.device(device)) as settle:
        settle()
        raise KeyError
