"""How many threads compiled code may use when nobody says: what the environment and the system allow.

`PULLBACK_NUM_THREADS` decides if it is set. Else it is the number of cores that the process may run on, but no more
than its control group's share of processor time (a container's `--cpus`) and than `OMP_NUM_THREADS`, with which pools
of processes tell their workers to keep to themselves.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

VARIABLE = "PULLBACK_NUM_THREADS"


def default_threads() -> int:
    """The number of threads to use.

    Raises:
      ValueError: PULLBACK_NUM_THREADS is no whole number from 1 on.
    """
    wanted = os.environ.get(VARIABLE, "").strip()
    if wanted:
        if not wanted.isdecimal() or int(wanted) < 1:
            raise ValueError(f"{VARIABLE}: found {wanted!r}; write a whole number from 1 on, such as {VARIABLE}=2")
        return int(wanted)
    most = affinity()
    quota = group_quota()
    if quota is not None:
        most = min(most, max(1, -int(-quota // 1)))
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # a list speaks of nested levels
    if first.isdecimal() and int(first) >= 1:
        most = min(most, int(first))
    return most


def affinity() -> int:
    """The cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def group_quota(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> float | None:
    """The cores' worth of time that the control groups of this process allow (Linux; versions 1 and 2)."""
    try:
        groups = own.read_text().splitlines()
    except OSError:
        return None
    found = [q for line in groups for folder in _folders(root, line) for q in _quota(folder)]
    return min(found, default=None)


def _folders(root: Path, line: str) -> Iterator[Path]:
    """The folders of a group and of those above it; inside a container its path may not exist, but the root does."""
    _, _, rest = line.partition(":")
    names, _, path = rest.partition(":")
    if names and "cpu" not in names.split(","):
        return
    for base in (root,) if not names else (root / names, root / "cpu"):
        folder = base / path.lstrip("/")
        while folder != base and base in folder.parents:
            yield folder
            folder = folder.parent
        yield base


def _quota(folder: Path) -> Iterator[float]:
    try:
        quota, period = (folder / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota, period = ((folder / f"cpu.cfs_{n}_us").read_text().strip() for n in ("quota", "period"))
        except OSError:
            return
    if quota.isdecimal() and period.isdecimal() and int(quota) and int(period):
        yield int(quota) / int(period)


def described(environment: Mapping[str, str] = os.environ) -> str:
    """Where the default comes from, for reports."""
    if environment.get(VARIABLE, "").strip():
        return VARIABLE
    quota = group_quota()
    return f"{affinity()} cores" + (f", a control group's share of {quota:g}" if quota is not None else "")
