"""Runs the differential corpus on pullback: `python check_conformance.py PATH/check.py`.

Every case of the areas named here must pass: TensorFlow's recorded answers, printed text and errors. What pullback does
not have is named too; a case of those that passes has to leave the list.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

AREAS = (
    "seeds", "tape", "higher_order", "jacobian", "custom_gradient", "forward_mode", "fn_tracing",
    "op_grad_second_order", "op_grad_float64", "dtype", "errors", "tensor_protocol", "numpy", "repr", "variable",
    "module", "keras", "random", "ops", "tfe", "fn_control_flow", "edges", "op_grad", "op_grad_in_function",
)  # fmt: skip

# Of both op_grad areas. The last one: TensorFlow puts the whole derivative of eigenvalues into the lower triangle.
NOT_THERE = (
    "igamma", "batch_to_space", "extract_patches", "conv1d", "conv2d_valid_stride", "conv3d", "max_pool2d", "eigh_vals",
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
        excused = {f"{area}.{case}" for case in NOT_THERE if area in ("op_grad", "op_grad_in_function")}
        wrong += [f"FAIL {case}: {why}" for case, why in failures.items() if case not in excused]
        wrong += [f"{case} passes: take it out of the list" for case in excused - set(failures)]
        if not total:
            wrong.append(f"area {area} has no cases")
    print("\n".join(wrong))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
