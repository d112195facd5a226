"""Compiled code on disk: kept, found, never trusted, and never in the way."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.codegen import disk_cache, jit
from pullback.codegen.disk_cache import MAGIC, DiskCache, current, key_of
from pullback.tracer.cli import main

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps rights in other ways")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DiskCache:
    """An empty one that compiling uses."""
    monkeypatch.setenv("PULLBACK_CACHE", str(tmp_path / "kept"))
    found = current()
    assert found is not None
    return found


def compiled(k: float) -> Any:
    """A function that no other test compiles, freshly traced each time."""
    return pb.function(lambda x: pb.sin(x) * k + 0.123456)


X = np.linspace(0.0, 1.0, 7)


def right(k: float) -> None:
    np.testing.assert_allclose(compiled(k)(X), np.sin(X) * k + 0.123456, rtol=1e-15)


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on LLVM compiles nothing."""

    def refused(*args: Any) -> Any:
        raise AssertionError("compiled again")

    monkeypatch.setattr(jit, "_with_module", refused)


def test_the_second_time_nothing_is_compiled(cache: DiskCache, monkeypatch: pytest.MonkeyPatch) -> None:
    right(2.0)
    assert cache.entries()
    forbid(monkeypatch)
    right(2.0)
    with pytest.raises(AssertionError, match="compiled again"):
        right(3.0)


SCRIPT = """
import sys
import numpy as np
import pullback as pb
from pullback.codegen import jit

if "hit" in sys.argv:
    def refused(*args): raise SystemExit("compiled again")
    jit._with_module = refused
    if jit.sys.platform == "linux" and jit.sys.maxsize > 2**32 and jit.host().arch == "x86_64":
        sys.modules["llvmlite.binding"] = None  # importing it fails

@pb.function
def f(x, a):
    with pb.GradientTape() as tape:
        tape.watch(x)
        y = pb.constant(0.0, pb.float64)
        for i in pb.range(3):
            y = y + pb.reduce_sum(pb.tanh(pb.linalg.matvec(a, x)) * x[i])
    return y, tape.gradient(y, x)

y, g = f(pb.constant(np.arange(3.0)), pb.constant(np.eye(3)))
print(repr(float(y)), g.numpy().tolist())
"""


