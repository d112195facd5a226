"""The command line: `pullback dump`, `explain`, `opt`, `cache`, `doctor`, and `--version`.

Wrong input gives one line on stderr and exit code 2. Text is coloured on a terminal, plain in a pipe or when NO_COLOR
is set.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn, TextIO

from .load import CommandError, below_here, first_line, load_function

_STAGES = ("trace", "opt", "grad", "residuals", "kernels", "llvm", "asm")


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def build_parser() -> argparse.ArgumentParser:
    """All commands and options."""
    parser = _Parser(prog="pullback", description="A differentiating compiler for Python.")
    parser.add_argument("--version", action="store_true", help="print the version and stop")
    commands = parser.add_subparsers(dest="command", parser_class=_Parser, metavar="COMMAND", title="commands")

    dump = commands.add_parser("dump", help="show a function at a stage of compilation")
    dump.add_argument("function", metavar="FILE.py:fn", help="a Python file and a function in it")
    dump.add_argument("--args", default="", metavar="TYPES", help="such as 'f32[100], f32[]' or 'f32[n,3], k=2'")
    dump.add_argument("--stage", default="trace", metavar="STAGE", help=f"one of {', '.join(_STAGES)}")
    dump.add_argument("--grad", action="append", metavar="ARG", help="differentiate by this argument (name or number)")
    _color_option(dump)

    explain = commands.add_parser("explain", help="tell why a function is traced, and which loops are unrolled and why")
    explain.add_argument("function", metavar="FILE.py:fn", help="a Python file and a function in it")
    explain.add_argument("--args", default="", metavar="TYPES", help="such as 'f32[100], f32[]' or 'f32[n,3], k=2'")

    opt = commands.add_parser("opt", help="run passes over IR text")
    opt.add_argument("file", metavar="FILE.ir", help="a file of IR text, or - for standard input")
    opt.add_argument("-p", "--passes", default="", metavar="PASSES", help="such as canon,cse,dce,specialise{n=4}")
    opt.add_argument("--no-verify", action="store_true", help="do not check the IR before and after each pass")
    opt.add_argument("--print-after-change", action="store_true", help="show the text after each pass that changed it")
    _color_option(opt)

    cache = commands.add_parser("cache", help="show what compiled code is kept on disk, or remove it")
    cache.add_argument("--clear", action="store_true", help="remove all of it")

    doctor = commands.add_parser("doctor", help="report what this machine and installation offer")
    _color_option(doctor)
    return parser


def _color_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--color", choices=("auto", "always", "never"), default="auto", help="colours (default: auto)")


def wants_color(choice: str, out: TextIO) -> bool:
    """Whether to colour what goes to a stream: by choice, else on a terminal unless NO_COLOR is set."""
    if choice != "auto":
        return choice == "always"
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and out.isatty()


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; gives the exit code."""
    parser = build_parser()
    try:
        args = parser.parse_args(sys.argv[1:] if argv is None else list(argv))
        text = _run(parser, args)
        sys.stdout.write(text)
        sys.stdout.flush()
    except SystemExit as e:
        return e.code if isinstance(e.code, int) else 2
    except CommandError as e:
        print(f"pullback: {e}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our pipe has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _run(parser: argparse.ArgumentParser, args: argparse.Namespace) -> str:
    if args.version:
        from .doctor import version

        return f"pullback {version()}\n"
    if args.command is None:
        parser.error("give a command: dump, explain, opt, cache or doctor (--help tells more)")
    if args.command == "explain":
        return _explain(args)
    if args.command == "cache":
        return _cache(args.clear)
    color = wants_color(args.color, sys.stdout)
    if args.command == "dump":
        return _dump(args, color)
    if args.command == "opt":
        return _opt(args, color)
    from .doctor import report

    return report(color)


def _arguments(text: str) -> tuple[Any, Any]:
    from .argspec import parse_arguments

    try:
        return parse_arguments(text)
    except ValueError as e:
        raise CommandError(f"--args: {e}") from None


def _explain(args: argparse.Namespace) -> str:
    given, named = _arguments(args.args)
    function = load_function(args.function)
    try:
        concrete = function.get_concrete_function(*given, **named)
    except KeyboardInterrupt:
        raise
    except BaseException as e:
        raise CommandError(f"{args.function}: {first_line(e)}") from None
    lines = [
        concrete.pretty_printed_signature(),
        *(f"  {n}" for n in concrete.loops or ("no loops over Python numbers",)),
    ]
    return "\n".join(lines).replace(f"{os.getcwd().rstrip(os.sep)}{os.sep}", "") + "\n"


def _cache(clear: bool) -> str:
    from ..codegen.disk_cache import current

    try:
        cache = current()
    except ValueError as e:
        raise CommandError(str(e)) from None
    if cache is None:
        return "no compiled code is kept on disk (PULLBACK_CACHE=0)\n"
    if clear:
        return f"{cache.folder}: {cache.clear():,} bytes removed\n"
    sizes = [size for _, size, _ in cache.entries()]
    return f"{cache.folder}: {len(sizes)} entries, {sum(sizes):,} of at most {cache.limit:,} bytes\n"


def _dump(args: argparse.Namespace, color: bool) -> str:
    from .inspect import inspect_function

    if args.stage not in _STAGES:
        raise CommandError(f"unknown stage {args.stage!r}: choose one of {', '.join(_STAGES)}")
    given, named = _arguments(args.args)
    function = load_function(args.function)
    grad: Any = args.grad if args.grad is None or len(args.grad) > 1 else args.grad[0]
    try:
        with warnings.catch_warnings(record=True) as told:  # wrong input gives one line: warnings only beside a result
            text = inspect_function(function, given, named, args.stage, grad, color)
    except KeyboardInterrupt:
        raise
    except BaseException as e:
        raise CommandError(f"{args.function}: {first_line(e)}") from None
    for w in told:
        print(f"pullback: {below_here(w.filename)}:{w.lineno}: {w.message}", file=sys.stderr)
    return _short_places(text if text.endswith("\n") else text + "\n")


def _short_places(text: str) -> str:
    """Comments that name a file below the current folder without that folder."""
    return text.replace(f"# {os.getcwd().rstrip(os.sep)}{os.sep}", "# ")


def _opt(args: argparse.Namespace, color: bool) -> str:
    from ..ir.errors import OpError, ParseError, VerifyError
    from ..ir.graph import Function
    from ..ir.opdef import NoGradient
    from ..ir.passes import Step, parse_pipeline, run_pipeline
    from ..ir.printer import highlight, print_function

    shown: list[str] = []

    def changed(step: Step, fn: Function) -> None:
        shown.append(f"# after {step}\n{print_function(fn)}\n")

    try:
        parse_pipeline(args.passes)
    except ParseError as e:
        raise CommandError(f"opt: -p {args.passes}: {first_line(e, with_type=False)}") from None
    try:
        made = run_pipeline(
            _read(args.file), args.passes, not args.no_verify, changed if args.print_after_change else None
        )
    except (ParseError, VerifyError, ValueError, OpError, NoGradient) as e:
        raise CommandError(f"opt: {args.file}: {first_line(e, with_type=False)}") from None
    text = "".join(shown) + made
    return highlight(text) if color else text


def _read(file: str) -> str:
    try:
        if file == "-":
            return sys.stdin.read()
        with open(file, encoding="utf-8") as f:
            return f.read()
    except UnicodeDecodeError:
        raise CommandError(f"opt: {file} is not text") from None
    except OSError as e:
        raise CommandError(f"opt: cannot read {file}: {e.strerror}") from None
