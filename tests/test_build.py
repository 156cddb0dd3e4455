"""The compiled layer's library: built once, whole or not used, and where it cannot be had, one sentence and PyTorch."""

import logging
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from jpegdl.codec import build, kernel
from jpegdl.codec.layer import JPEGLayer
from tests.test_layer import pictures, tables

Compiler = Callable[[str], None]  # what it does instead of compiling, in shell; $out is the file that is asked for


@pytest.fixture(scope="module")
def real() -> Path:
    """A library that works here."""
    if kernel.load() is None:
        pytest.skip("no compiled layer here")
    return build.library()


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real: Path) -> Compiler:
    """An empty folder for libraries, nothing loaded yet, and a compiler of two words that only copies a library."""
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(kernel, "_loaded", [])
    shutil.copy(real, tmp_path / "real.so")

    def set_up(does: str) -> None:
        script = tmp_path / "compiler.sh"
        first = f'real={tmp_path}/real.so; for word; do [ "$last" = -o ] && out=$word; last=$word; done\n'
        script.write_text(first + f"echo x >> {tmp_path}/runs\n" + does, encoding="utf-8")
        monkeypatch.setenv("CXX", f"sh '{script}'")

    set_up('cp "$real" "$out"')
    return set_up


def runs(folder: Path) -> int:
    """How many times the compiler was started."""
    path = folder / "runs"
    return len(path.read_text(encoding="utf-8").splitlines()) if path.exists() else 0


