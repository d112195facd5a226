"""One fresh process: how much memory a workload takes at most. `peak.py FRAMEWORK VARIANT WORKLOAD INPUTS CALLS`.

Prints bytes, as JSON: `peak`, the process's; `all`, its growth since the framework was imported; `warm`, its growth
since a small gradient had loaded whatever the framework loads when first used.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys

from fresh import MAKERS, MODULES

UNIT = 1 if sys.platform == "darwin" else 1024


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


def main() -> None:
    import numpy as np

    framework, variant, workload, inputs, calls = sys.argv[1:]
    importlib.import_module(MODULES[framework])
    imported = peak()
    MAKERS[framework](variant)()
    warm = peak()
    with np.load(inputs) as data:
        bench = importlib.import_module(f"with_{framework}").VARIANTS[variant][workload](dict(data))
    for _ in range(int(calls)):
        bench.call(*bench.args)
    if bench.result:
        bench.result()
    print(json.dumps({"peak": peak(), "all": peak() - imported, "warm": peak() - warm}))


if __name__ == "__main__":
    main()
