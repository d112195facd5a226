"""`pullback doctor`: versions, the CPU, and which of the fast paths are on, with the reason when one is off."""

from __future__ import annotations

import importlib.metadata
import platform
import sys

import numpy as np

_SHOWN = ("sse4.2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512dq", "avx512bw", "avx512vl", "neon", "sve")


def version() -> str:
    """The version of this package."""
    try:
        return importlib.metadata.version("pullback")
    except importlib.metadata.PackageNotFoundError:
        return "unknown (not installed)"


def rows() -> list[tuple[str, str]]:
    """What there is to report: (name, finding)."""
    out = [
        ("pullback", version()),
        ("python", f"{platform.python_version()} ({platform.python_implementation()}, {sys.platform})"),
        ("numpy", np.__version__),
    ]
    return [
        *out,
        *_llvm(),
        ("BLAS", _blas()),
        ("native entry", _native()),
        ("object cache", _CACHE),
        ("threads", _threads()),
    ]


_CACHE = "none: functions are compiled anew in each process"


def _llvm() -> list[tuple[str, str]]:
    try:
        import llvmlite

        from ..codegen.host import binding, host

        numbers = ".".join(map(str, binding().llvm_version_info))
        h = host()
    except Exception as e:
        return [("llvmlite", f"not usable ({e}): functions run in the interpreter")]
    found = [f for f in _SHOWN if h.has(f)]
    return [
        ("llvmlite", f"{llvmlite.__version__} (LLVM {numbers})"),
        ("cpu", f"{h.cpu} ({h.triple})"),
        ("features", ", ".join(found) or "none of those that matter here"),
        ("vector width", f"{8 * h.vector_bytes} bits ({h.vector_bytes // 4} x float32)"),
        ("fused multiply-add", "yes" if h.has_fma else "no"),
    ]


def _blas() -> str:
    try:
        from ..codegen.blas import find

        info = find()
    except Exception as e:
        return f"not searched ({e})"
    if info is None:
        return "none found: matrix products go through NumPy"
    return f"{info.name}, {info.int_bits}-bit integers ({info.library})"


def _native() -> str:
    from ..codegen.layout import layout, why_not

    return "on" if layout() is not None else f"off: {why_not()}; calls go through ctypes"


def _threads() -> str:
    from ..codegen import cores, threads

    try:
        return f"{threads.threads()} used by large kernels ({cores.described()})"
    except ValueError as e:
        return str(e)


def report(color: bool = False) -> str:
    """The report as aligned lines."""
    found = rows()
    width = max(len(k) for k, _ in found)
    lines = []
    for k, v in found:
        name = f"{k:<{width}}"
        lines.append(f"\x1b[1m{name}\x1b[0m  {v}" if color else f"{name}  {v}")
    return "\n".join(lines) + "\n"
