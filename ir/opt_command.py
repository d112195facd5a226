"""The command `pullback opt FILE.ir -p PASSES`: IR text in, IR text out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from .errors import OpError, ParseError, VerifyError
from .graph import Function
from .opdef import NoGradient
from .passes import PASSES, Step, run_pipeline
from .printer import highlight, print_function


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    p = argparse.ArgumentParser(
        prog="pullback opt",
        description="Runs passes over IR text.",
        epilog="passes: " + "; ".join(f"{x.name}: {x.summary}" for x in PASSES.values()),
    )
    p.add_argument("file", help="file of IR text, or - for standard input")
    p.add_argument("-p", "--passes", default="", help="such as canon,cse,dce,specialise{n=4}")
    p.add_argument("--no-verify", action="store_true", help="do not check the IR before and after each pass")
    p.add_argument(
        "--print-after-change", action="store_true", help="show the function after each pass that changed it"
    )
    return p


def run(argv: Sequence[str], out: TextIO | None = None, err: TextIO | None = None) -> int:
    """Runs the command; 0 when all went well, 2 for wrong input, with the reason on `err`."""
    out, err = out or sys.stdout, err or sys.stderr
    args = build_parser().parse_args(list(argv))
    steps: list[str] = []

    def changed(step: Step, fn: Function) -> None:
        steps.append(f"# after {step}\n{print_function(fn)}\n")

    try:
        text = sys.stdin.read() if args.file == "-" else Path(args.file).read_text(encoding="utf-8")
        made = run_pipeline(text, args.passes, not args.no_verify, changed if args.print_after_change else None)
    except (OSError, UnicodeDecodeError, ParseError, VerifyError, ValueError, OpError, NoGradient) as e:
        print(f"pullback opt: {e}", file=err)
        return 2
    whole = "".join(steps) + made
    out.write(highlight(whole) if out.isatty() else whole)
    return 0
