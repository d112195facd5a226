"""The processes: where each framework's Python is found, how it is started, asked and stopped.

`PEERS_HOME` (default `~/.cache/pullback-peers`) holds virtual environments: `jaxv`, `tf`, `torchv`, and `misc` for
Numba and Autograd. What is not there is left out, with a word; `--setup` makes them.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

HERE = Path(__file__).resolve().parent
PEERS_HOME = Path(os.environ.get("PEERS_HOME", "~/.cache/pullback-peers")).expanduser()
VENVS = {
    "pullback": None, "numpy": None, "c": None,
    "jax": "jaxv", "tf": "tf", "torch": "torchv", "numba": "misc", "autograd": "misc",
}  # fmt: skip
PACKAGES = {
    "jaxv": ["jax", "jaxlib"],
    "tf": ["tensorflow-cpu"],
    "torchv": ["torch", "numpy", "--extra-index-url", "https://download.pytorch.org/whl/cpu"],
    "misc": ["numba", "autograd", "scipy"],
}
ALIASES = {"tensorflow": "tf"}
WORKLOAD_PEERS = ("pullback", "numpy", "jax", "tf", "torch", "numba", "autograd", "c")      # those of run.py


def names_of(text: str, known: Sequence[str]) -> list[str]:
    """The peers of "jax,tensorflow": pullback first, always; all known ones if none is named."""
    named = [ALIASES.get(name, name) for name in text.split(",") if name]
    for name in named:
        if name not in known:
            sys.exit(f"no peer named {name!r}; there are {', '.join(known)}")
    return [name for name in known if name in named or name == "pullback" or not named]


def make_environments(frameworks: Sequence[str]) -> None:
    """The virtual environments of these peers that are not there yet."""
    for venv in dict.fromkeys(VENVS[f] for f in frameworks):
        if venv is None:
            continue
        folder = PEERS_HOME / venv
        if not folder.exists():
            print(f"  making {folder} ...", file=sys.stderr, flush=True)
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
            pip = [str(folder / ("Scripts" if os.name == "nt" else "bin") / "python"), "-m", "pip", "install", "-q"]
            subprocess.run([*pip, *PACKAGES[venv]], check=True)


def python_of(framework: str) -> str | None:
    venv = VENVS[framework]
    if venv is None:
        return sys.executable
    for name in ("bin/python", "Scripts/python.exe"):
        if (PEERS_HOME / venv / name).is_file():
            return str(PEERS_HOME / venv / name)
    return None


def clean_environment(cache: str, framework: str, threads: int = 1) -> dict[str, str]:
    """So many threads everywhere, an empty cache, and no forced BLAS kernels: some machines set those to slow ones.

    PYTHONPATH is for what runs in this interpreter: it may name the checkout to measure.
    """
    drop = ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "PYTHONDONTWRITEBYTECODE", "PULLBACK_CACHE"]
    if VENVS[framework] is not None:
        drop.append("PYTHONPATH")
    env = {key: value for key, value in os.environ.items() if key not in drop}
    for name in ("OMP_NUM", "OPENBLAS_NUM", "MKL_NUM", "NUMBA_NUM", "PULLBACK_NUM", "TF_NUM_INTRAOP"):
        env[f"{name}_THREADS"] = str(threads)
    env.update(BENCHMARK_THREADS=str(threads), XDG_CACHE_HOME=cache, NUMBA_CACHE_DIR=cache)
    env.update(TORCHINDUCTOR_CACHE_DIR=cache, TRITON_CACHE_DIR=cache)
    env.update(TF_CPP_MIN_LOG_LEVEL="3", JAX_PLATFORMS="cpu", CUDA_VISIBLE_DEVICES="-1")
    return env


Variants = dict[str, dict[str, tuple[list[int | str] | None, bool]]]     # variant -> workload -> (sizes or all, slow)


class Peer:
    """A worker process of one framework."""

    def __init__(
        self, framework: str, python: str, folder: Path, script: str = "worker.py", threads: int = 1
    ) -> None:
        self.framework, self.python, self.threads = framework, python, threads
        self.log: IO[str] = (folder / f"{framework}.log").open("w+")
        self.process = subprocess.Popen(
            [python, str(HERE / script), framework],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env=clean_environment(str(folder), framework, threads),
        )
        hello = self.read()
        self.error: str = hello.get("error", "")
        self.version: str = hello.get("version", "")
        self.variants: Variants = hello.get("variants", {})

    def read(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            self.log.seek(0)
            return {"error": f"the process ended with code {code}: {self.log.read()[-500:]}"}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, **request: Any) -> dict[str, Any]:
        assert self.process.stdin
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass                                     # read() tells how the process ended
        return self.read()

    def stop(self) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()


def find_peers(folder: Path, wanted: list[str], script: str = "worker.py", threads: int = 1) -> list[Peer]:
    """Starts a worker for every wanted framework. Exits when pullback cannot be imported."""
    peers = []
    for framework in wanted:
        python = python_of(framework)
        if python is None:
            print(f"  {framework}: no {PEERS_HOME / str(VENVS[framework])}, left out", file=sys.stderr)
            continue
        peer = Peer(framework, python, folder, script, threads)
        if peer.error:
            peer.stop()
            if framework == "pullback":
                sys.exit(f"pullback: {peer.error}")
            print(f"  {framework}: {peer.error}, left out", file=sys.stderr)
            continue
        peers.append(peer)
    return peers


def fresh_process(peer: Peer, script: str, *arguments: str) -> dict[str, Any]:
    """The answer of a script in a new process with an empty cache folder."""
    with tempfile.TemporaryDirectory(prefix="pullback-bench-") as cache:
        done = subprocess.run(
            [peer.python, str(HERE / script), peer.framework, *arguments],
            capture_output=True, text=True, check=False,
            env=clean_environment(cache, peer.framework, peer.threads),
        )  # fmt: skip
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"code {done.returncode}"}
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def cpu_name() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            lines = [line.split(":", 1) for line in file if ":" in line]
        found = {key.strip(): value.strip() for key, value in reversed(lines)}
        if "model name" not in found:
            return platform.processor()
        return f"{found['model name']} (family {found.get('cpu family', '?')}, model {found.get('model', '?')})"
    except OSError:
        return platform.processor()


def environment(peers: list[Peer]) -> dict[str, Any]:
    return {
        "machine": f"{cpu_name()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": [p.version for p in peers],
        "load": [round(x, 2) for x in os.getloadavg()] if hasattr(os, "getloadavg") else [],
    }
