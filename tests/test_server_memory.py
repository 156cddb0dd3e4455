"""A server gives memory back that its heap keeps between tensors that stay."""

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
