"""What the machine that runs us can do: CPU name, features, vector width.

LLVM names some CPUs wrongly or not at all, so its feature list, not the name, decides. The answer is found
at the first question and kept: importing this module loads neither llvmlite nor anything of LLVM. On Linux it is kept
on disk, too, under a hash of what the kernel says of the CPU: a process that finds all its code there never loads LLVM,
which takes 25 ms.

`PULLBACK_CPU_FEATURES` (for example `-avx512f,-fma`) is laid over the found features, so that the code for
smaller machines can be tested on a large one.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from . import disk_cache

_AVX512 = "avx512f"
# Lines of /proc/cpuinfo that say what a CPU can do (the others change with time or from core to core).
_TELLING = frozenset({
    "vendor_id", "cpu family", "model", "model name", "stepping", "flags", "Features", "CPU implementer",
    "CPU architecture", "CPU variant", "CPU part", "CPU revision",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Host:
    """The compile target: LLVM's triple and CPU name, the features as `name -> present`, and LLVM's version."""

    triple: str
    cpu: str
    features: tuple[tuple[str, bool], ...]
    llvm: str = ""

    def has(self, feature: str) -> bool:
        """Whether the CPU has `feature`, in LLVM's spelling (`avx2`, `fma`, `neon`)."""
        return dict(self.features).get(feature, False)

    @property
    def flags(self) -> str:
        """The features as a target machine wants them: `+avx2,-sse4a,...`."""
        return ",".join(("+" if on else "-") + name for name, on in self.features)

    @property
    def arch(self) -> str:
        """The first part of the triple: `x86_64`, `aarch64`, ..."""
        return self.triple.split("-", 1)[0]

    @property
    def vector_bytes(self) -> int:
        """Width of the widest vector register in bytes: 64, 32 or 16."""
        if self.has(_AVX512):
            return 64
        return 32 if self.has("avx") or self.has("avx2") else 16

    @property
    def has_fma(self) -> bool:
        """Whether a fused multiply-add is one instruction (else LLVM calls libm's `fma`, 30 times slower)."""
        return self.has("fma") or self.arch in ("aarch64", "arm64")

    @property
    def has_scalef(self) -> bool:
        """Whether a vector of 64 bytes times powers of two is one instruction."""
        return self.has(_AVX512)


def _override(found: dict[str, bool], text: str) -> dict[str, bool]:
    """Apply `+name,-name,...`; removing AVX-512's or AVX's base removes what is built on it."""
    for item in filter(None, (part.strip() for part in text.split(","))):
        if item[0] not in "+-":
            raise ValueError(f"PULLBACK_CPU_FEATURES: found {item!r}; write +name,-name,...")
        found[item[1:]] = item[0] == "+"
    families = {_AVX512: ("avx512",), "avx": ("avx", "fma", "f16c"), "avx2": ("avx2", "avx512", "avxvnni")}
    for base, built_on in families.items():
        if not found.get(base, False):
            for name in found:
                if name.startswith(built_on):
                    found[name] = False
    return found


def binding() -> Any:
    """llvmlite.binding with the native target set up; imported here, at the first compile, not before."""
    import llvmlite.binding as llvm

    _initialise(llvm)
    return llvm


@lru_cache(maxsize=1)
def _initialise(llvm: Any) -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()
    if sys.platform == "linux":  # the interpreter may have libm only inside itself
        with contextlib.suppress(RuntimeError):
            llvm.load_library_permanently("libm.so.6")


@lru_cache(maxsize=1)
def host() -> Host:
    """The machine we run on; loads llvmlite at the first call, unless the answer is on disk."""
    cache = disk_cache.current()
    key = _identity() if cache is not None else None
    kept = cache.get(key) if cache is not None and key is not None else None
    facts = json.loads(kept) if kept is not None else _ask()
    if kept is None and cache is not None and key is not None:
        cache.put(key, json.dumps(facts).encode())
    found = _override(dict(facts["features"]), os.environ.get("PULLBACK_CPU_FEATURES", ""))
    return Host(facts["triple"], facts["cpu"], tuple(sorted(found.items())), facts["llvm"])


def _ask() -> dict[str, Any]:
    """What LLVM knows."""
    llvm = binding()
    return {
        "triple": llvm.get_process_triple(),
        "cpu": llvm.get_host_cpu_name(),
        "features": dict(llvm.get_host_cpu_features()),
        "llvm": ".".join(map(str, llvm.llvm_version_info)),
    }


def _identity() -> str | None:
    """A name for llvmlite and the CPU as the kernel lets us see it; None where it does not tell."""
    import llvmlite

    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            first = file.read(1 << 16).split("\n\n", 1)[0].splitlines()
    except OSError:
        return None
    known = [line for line in first if line.split(":")[0].strip() in _TELLING]
    if not any(line.startswith(("flags", "Features")) for line in known):
        return None
    return disk_cache.key_of("host", llvmlite.__version__, sys.version, platform.machine(), *known)
