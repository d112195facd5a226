"""Writes keras3.json from real TensorFlow: `python tests/keras/record.py` in an environment that has it."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """Nested lists of numbers, rounded to what float32 holds."""
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    value = np.asarray(value.numpy() if hasattr(value, "numpy") else value)
    return [float(f"{x:.9g}") for x in value.ravel()] + [list(value.shape)] if value.ndim else float(f"{value[()]:.9g}")


def main() -> None:
    import tensorflow as tf

    here = Path(__file__).resolve().parent
    cases = runpy.run_path(str(here / "cases.py"))["CASES"]
    answers = {name: plain(cases[name](tf)) for name in sorted(cases)}
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(answer)}" for name, answer in answers.items())
    versions = f"TensorFlow {tf.__version__}, Keras {tf.keras.__version__}"
    (here / "keras3.json").write_text(f'{{\n"versions": "{versions}",\n{lines}\n}}\n')


if __name__ == "__main__":
    main()
