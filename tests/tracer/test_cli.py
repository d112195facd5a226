"""The command line, in process and as a command: output, one-line errors, exit codes, colours."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pullback.ir.parser import parse
from pullback.tracer.cli import main, wants_color

MODEL = """
import pullback as pb
from helper import SCALE

def loss(x, w):
    y = pb.tanh(x * w) * SCALE
    return pb.reduce_sum(y * y)

@pb.function
def compiled(x, k=2):
    return {"a": pb.sin(x) * k}

class Model:
    @staticmethod
    def apply(x):
        return x + 1.0

def broken(x):
    return x + pb.ones([3, 4, 5])

def flow(x):
    return [v for v in x][0]

def crash(x):
    raise RuntimeError("first\\nsecond")

def watches(x):
    with pb.GradientTape() as tape:
        tape.watch(x)
    return x

number = 3
if __name__ == "__main__":
    raise SystemExit("must not run")
"""
IR = """func @f(%x: f32[3]) -> f32[3] {
  %0 = constant 1.0 : f32
  %1 = mul %x, %0 : f32[3]
  %2 = mul %x, %x : f32[3]
  return %1
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "model_of_cli_test.py").write_text(MODEL)
    (tmp_path / "helper.py").write_text("SCALE = 2.0\n")
    (tmp_path / "good.ir").write_text(IR)
    (tmp_path / "bad.ir").write_text(IR.replace("mul", "mool"))
    (tmp_path / "binary.ir").write_bytes(b"\xff\xfe\x00\x01")
    (tmp_path / "syntax.py").write_text("def f(:\n")
    (tmp_path / "raises.py").write_text("x = 1\ny = x / 0\n")
    (tmp_path / "exits.py").write_text("import sys\nsys.exit(5)\n")
    monkeypatch.chdir(tmp_path)
    for name in ("model_of_cli_test", "helper", "syntax", "raises", "exits"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def run(*argv: str) -> int:
    return main(["--version"] if not argv else list(argv))


@pytest.mark.parametrize("stage", ["trace", "opt", "grad", "kernels", "llvm", "asm"])
def test_dump(folder: Path, stage: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("dump", "model_of_cli_test.py:loss", "--args", "f32[100], f32[]", "--stage", stage) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.endswith("\n")
    if stage in ("trace", "opt", "grad"):
        assert [p.name for p in parse(out).params] == ["x", "w"]
        assert "model_of_cli_test.py:6" in out


def test_dump_by_argument_and_with_open_sizes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("dump", "model_of_cli_test.py:loss", "--args", "f32[n,3], f32[]", "--grad", "w", "--stage", "grad") == 0
    fn = parse(capsys.readouterr().out)
    assert [str(t) for t in fn.result_types] == ["f32"]
    assert (
        run(
            "dump", "model_of_cli_test.py:loss", "--args", "f32[4], f32", "--grad", "0", "--grad", "1", "--stage", "opt"
        )
        == 0
    )
    assert [str(t) for t in parse(capsys.readouterr().out).result_types] == ["f32[4]", "f32"]


def test_dump_of_compiled_functions_methods_and_values(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("dump", "model_of_cli_test.py:compiled", "--args", "f32[2], k=5.0") == 0
    assert "constant 5.0" in capsys.readouterr().out
    assert run("dump", "model_of_cli_test.py:Model.apply", "--args", "f32[2]") == 0
    assert "func @apply" in capsys.readouterr().out


def test_opt(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("opt", "good.ir", "-p", "canon,cse,dce") == 0
    out = capsys.readouterr().out
    assert out == "func @f(%x: f32[3]) -> f32[3] {\n  return %x\n}\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(IR))
    assert run("opt", "-", "-p", "reverse,dce", "--print-after-change") == 0
    out = capsys.readouterr().out
    assert "# after reverse" in out
    assert "@f_vjp" in out


def test_doctor_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("doctor") == 0
    out = capsys.readouterr().out
    for word in (
        "python",
        "numpy",
        "llvmlite",
        "LLVM",
        "cpu",
        "vector width",
        "BLAS",
        "native entry",
        "cache",
        "threads",
    ):
        assert word in out
    assert run("--version") == 0
    assert capsys.readouterr().out.startswith("pullback ")


def test_doctor_says_why_the_native_entry_is_off() -> None:
    env = os.environ | {"PULLBACK_NATIVE_ENTRY": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "pullback", "doctor"], env=env, capture_output=True, text=True, timeout=60, check=True
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("native entry"))
    assert "off" in line
    assert "PULLBACK_NATIVE_ENTRY" in line


M = "model_of_cli_test.py"
WRONG = [
    (["dump", f"{M}:loss", "--args", "f33"], "'f33' is not a dtype"),
    (["dump", f"{M}:loss", "--args", "f32["], "unbalanced"),
    (["dump", f"{M}:nope"], "has no function 'nope'; it has"),
    (["dump", f"{M}:Model.nope"], "has no function"),
    (["dump", "nofile.py:f"], "no such file: nofile.py"),
    (["dump", M], "write FILE.py:fn"),
    (["dump", f"{M}:number"], "is not a function but int"),
    (["dump", "good.ir:f"], "must end in .py"),
    (["dump", "syntax.py:f"], "syntax.py:1: SyntaxError"),
    (["dump", "raises.py:f"], "ZeroDivisionError: division by zero"),
    (["dump", "exits.py:f"], "SystemExit"),
    (["dump", f"{M}:loss", "--args", "f32[n], f32", "--stage", "llvm"], "needs sizes as numbers"),
    (["dump", f"{M}:loss", "--args", "f32[2]"], "missing a required argument: 'w'"),
    (["dump", f"{M}:loss", "--args", "f32[2], f32", "--grad", "q"], "no argument 'q'"),
    (["dump", f"{M}:loss", "--args", "f32[2], f32", "--stage", "zzz"], "unknown stage 'zzz'"),
    (["dump", f"{M}:broken", "--args", "f32[2]"], f"{M}:19"),
    (["dump", f"{M}:flow", "--args", "f32[2]"], "not known while"),
    (["dump", f"{M}:crash", "--args", "f32"], "RuntimeError: first"),
    (["dump", f"{M}:compiled", "--args", "i32[3]"], "sin"),
    (["opt", "bad.ir", "-p", "canon"], "there is no op 'mool'"),
    (["opt", "good.ir", "-p", "zap"], "there is no pass 'zap'"),
    (["opt", "good.ir", "-p", "specialise{n=4}"], "has no size 'n'"),
    (["opt", "nofile.ir", "-p", "canon"], "cannot read nofile.ir"),
    (["opt", "binary.ir", "-p", "canon"], "is not text"),
    (["opt", ".", "-p", "canon"], "cannot read"),
    (["zap"], "invalid choice"),
    ([], "give a command"),
    (["dump"], "required"),
    (["doctor", "extra"], "unrecognized"),
]


@pytest.mark.parametrize(("argv", "message"), WRONG, ids=[" ".join(a) for a, _ in WRONG])
def test_wrong_input_is_one_line_and_exit_code_2(
    folder: Path, argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("pullback")
    assert message in err


def test_colours(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert wants_color("auto", Terminal())
    assert not wants_color("auto", io.StringIO())
    assert wants_color("always", io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_color("auto", Terminal())
    argv = ["dump", f"{M}:loss", "--args", "f32[2], f32"]
    assert main(argv) == 0
    plain = capsys.readouterr().out
    assert "\x1b" not in plain
    assert main([*argv, "--color", "always"]) == 0
    assert "\x1b[" in capsys.readouterr().out


@pytest.mark.parametrize("stage", ["opt", "kernels", "llvm", "asm"])
def test_colours_at_every_stage_change_nothing_else(
    folder: Path, stage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["dump", f"{M}:loss", "--args", "f32[20], f32", "--stage", stage]
    assert main([*argv, "--color", "never"]) == 0
    plain = capsys.readouterr().out
    assert main([*argv, "--color", "always"]) == 0
    coloured = capsys.readouterr().out
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[\d+m", "", coloured) == plain


def test_files_in_the_current_folder_are_named_from_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dump", f"{M}:loss", "--args", "f32[2], f32"]) == 0
    assert f"# {M}:6" in capsys.readouterr().out


def test_warnings_are_one_line_beside_a_result_and_left_out_beside_an_error(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dump", f"{M}:watches", "--args", "i32[2]"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("func @watches")
    assert err.count("\n") == 1
    assert err.startswith(f"pullback: {M}:29: The dtype of the watched tensor must be floating")
    assert main(["dump", f"{M}:watches", "--args", "i32[2], y=1.0"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_as_a_command_in_a_closed_pipe(folder: Path) -> None:
    argv = [sys.executable, "-m", "pullback", "dump", f"{M}:loss", "--args", "f32[100], f32[]", "--stage", "asm"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder)
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate(timeout=60)
    assert b"Traceback" not in err


def test_explain_tells_which_loops_are_unrolled(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "def loops(x):\n    for i in range(9):\n        x = x + i\n    for i in range(9):\n        x = x * WS[i]\n"
    (folder / "loops.py").write_text("WS = [1.0] * 9\n" + text + "    return x\n")
    assert main(["explain", "loops.py:loops", "--args", "f32[3]"]) == 0
    assert capsys.readouterr().out == (
        "loops(x: f32[3]) -> f32[3]\n  loops.py:3: rolled, 9 trips\n"
        "  loops.py:5: unrolled 9 trips: the number is used as a list index, a shape, an axis or a size [loops.py:6]\n"
    )
    assert main(["dump", "loops.py:loops", "--args", "f32[3]"]) == 0
    assert capsys.readouterr().out.startswith("# loops.py:3: rolled, 9 trips\n# loops.py:5: unrolled 9 trips")
    assert main(["explain", f"{M}:loss", "--args", "f32[2], f32"]) == 0
    assert "no loops over Python numbers" in capsys.readouterr().out
    assert main(["explain", "loops.py:loops", "--args", "f32[3], f32"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
