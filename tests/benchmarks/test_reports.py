"""What the benchmarks make of numbers: errors, targets, charts, and RESULTS.md with the others' sections kept."""

from __future__ import annotations

import argparse
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ..benchmark_parts import answers, charts, conductor, peers, report, targets, workloads


def results(threads: int = 1) -> Any:
    about = {"machine": "a machine", "python": "3", "versions": ["pullback 1", "jax 2"], "load": [0.0]}
    found = report.Results(about, "python -m benchmarks", threads)
    heat = {"pullback": (3e-4, True), "pullback numpy": (2e-4, True), "jax": (4e-4, True), "c": (1e-4, False)}
    found.add("heat", "the heat equation", "loops", "call", "1000x1000", heat)
    found.add("tape_cube", "a tape", "eager", "call", 1, {"pullback eager": (1e-5, True), "torch eager": (3e-5, True)})
    found.add("installed_size", "size", "processes", "MiB", 1, {"pullback": (230.0, True)})
    return found


@pytest.mark.parametrize(("got", "want", "error"), [
    ([1.0, 2.0], [1.0, 2.0], 0.0),
    ([1.0, 2.5], [1.0, 2.0], 0.25),
    ([1.0, float("nan")], [1.0, 2.0], float("inf")),
    ([1.0], [1.0, 2.0], float("inf")),
])  # fmt: skip
def test_errors_are_relative_to_the_largest_entry(got: Any, want: Any, error: float) -> None:
    assert answers.error_of(np.array(got), np.array(want)) == error


def test_a_missing_output_is_an_error() -> None:
    one = np.ones(2)
    assert answers.errors_of([one], [one, one]) == [float("inf")]
    assert answers.errors_of(answers.leaves((one, [one])), [one, one]) == [0.0, 0.0]


def line_of(title: str, found: Any) -> list[str]:
    (line,) = [x for x in targets.targets_table(found).splitlines() if x.startswith(f"| {title} ")]
    return [cell.strip() for cell in line.split("|")[1:-1]]


def test_targets_take_the_best_of_our_compiled_forms_and_name_the_best_peer() -> None:
    assert line_of("heat [1000x1000]", results()) == [
        "heat [1000x1000]", "1.5 x C", "200 us", "1.33", "**no**", "jax: 2", "0.5",
    ]  # fmt: skip
    assert line_of("eager tape gradient of x*x*x", results())[1:5] == ["0.5 x torch", "10 us", "0.67", "yes"]
    assert line_of("installed size", results())[1:5] == ["220 MiB", "230 MiB", "1.05", "**no**"]
    assert line_of("RNN [100]", results())[2] == "not measured"


def test_each_number_of_threads_has_targets_of_its_own() -> None:
    two = targets.targets_table(results(2))
    assert "elementwise [100000] | 1.3 x C" in two
    assert "heat" not in two


def test_every_target_is_about_something_that_is_measured() -> None:
    sizes = {w.name: w.sizes for w in workloads.WORKLOADS}
    for target in targets.TARGETS:
        if target.name not in ("import", "installed_size") and not target.name.startswith("first_"):
            assert target.size in sizes[target.name], target


def test_charts_are_well_formed_and_logarithmic() -> None:
    bars = [charts.Bar("pullback", 1e-6, "1 us"), charts.Bar("a & b", 1e-4, "100 us")]
    root = ET.fromstring(charts.chart("Loops", [("heat", bars)]))
    boxes = list(root.iter("{http://www.w3.org/2000/svg}rect"))[1:]
    first, second = (float(box.get("width", "0")) for box in boxes)
    lines = [float(e.get("x1", "0")) for e in root.iter("{http://www.w3.org/2000/svg}line")]
    assert second - first == pytest.approx(2 * (lines[1] - lines[0]), abs=0.2)
    assert "a & b" in "".join(root.itertext())


def test_results_keep_the_sections_of_other_commands(tmp_path: Path) -> None:
    other = "<!-- loops: begin -->\nloops\n<!-- loops: end -->"
    (tmp_path / "RESULTS.md").write_text(f"# old\n\n{other}\n")
    report.write_results(results(), tmp_path)
    report.write_results(results(2), tmp_path)
    report.write_results(results(), tmp_path)
    text = (tmp_path / "RESULTS.md").read_text()
    assert text.startswith("# Results\n")
    assert other in text
    assert text.count("## With 2 threads") == 1
    for name in ("loops.svg", "eager.svg", "loops-2-threads.svg"):
        assert f"(charts/{name})" in text
        assert (tmp_path / "charts" / name).is_file()
    assert not (tmp_path / "charts" / "processes.svg").exists()
    assert json.loads((tmp_path / "results.json").read_text())["rows"][0]["name"] == "heat"


class Pretender:
    """A peer whose second variant computes something else."""

    def __init__(self) -> None:
        ways = {"right": (None, False), "wrong": (None, False), "small": ([7], False), "patient": (None, True)}
        self.variants = {name: {"call_tensor": way} for name, way in ways.items()}

    def ask(self, do: str, variant: str, **request: Any) -> dict[str, Any]:
        if do == "build":
            assert Path(request["inputs"]).is_file()
            return {"errors": [0.0 if variant == "right" else float("nan")]}
        assert variant == "right"
        return {"seconds": [1e-6, 1e-6, 1e-6], "clean": [True] * 3}


def test_a_wrong_answer_fails_the_run_and_is_not_timed(tmp_path: Path) -> None:
    options = argparse.Namespace(only="call_tensor", tiny=False, slow=False, rounds=1, budget=0.0)
    found = report.Results({}, "")
    run = conductor.Conductor([Pretender()], tmp_path, options, found)
    run.measure(next(w for w in workloads.WORKLOADS if w.name == "call_tensor"), 1)
    (failure,) = run.failures
    assert failure.startswith("wrong: call_tensor [1]: wrong answer")
    assert found.values("call_tensor") == {"right": 1e-6}
    assert not list(tmp_path.iterdir())


def test_names_of_peers() -> None:
    assert peers.names_of("jax,tensorflow", peers.WORKLOAD_PEERS) == ["pullback", "jax", "tf"]
    assert peers.names_of("", peers.WORKLOAD_PEERS) == list(peers.WORKLOAD_PEERS)
    with pytest.raises(SystemExit, match="no peer named 'enzyme'"):
        peers.names_of("enzyme", peers.WORKLOAD_PEERS)