def test_other_processes_find_it(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    env = {**os.environ, "PULLBACK_CACHE": str(tmp_path / "kept"), "PYTHONPATH": os.pathsep.join(sys.path)}
    runs = [
        subprocess.run([sys.executable, str(script), *args], env=env, capture_output=True, text=True, check=False)
        for args in ([], ["hit"])
    ]
    assert [r.returncode for r in runs] == [0, 0], runs[1].stderr
    assert runs[0].stdout == runs[1].stdout


@pytest.mark.parametrize("spoil", ["byte", "cut", "empty", "head"])
def test_a_spoilt_file_is_compiled_anew(cache: DiskCache, spoil: str) -> None:
    right(4.0)
    for _, _, path in cache.entries():
        data = bytearray(path.read_bytes())
        if spoil == "byte":
            data[-1] ^= 1
        elif spoil == "head":
            data[:3] = b"???"
        path.write_bytes({"cut": data[: len(data) // 2], "empty": b""}.get(spoil, data))
    keys = [path.stem for _, _, path in cache.entries()]
    right(4.0)
    assert all(cache.get(key) for key in keys)  # written again, whole


@posix
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_folder_that_others_may_write_to_is_not_used(
    cache: DiskCache, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.put("a", b"code")
    assert cache.get("a") == b"code"
    cache.folder.chmod(mode)
    assert cache.get("a") is None
    cache.put("b", b"code")
    cache.folder.chmod(0o700)
    assert cache.get("b") is None


@posix
def test_a_file_that_others_may_write_to_is_not_used(cache: DiskCache) -> None:
    cache.put("a", b"code")
    (cache.folder / "a.o").chmod(0o666)
    assert cache.get("a") is None
    (cache.folder / "a.o").chmod(0o600)
    assert cache.get("a") == b"code"


@posix
def test_a_file_of_another_user_is_not_used(cache: DiskCache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.put("a", b"code")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert cache.get("a") is None


def test_a_full_disk_is_no_error(cache: DiskCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **kwargs: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(disk_cache.Path, "replace", full)
    right(5.0)
    assert cache.entries() == []  # no rests either
    monkeypatch.setattr(disk_cache.tempfile, "mkstemp", full)
    right(6.0)


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PULLBACK_CACHE", str(tmp_path / "file" / "kept"))
    right(7.0)


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    size = len(MAGIC) + 32 + 1000
    cache = DiskCache(tmp_path / "kept", 3 * size)
    for k, name in enumerate("abc"):
        cache.put(name, b"x" * 1000)
        os.utime(cache.folder / f"{name}.o", (k, k))
    assert cache.get("a") is not None  # used just now
    cache.put("d", b"x" * 1000)
    assert cache.trim() == size
    assert [path.stem for _, _, path in sorted(cache.entries(), key=lambda e: e[2])] == ["a", "c", "d"]
    for k in range(200):
        cache.put(f"e{k}", b"x" * 1000)
    assert len(cache.entries()) <= 3 + 64
    cache.clear()
    assert cache.entries() == []


def test_the_key_depends_on_every_part_and_on_where_it_ends() -> None:
    parts = ["text", "1", "sroa", "x86_64", "znver4", "+avx2", "LLVM 20"]
    keys = {key_of(*parts), key_of(*parts, ""), key_of("text1", "", *parts[2:]), key_of("", "text1", *parts[2:])}
    for k in range(len(parts)):
        keys.add(key_of(*parts[:k], parts[k] + "x", *parts[k + 1 :]))
    assert len(keys) == 4 + len(parts)


def test_the_level_and_the_cpu_are_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {jit._key("text", 1, ()), jit._key("text", 2, ()), jit._key("text", 1, ("sroa",)), jit._key("texts", 1, ())}
    host = jit.host()
    weaker = type(host)(host.triple, host.cpu, tuple((n, on and n != "avx2") for n, on in host.features))
    monkeypatch.setattr(jit, "host", lambda: weaker)
    keys.add(jit._key("text", 1, ()))
    monkeypatch.setattr(jit, "_versions", lambda: "llvmlite 99")
    keys.add(jit._key("text", 1, ()))
    assert len(keys) == (6 if host.has("avx2") else 5)


def test_several_at_once(tmp_path: Path) -> None:
    """Writers, readers and one that clears: what is read is whole or not there."""
    caches = [DiskCache(tmp_path / "kept", 50_000) for _ in range(6)]
    wrong: list[bytes] = []

    def work(cache: DiskCache, n: int) -> None:
        for k in range(150):
            name = str(k % 7)
            body = name.encode() * (1000 + k % 7)
            cache.put(name, body)
            found = cache.get(name)
            if found is not None and found != body:
                wrong.append(found)
            if n == 0 and k % 10 == 0:
                cache.clear()

    threads = [threading.Thread(target=work, args=(c, n)) for n, c in enumerate(caches)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
    assert all(path.suffix == ".o" for _, _, path in caches[0].entries())


def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PULLBACK_CACHE", "0")
    assert current() is None
    monkeypatch.delenv("PULLBACK_CACHE")
    monkeypatch.setenv("PULLBACK_CACHE_SIZE", "1000")
    found = current()
    assert found is not None
    assert found.limit == 1000
    if sys.platform == "linux":
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert disk_cache.default_folder() == tmp_path / "pullback"
    monkeypatch.setenv("PULLBACK_CACHE_SIZE", "lots")
    with pytest.raises(ValueError, match="PULLBACK_CACHE_SIZE"):
        current()


def test_the_command(cache: DiskCache, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    cache.put("a", b"code")
    size = len(MAGIC) + 32 + 4
    assert main(["cache"]) == 0
    assert capsys.readouterr().out == f"{cache.folder}: 1 entries, {size} of at most 268,435,456 bytes\n"
    assert main(["cache", "--clear"]) == 0
    assert capsys.readouterr().out == f"{cache.folder}: {size} bytes removed\n"
    assert cache.entries() == []
    monkeypatch.setenv("PULLBACK_CACHE", "0")
    assert main(["cache"]) == 0
    assert "no compiled code is kept" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc/cpuinfo")
def test_what_the_machine_can_do_is_kept_under_a_name_of_its_own(
    cache: DiskCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pullback.codegen import host as module

    asked = module._ask()
    module.host.cache_clear()
    try:
        first = module.host()
        module.host.cache_clear()
        monkeypatch.setattr(module, "_ask", lambda: pytest.fail("asked again"))
        assert module.host() == first
        assert first.llvm == asked["llvm"] != ""
        key = module._identity()
        assert key is not None
        assert cache.get(key) is not None
        monkeypatch.setattr(module, "_TELLING", frozenset({"flags", "Features"}))
        assert module._identity() not in (None, key)
        monkeypatch.setattr(module, "_TELLING", frozenset({"model"}))
        assert module._identity() is None  # the kernel does not tell: LLVM is asked
    finally:
        module.host.cache_clear()
