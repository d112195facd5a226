"""`pb.config.memory`: what compiled code holds, and how much it may keep."""

from __future__ import annotations

from types import SimpleNamespace

from ..codegen.pool import pool
from ..codegen.scratch import arena


def info() -> dict[str, int]:
    """Bytes that are held between calls.

    Returns:
      `arena`: the block that compiled functions compute in, as large as the largest of them needs. `pool`: memory of
      large results that died, kept for the next ones; `pool_limit`: the most that it keeps.
    """
    return {"arena": arena.size, "pool": pool.held, "pool_limit": pool.limit}


def set_pool_limit(limit: int) -> None:
    """The most bytes that the pool keeps; 0 gives memory back at once.

    Raises:
      ValueError: for less than 0.
    """
    if limit < 0:
        raise ValueError(f"the pool keeps 0 bytes or more, not {limit}")
    pool.limit = int(limit)


def trim() -> None:
    """Gives what the pool keeps back to the system."""
    pool.trim()


memory = SimpleNamespace(info=info, set_pool_limit=set_pool_limit, trim=trim)
