"""`python -m benchmarks` in the checkout is `python benchmarks/run.py`.

`-m` puts the checkout on `sys.path`, where its `keras/` would hide the real Keras and its `ir/` any other `ir`; the
folder of this file takes its place, as it does for a script. The workers are scripts of their own.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:] = [str(HERE), *(p for p in sys.path if Path(p or ".").resolve() != HERE.parent)]

from run import main  # noqa: E402  (found in this folder)

if __name__ == "__main__":
    sys.exit(main())
