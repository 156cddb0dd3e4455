"""A server gives back what its heap keeps between tensors that stay, and looks for garbage once it is started."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CODE = """
from pathlib import Path
from jpegdl.server.memory import release_freed_memory

def megabytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

taken = [bytearray(b"x" * 50_000) for _ in range(2000)]  # smaller than what glibc maps by itself
kept = taken[::40]
taken.clear()
before = megabytes()
release_freed_memory()
print(before - megabytes())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are told nothing")
def test_free_memory_between_kept_objects_goes_back_to_the_system():
    found = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=True)
    assert float(found.stdout) > 70  # of the 95 MB that were freed


def test_what_a_start_leaves_is_collected_once_and_later_garbage_as_ever():
    code = """
import gc, weakref
from jpegdl.server.memory import collect_from_here_on, stop_collecting

class Ring:
    def __init__(self):
        self.me = self

stop_collecting()
early, kept = weakref.ref(Ring()), Ring()
there = early() is not None
collect_from_here_on()
late = weakref.ref(Ring())
[[] for _ in range(100_000)]
rings = [Ring() for _ in range(100_000)]
print(gc.isenabled(), there, early(), late(), any(item is kept for item in gc.get_objects()))
"""
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["True", "True", "None", "None", "False"]
