"""Measures pullback beside its peers in one run: `python -m benchmarks` or `python benchmarks/run.py` (see README.md).

Every framework lives in a process of its own, in its own virtual environment where one is found, pinned to one core.
For each workload the processes take turns, so a machine that slows down slows all of them; what is reported is a median
and its ratio to pullback's. Every answer, gradients included, is compared with a float64 reference before it is timed.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import tempfile
from pathlib import Path

from conductor import Conductor
from peers import WORKLOAD_PEERS, environment, find_peers, make_environments, names_of
from report import Results, render, write_results


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="workloads whose name contains this, or one of several: heat,lstm")
    parser.add_argument("--peers", default="", help=f"of {','.join(WORKLOAD_PEERS)} (default: all that are found)")
    parser.add_argument("--rounds", type=int, default=5, help="turns each framework gets per workload")
    parser.add_argument("--budget", type=float, default=0.3, help="seconds per turn")
    parser.add_argument("--threads", type=int, default=1, help="1 pins every process to one core")
    parser.add_argument("--slow", action="store_true", help="also what takes minutes to compile")
    parser.add_argument("--tiny", action="store_true", help="smallest sizes, one short turn: does it run?")
    parser.add_argument("--setup", action="store_true", help="first make the peers' virtual environments, with pip")
    parser.add_argument("--json", type=Path, help="also write all numbers to this file")
    parser.add_argument("--write", action="store_true", help="write RESULTS.md, charts and results.json in this folder")
    options = parser.parse_args()
    if options.write and (options.tiny or options.only):
        parser.error("--write takes a full run: RESULTS.md holds one table, not pieces of several")
    if options.tiny:
        options.rounds, options.budget = 1, 0.005
    return options


def main() -> int:
    options = parse_arguments()
    wanted = names_of(options.peers, WORKLOAD_PEERS)
    if options.setup:
        make_environments(wanted)
    with tempfile.TemporaryDirectory(prefix="pullback-bench-") as name:
        folder = Path(name)
        peers = find_peers(folder, wanted, threads=options.threads)
        command = shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]])
        results = Results(environment(peers), command, options.threads)
        conductor = Conductor(peers, folder, options, results)
        try:
            conductor.run()
        finally:
            for peer in peers:
                peer.stop()
    print(render(results))
    if options.json:
        options.json.write_text(json.dumps(results.as_json(), indent=1) + os.linesep)
    if options.write:
        write_results(results, Path(__file__).parent)
    for failure in conductor.failures:
        print(f"FAILED {failure}", file=sys.stderr)
    return int(bool(conductor.failures))


if __name__ == "__main__":
    sys.exit(main())
