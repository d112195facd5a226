"""Runs the differential corpus on pullback: `python check_conformance.py PATH/check.py`.

Whole areas must pass but for the cases below, each with its reason. A case that starts to pass must be taken off the
list, so the list can only shrink.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

AREAS = ("seeds", "tape", "repr", "variable", "keras")
TENSOR_CONTROL_FLOW = "tensor-dependent control flow inside @function is an issue of its own"
EXPECTED_FAILURES: dict[str, str] = {
    "repr.tf_print_in_function": TENSOR_CONTROL_FLOW,
    "seeds.s003_autograph_apply_gradients": TENSOR_CONTROL_FLOW,
    "seeds.s003_autograph_minimize": TENSOR_CONTROL_FLOW,
}


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
        wrong += [f"FAIL {c}: {why}" for c, why in failures.items() if c not in EXPECTED_FAILURES]
        wrong += [f"{c} passes now: take it off the list in {Path(__file__).name}" for c in EXPECTED_FAILURES
                  if c.startswith(area + ".") and c not in failures]
        if not total:
            wrong.append(f"area {area} has no cases")
    print("\n".join(wrong))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