def layer_works() -> None:
    images, layer = pictures(1, 16, 16), JPEGLayer(tables(0), 0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JPEGDL_KERNEL", "off")
        wanted = layer(images)
    for _ in range(2):
        torch.testing.assert_close(layer(images), wanted, atol=2e-6, rtol=0)


def one_sentence(caplog: pytest.LogCaptureFixture) -> str:
    """The layer works without the kernel, and says so once."""
    with caplog.at_level(logging.WARNING):
        layer_works()
    assert kernel.load() is None
    (sentence,) = [r.getMessage() for r in caplog.records if "No compiled JPEG layer" in r.message]
    assert "\n" not in sentence
    return sentence


def test_a_compiler_of_several_words_builds_once(compiler: Compiler, tmp_path: Path) -> None:
    first, second = build.library(), build.library()
    assert first == second
    assert runs(tmp_path) == 1
    layer_works()
    assert isinstance(kernel.load(), kernel.Kernel)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "half": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "zeros": lambda data: bytes(len(data)),
    "one byte": lambda data: data[:5000] + bytes([data[5000] ^ 1]) + data[5001:],
    "longer": lambda data: data + b"\0",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_library_is_built_anew_without_a_word_of_failure(
    compiler: Compiler, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = build.library()
    whole = path.read_bytes()
    path.unlink()  # this process has the whole one in its memory
    path.write_bytes(DAMAGES[damage](whole))
    layer_works()
    assert isinstance(kernel.load(), kernel.Kernel)
    assert "No compiled" not in caplog.text
    assert runs(tmp_path) == 2
    assert [p.read_bytes() for p in path.parent.glob("*.so")] == [whole]


@pytest.mark.parametrize("words", ["", "   ", None])
def test_an_empty_cxx_is_the_systems_compiler(
    compiler: Compiler, words: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess:
        commands.append(command)
        return subprocess.CompletedProcess(command, 1, b"", b"no")

    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.delenv("CXX") if words is None else monkeypatch.setenv("CXX", words)
    with pytest.raises(RuntimeError, match=r"c\+\+ failed: no"):
        build.library()
    assert {command[0] for command in commands} == {"c++"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("no-such-compiler -O2", "there is no C++ compiler no-such-compiler; install g++, or name one in CXX"),
        ("ccache 'g++", "No closing quotation"),
        ("false", "false failed"),
        ("true", "cannot open shared object file"),
    ],
)
def test_a_compiler_that_does_not_compile_is_said_once_and_changes_nothing(
    compiler: Compiler, words: str, sentence: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CXX", words)
    assert sentence in one_sentence(caplog)


@pytest.mark.parametrize(
    "does",
    ['head -c 4000 "$real" > "$out"; kill -9 $$', 'echo no library > "$out"; exit 0', 'cp "$real" "$out"; kill -9 $$'],
)
def test_what_a_broken_or_killed_compiler_leaves_is_never_kept(
    compiler: Compiler, tmp_path: Path, does: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler(does)
    one_sentence(caplog)
    assert [p.name for p in (tmp_path / "cache" / "jpegdl").iterdir()] == []
    compiler('cp "$real" "$out"')
    monkeypatch.setattr(kernel, "_loaded", [])
    layer_works()
    assert isinstance(kernel.load(), kernel.Kernel)


def test_a_folder_that_cannot_be_written_is_named_with_the_remedy(
    compiler: Compiler, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "file"))
    assert "cannot be written (Not a directory); name another folder in TORCH_EXTENSIONS_DIR" in one_sentence(caplog)


def test_a_library_in_a_folder_that_cannot_be_written_is_used(
    compiler: Compiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = build.library()

    def refuse(*given: object, **options: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr("tempfile.TemporaryDirectory", refuse)
    assert build.library() == path


def test_an_unknown_user_without_a_home_is_told_what_to_name(
    compiler: Compiler, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TORCH_EXTENSIONS_DIR", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)

    def unknown(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr("pwd.getpwuid", unknown)
    assert "this user has no home folder; name a folder in TORCH_EXTENSIONS_DIR" in one_sentence(caplog)


def test_builders_at_the_same_time_all_get_a_whole_library(compiler: Compiler, tmp_path: Path) -> None:
    compiler('sleep 0.3; printf "%s" $$ | cat "$real" - > "$out"')  # each makes another file
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(build.library())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(build._is_whole(path) for path in found)
    assert build.library() in found


def test_the_library_of_another_processor_or_system_is_not_taken(
    compiler: Compiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = build.library()
    other = tmp_path / "cpuinfo"
    other.write_text("flags : sse2\n", encoding="utf-8")
    monkeypatch.setattr(build, "_CPUINFO", other)
    theirs = build.library()
    monkeypatch.setattr("platform.libc_ver", lambda: ("glibc", "1.0"))
    assert len({mine, theirs, build.library()}) == 3


def test_a_processor_that_the_system_does_not_name_gets_a_library_for_any(
    compiler: Compiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler(f'echo "$@" >> {tmp_path}/commands; cp "$real" "$out"')
    build.library()
    monkeypatch.setattr(build, "_CPUINFO", tmp_path / "missing")
    build.library()
    named, unnamed = (tmp_path / "commands").read_text(encoding="utf-8").splitlines()
    assert "-march=native" in named
    assert "-march=native" not in unnamed


def test_a_kernel_with_other_numbers_is_not_used(
    compiler: Compiler, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    quantize = kernel.Kernel.quantize
    monkeypatch.setattr(kernel.Kernel, "quantize", lambda *given, **options: quantize(*given, **options) * 1.01)
    assert "its results differ from PyTorch's" in one_sentence(caplog)


def test_a_package_without_the_source_still_computes(
    compiler: Compiler, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "SOURCE", tmp_path / "kernel.cpp")
    assert "kernel.cpp" in one_sentence(caplog)


def test_a_process_forked_while_another_thread_asks_for_the_kernel_does_not_wait_for_it(real: Path) -> None:
    with kernel._lock:
        child = os.fork()
        if not child:
            signal.alarm(20)  # ends it where it waits
            os._exit(0 if kernel.load() is not None else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_off_refuses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for word in ("off", "OFF", " Off "):
        monkeypatch.setenv("JPEGDL_KERNEL", word)
        assert kernel.load() is None
