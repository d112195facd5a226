"""Runs the differential corpus on pullback: `python check_conformance.py PATH/check.py`.

Every case of the areas named here must pass: TensorFlow's recorded answers, printed text and errors.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

AREAS = (
    "seeds", "tape", "higher_order", "jacobian", "custom_gradient", "forward_mode", "fn_tracing",
    "op_grad_second_order", "op_grad_float64", "dtype", "errors", "tensor_protocol", "numpy", "repr", "variable",
    "module", "keras", "random", "ops", "tfe",
)  # fmt: skip


def run_area(check: Path, area: str) -> tuple[int, int, dict[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, str(check), "--module", "pullback", "--area", area, "--json", str(report)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not report.is_file():
            sys.exit(f"{' '.join(command)} wrote no report:\n{done.stdout}{done.stderr}")
        doc = json.loads(report.read_text())
    passed, total = doc["per"].get(area, (0, 0))
    return passed, total, dict(doc["failures"])


def main() -> int:
    check = Path(sys.argv[1])
    wrong = []
    for area in AREAS:
        passed, total, failures = run_area(check, area)
        print(f"{area}: {passed} of {total} pass")
        wrong += [f"FAIL {case}: {why}" for case, why in failures.items()]
        if not total:
            wrong.append(f"area {area} has no cases")
    print("\n".join(wrong))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
