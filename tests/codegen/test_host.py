"""The host description: what LLVM found, and the environment's override."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pullback.codegen.host import Host, _override, host


def made(*on: str, arch: str = "x86_64") -> Host:
    return Host(f"{arch}-unknown-linux-gnu", "any", tuple((name, True) for name in sorted(on)))


def test_vector_width_follows_features() -> None:
    assert made("avx512f", "avx2").vector_bytes == 64
    assert made("avx2").vector_bytes == 32
    assert made("avx").vector_bytes == 32
    assert made("sse2").vector_bytes == 16
    assert made("neon", arch="aarch64").vector_bytes == 16


def test_fma() -> None:
    assert made("fma").has_fma
    assert not made("avx2").has_fma
    assert made("neon", arch="aarch64").has_fma


def test_flags_are_written_for_a_target_machine() -> None:
    assert Host("x86_64-pc", "any", (("avx", True), ("fma", False))).flags == "+avx,-fma"


def test_override_removes_what_is_built_on_the_base() -> None:
    found = {"avx": True, "avx2": True, "avx512f": True, "avx512vl": True, "fma": True}
    assert _override(dict(found), "-avx512f") == {**found, "avx512f": False, "avx512vl": False}
    assert not any(_override(dict(found), "-avx").values())


def test_override_refuses_a_bad_spelling() -> None:
    with pytest.raises(ValueError, match="write \\+name"):
        _override({}, "avx512f")


def test_this_machine() -> None:
    here = host()
    assert here.vector_bytes in (16, 32, 64)
    assert here.arch == here.triple.split("-")[0]
    assert here is host()


def test_environment_overrides_and_import_is_lazy() -> None:
    code = ("import sys; from pullback.codegen import host, jit, elf; assert 'llvmlite' not in sys.modules;"
            "print(host.host().vector_bytes, host.host().has_fma)")
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                         env={"PULLBACK_CPU_FEATURES": "-avx,-avx512f"})
    assert run.stdout.split()[0] == "16"
