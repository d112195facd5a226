"""Ctrl-C ends loops of compiled functions, with and without the GIL, and leaves nothing half done."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

HEAD = """
import os, signal, sys, threading, time
import numpy as np
import pullback as pb

def soon(delay=0.15):
    threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT)).start()

def interrupted(f, *args, times=2):
    for _ in range(times):
        soon()
        try:
            f(*args)
            return False
        except KeyboardInterrupt:
            pass
    return True

n = pb.constant
x, big = n(1.0), n(2**31 - 9)
"""


def lines(text: str) -> list[str]:
    """What the program prints; it is given up after a while (a loop that cannot be interrupted)."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    text = HEAD + textwrap.dedent(text)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "interrupted.py"
        file.write_text(text)
        done = subprocess.run([sys.executable, file], capture_output=True, text=True, timeout=120, env=env, cwd=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


LOOPS = {
    "while": ("while x > 0.0:\n        x = 0.5 * x + 1.0", ()),
    "for": ("for i in pb.range(m):\n        x = pb.sin(x)", ("big",)),
    "fixed for": ("for i in pb.range(10**9):\n        x = pb.sin(x)", ()),
    "down": ("for i in pb.range(m, 0, -1):\n        x = pb.sin(x)", ("big",)),
    "steps": ("for i in pb.range(0, m, 2):\n        x = pb.sin(x)", ("big",)),
    "nested": ("for i in pb.range(m):\n        for j in pb.range(3):\n            x = pb.sin(x)", ("big",)),
    "inner": ("for j in pb.range(3):\n        for i in pb.range(m):\n            x = pb.sin(x)", ("big",)),
    "while in for": ("for i in pb.range(3):\n        while x > 0.0:\n            x = 0.5 * x + 1.0", ()),
    "for in while": ("while x > 0.0:\n        for i in pb.range(k):\n            x = 0.5 * x + 1.0", ("n(5)",)),
    "arrays": ("y = x * pb.ones([100, 100])\n    while x > 0.0:\n        y = pb.tanh(y @ y)\n    x = y[0, 0]", ()),
    "break": ("while True:\n        x = pb.sin(x)\n        if x > 2.0:\n            break", ()),
}


def program(k: int, name: str) -> str:
    """A function with the loop, called and differentiated until it is interrupted."""
    body, args = LOOPS[name]
    params = ", ".join(["x", *("m" if a == "big" else "k" for a in args)])
    given = ", ".join(["x", *args])
    return f"""
@pb.function
def f{k}({params}):
    {body}
    return x

def taped():
    with pb.GradientTape() as tape:
        tape.watch(x)
        y = f{k}({given})
    return tape.gradient(y, x)

print({name!r}, interrupted(f{k}, {given}), interrupted(taped, times=1), flush=True)
"""


def test_loops_end() -> None:
    after = "g = pb.function(lambda x: x + 1.0)\nprint([float(g(x)) for _ in range(3)])"
    programs = [program(k, name) for k, name in enumerate(LOOPS)]
    assert lines("".join([*programs, after])) == [*(f"{name} True True" for name in LOOPS), "[2.0, 2.0, 2.0]"]


def test_variables_stay_as_they_were() -> None:
    assert lines("""
v, w, s = pb.Variable(np.zeros(8, np.float32)), pb.Variable(np.zeros(1000, np.float32)), pb.Variable(0.0)

@pb.function
def f(m):
    s.assign_add(1.0)
    while m != 0:
        v.assign_add(pb.ones([8]))
        w.assign(w + 1.0)
        m -= 1
    return m

for k in (1, 2, 3):
    f(n(k))
print(interrupted(f, n(-1)))
print(v.numpy().tolist() == [6.0] * 8, w.numpy().tolist() == [6.0] * 1000, float(s))
f(n(1))
print(v.numpy().tolist() == [7.0] * 8, w.numpy().tolist() == [7.0] * 1000, float(s))
""") == ["True", "True True 3.0", "True True 4.0"]  # fmt: skip


@pytest.mark.parametrize("mode", ["eager", "interpreted", "written"])
def test_loops_that_python_runs_end(mode: str) -> None:
    wrap = {"eager": "f = pb.autograph.experimental.do_not_convert(f)", "interpreted": "f = pb.function(f)"}
    assert lines(f"""
def f(x):
    while x > 0.0:
        x = 0.5 * x + 1.0
    return x

{wrap.get(mode, "f = pb.function(f); pb.config.run_functions_eagerly(True)")}
print(interrupted(f, {"n(1.0, pb.float16)" if mode == "interpreted" else "x"}))
""") == ["True"]  # fmt: skip


def test_handlers_run_and_the_loop_goes_on() -> None:
    """A handler that raises nothing is called while the loop runs; one that raises ends it with its own error."""
    assert lines("""
seen = []

def handler(number, frame):
    seen.append(number)
    if len(seen) == 3:
        raise RuntimeError("enough")
    soon(0.1)

signal.signal(signal.SIGINT, handler)

@pb.function
def f(x):
    while x > 0.0:
        x = 0.5 * x + 1.0
    return x

f(n(-1.0))
f(n(-1.0))
f(n(-1.0))
soon(0.1)
try:
    f(x)
except RuntimeError as e:
    print(e, len(seen))
""") == ["enough 3"]


def test_other_threads_run_meanwhile() -> None:
    """A long loop gives others the GIL, also where it keeps it for the sake of a Variable."""
    assert lines("""
v, done = pb.Variable(0.0), []

@pb.function
def f(x):
    v.assign_add(1.0)
    while x > 0.0:
        x = 0.5 * x + 1.0
    return x

for _ in range(3):
    f(n(-1.0))

def count():
    for k in range(5):
        time.sleep(0.01)
        done.append(v.numpy())
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=count).start()
try:
    f(x)
except KeyboardInterrupt:
    print(len(done), set(map(float, done)), float(v))
""") == ["5 {3.0} 3.0"]


def test_an_array_that_is_replaced_meanwhile_stays_alive() -> None:
    """A print lets other threads run, which may give a Variable a new array: the call goes on with the old one."""
    assert lines("""
class Slow:
    def write(self, text):
        v.assign(np.full(100_000, -1.0, np.float32))
        np.full(100_000, 7.0, np.float32)

    def flush(self):
        pass

v = pb.Variable(np.arange(100_000, dtype=np.float32))

@pb.function
def f(k):
    pb.print("now", output_stream=sys.stderr)
    for i in pb.range(k):
        print(i)
    return pb.reduce_max(v), v[k]

old, sys.stderr, sys.stdout, results = (sys.stderr, sys.stdout), Slow(), Slow(), []
for _ in range(5):
    v.assign(np.arange(100_000, dtype=np.float32))
    results.append([float(r) for r in f(n(20))])
sys.stderr, sys.stdout = old
print(results == [[99_999.0, 20.0]] * 5)
""") == ["True"]
