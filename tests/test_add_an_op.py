"""The row that docs/add-an-op.md shows, taken from the page, gives all that the page promises."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "add-an-op.md"

CHECK = """
import numpy as np
import pullback as pb
from pullback.ir import elementwise_math
exec({row!r}, vars(elementwise_math))
from pullback.runtime import ops_math
exec({public!r}, vars(ops_math))
op = ops_math.bent_identity

x = np.linspace(-3.0, 3.0, 101)
value = lambda x: (np.sqrt(x * x + 1) - 1) / 2 + x
slope = lambda x: x / (2 * np.sqrt(x * x + 1)) + 1
bend = lambda x: 0.5 * (x * x + 1) ** -1.5

def derivatives(x):
    with pb.GradientTape() as outer:
        outer.watch(x)
        with pb.GradientTape() as inner:
            inner.watch(x)
            y = op(x)
        dy = inner.gradient(y, x)
    return y, dy, outer.gradient(dy, x)
"""

USE = """
import importlib.util
import sys
sys.dont_write_bytecode = True
spec = importlib.util.spec_from_file_location("check", {path!r})
check = importlib.util.module_from_spec(spec)
spec.loader.exec_module(check)
for run in (check.derivatives, check.pb.function(check.derivatives)):
    got = run(check.pb.constant(check.x))
    for a, f in zip(got, (check.value, check.slope, check.bend), strict=True):
        check.np.testing.assert_allclose(a.numpy(), f(check.x), rtol=1e-10)
"""


def test_the_row_of_the_page(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    row = next(block for block in blocks if block.startswith("elementwise("))
    public = next(block for block in blocks if "_unary" in block)
    module = tmp_path / "check.py"
    module.write_text(CHECK.format(row=row, public=public))
    done = subprocess.run(
        [sys.executable, "-c", USE.format(path=str(module))], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
