"""Object files of compiled modules, kept on disk between processes.

An entry's name is the SHA-256 of everything that its bytes depend on: the LLVM text (with all that it calls inlined),
target triple, CPU, features, code generator's level, passes, and the versions of LLVM, llvmlite and this format. So an
entry is never out of date, only unused. What is in the file is machine code, and is loaded only if its checksum holds
and nobody else can have written it: folder and file must belong to the user and be writable by no one else. A file
appears whole or not at all (written beside, then renamed), so processes may share the folder. Any failure of the
disk (full, read-only, gone) means compiling as if there were no cache.

`PULLBACK_CACHE` is a folder, or `0` for none; by default it is `pullback` in the user's cache folder.
`PULLBACK_CACHE_SIZE` is the most bytes kept (256 MB); what was used longest ago goes first.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
from functools import lru_cache
from pathlib import Path

MAGIC = b"pullback object 1\n"
SUFFIX = ".o"
DEFAULT_SIZE = 256 << 20
_CHECK = hashlib.sha256().digest_size
_TRIM_EVERY = 64  # entries written by this process between looks at the size


def key_of(*parts: str) -> str:
    """The name of the entry that depends on these texts."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        digest.update(f"{len(data)}:".encode())
        digest.update(data)
    return digest.hexdigest()


class DiskCache:
    """A folder of entries.

    Attributes:
      folder: where they are; made at the first entry. limit: the most bytes that are kept.
    """

    def __init__(self, folder: Path, limit: int = DEFAULT_SIZE) -> None:
        self.folder = folder
        self.limit = limit
        self._written = 0

    def get(self, key: str) -> bytes | None:
        """The entry's bytes, if it is there, whole and the user's own; it counts as used now."""
        path = self._path(key)
        try:
            if not _private(self.folder) or not _private(path):
                return None
            data = path.read_bytes()
            head, body = data[: len(MAGIC) + _CHECK], data[len(MAGIC) + _CHECK :]
            if head != MAGIC + hashlib.sha256(body).digest():
                path.unlink(missing_ok=True)
                return None
            with contextlib.suppress(OSError):
                os.utime(path)
            return body
        except OSError:
            return None

    def put(self, key: str, body: bytes) -> None:
        """Keeps an entry, if the disk lets us."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _private(self.folder):
                return
            self._write(self._path(key), MAGIC + hashlib.sha256(body).digest() + body)
        except OSError:
            return
        if self._written % _TRIM_EVERY == 0:
            self.trim()
        self._written += 1

    def _write(self, path: Path, data: bytes) -> None:
        number, name = tempfile.mkstemp(dir=self.folder, suffix=".part")
        try:
            with os.fdopen(number, "wb") as file:
                file.write(data)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def entries(self) -> list[tuple[float, int, Path]]:
        """(time of last use, bytes, file) of each entry, the one used longest ago first."""
        found = []
        with contextlib.suppress(OSError):
            for path in self.folder.iterdir():
                with contextlib.suppress(OSError):  # another process may have removed it
                    if path.suffix in (SUFFIX, ".part"):
                        state = path.stat()
                        found.append((state.st_mtime, state.st_size, path))
        return sorted(found)

    def trim(self, limit: int | None = None) -> int:
        """Removes what was used longest ago until the rest has `limit` bytes at most; gives the bytes removed."""
        most = self.limit if limit is None else limit
        found = self.entries()
        total = sum(size for _, size, _ in found)
        gone = 0
        for _, size, path in found:
            if total - gone <= most:
                break
            with contextlib.suppress(OSError):
                path.unlink()
                gone += size
        return gone

    def clear(self) -> int:
        """Removes all entries; gives their bytes."""
        return self.trim(-1) if self.entries() else 0

    def _path(self, key: str) -> Path:
        return self.folder / (key + SUFFIX)


def _private(path: Path) -> bool:
    """Whether nobody but the user can have written this (on Windows the user's profile is private by itself)."""
    if sys.platform == "win32":
        return path.exists()
    state = path.stat()
    return state.st_uid == os.geteuid() and not state.st_mode & 0o022


def default_folder() -> Path:
    """The user's cache folder, by the rules of the platform."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
        return Path(base) / "pullback" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "pullback"
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "pullback"


def current() -> DiskCache | None:
    """The cache that the environment asks for; None for none."""
    return _cache(os.environ.get("PULLBACK_CACHE", ""), os.environ.get("PULLBACK_CACHE_SIZE", ""))


@lru_cache(maxsize=8)
def _cache(folder: str, size: str) -> DiskCache | None:
    if folder == "0":
        return None
    try:
        limit = int(size) if size else DEFAULT_SIZE
    except ValueError:
        raise ValueError(f"PULLBACK_CACHE_SIZE: found {size!r}; write a number of bytes") from None
    try:
        return DiskCache(Path(folder) if folder else default_folder(), limit)
    except (RuntimeError, OSError):  # no home
        return None
