"""Train the same networks with fastnn and with every peer installed, interleaved in one run.

python -m benchmarks.peers [--threads 1 2] [--cases mnist-cnn ...] [--peers torch ...] [--json FILE]

Each peer runs in its own process, held to the same number of processors. All start from the same weights, see the same batches in
the same order, and after some steps their losses have to agree before anything is timed. Then they take turns: in each round
every peer makes as many steps as take it about `--seconds`, while the others stand still, and the median over the rounds counts.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
from pathlib import Path

from .cases import CASES, Case

MODULES = {
    "fastnn": "fastnn_peer",
    "torch": "torch_peer",
    "torch.compile": "torch_peer",
    "tensorflow": "tensorflow_peer",
    "jax": "jax_peer",
    "scikit-learn": "sklearn_peer",
    "numpy": "numpy_peer",
}
#: those that train on a GPU, see benchmarks/gpu.py
GPU_MODULES = {
    "fastnn cuda": "fastnn_peer",
    "torch cuda": "torch_peer",
    "torch cuda graph": "torch_peer",
    "torch.compile cuda": "torch_peer",
}
REQUIRES = {"torch": "torch", "torch.compile": "torch", "tensorflow": "tensorflow", "jax": "jax", "scikit-learn": "sklearn"}
#: losses after the first steps may differ by this share: float32 sums in another order, and what tensor cores round
LOSS_TOLERANCE = {"float32": 2e-3, "tf32": 1e-2, "bf16": 5e-2}


class Worker:
    """A peer's process for one case, stopped while it has nothing to do.

    Threads may spin for some tenths of a second after their last product, in case another one comes (OpenBLAS's do), and would
    take a core from the peer whose turn is next.
    """

    def __init__(self, peer: str, case: Case, threads: int) -> None:
        self.peer = peer
        environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3", JAX_PLATFORMS="cpu")
        if peer not in GPU_MODULES:
            environment["CUDA_VISIBLE_DEVICES"] = ""
        for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "FASTNN_NUM_THREADS"):
            environment[variable] = str(threads)
        module = (MODULES | GPU_MODULES)[peer]
        how = (module, peer, case.name, str(threads), str(case.batch), case.precision)
        command = [sys.executable, "-m", f"{__package__}.worker", *how]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        )
        first = self._read()
        self.process.send_signal(signal.SIGSTOP)
        self.missing = first.get("missing") if isinstance(first, dict) else None

    def ask(self, *command):
        """Send a command; return the answer."""
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        answer = self._read()
        self.process.send_signal(signal.SIGSTOP)
        return answer

    def _read(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the {self.peer} worker ended; run python -m benchmarks.peers.worker to see why")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()


def measure(case: Case, peers: list[str], threads: int, rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    """Return each peer's milliseconds per step and peak megabytes, for one case."""
    workers = []
    for peer in peers:
        try:
            worker = Worker(peer, case, threads)
        except RuntimeError as error:
            print(f"  {peer}: {error}", file=sys.stderr)
            continue
        if worker.missing:
            worker.close()
        else:
            workers.append(worker)
    try:
        _check(case, workers)
        counts = {w.peer: _steps_for(w, seconds) for w in workers}
        times: dict[str, list[float]] = {w.peer: [] for w in workers}
        for _ in range(rounds):
            for worker in workers:
                times[worker.peer].append(worker.ask("time", counts[worker.peer]) / counts[worker.peer] * 1e3)
        return {w.peer: {"ms": statistics.median(times[w.peer]), "peak_mb": w.ask("memory")} for w in workers}
    finally:
        for worker in workers:
            worker.close()


def _check(case: Case, workers: list[Worker]) -> None:
    """Make sure that all peers compute the same thing, but for predictions that are probabilities instead of logits."""
    results = {}
    for worker in workers:
        if case.kind == "predict":
            results[worker.peer] = worker.ask("check")
        else:
            worker.ask("time", case.check_steps)
            results[worker.peer] = [worker.ask("check")]
    reference = next(iter(results.values()))  # fastnn's
    for peer, result in results.items():
        if case.kind == "predict" and peer == "scikit-learn":
            continue
        worst = max(abs(a - b) / max(abs(b), 0.1) for a, b in zip(result, reference, strict=True))
        if not worst <= LOSS_TOLERANCE[case.precision]:
            raise SystemExit(f"{case.name}: {peer} and fastnn disagree after {case.check_steps} steps: {result} and {reference}")


def _steps_for(worker: Worker, seconds: float) -> int:
    """Warm the worker up; return how many steps take it about `seconds`."""
    count = 1
    while True:
        took = worker.ask("time", count)
        if took >= seconds / 2 or count >= 1_000_000:
            break
        count = min(count * 10, max(count + 1, int(count * seconds / max(took, 1e-9))))
    return max(1, int(count * seconds / max(worker.ask("time", count), 1e-9)))


def table(results: list[dict]) -> str:
    """Return the results as a Markdown table."""
    names = [peer for peer in MODULES if any(peer in result["peers"] for result in results)]
    lines = [
        "| case | threads | " + " | ".join(f"{name} ms" for name in names) + " | images/s | fastest peer / fastnn | aim |",
        "| --- | ---: |" + " ---: |" * (len(names) + 3),
    ]
    for result in results:
        peers = result["peers"]
        cells = [f"{peers[name]['ms']:.3g}" if name in peers else "" for name in names]
        per_second = f"{result['batch'] / peers['fastnn']['ms'] * 1e3:,.0f}"
        ratio = f"**{result['ratio']:.2f}** ({result['fastest']})" if result["fastest"] else ""
        lines.append(
            f"| {result['title']} | {result['threads']} | {' | '.join(cells)} | {per_second} | {ratio} | {result['target']:g} |"
        )
    return "\n".join(lines)


def processor() -> str:
    """Return the processor's name."""
    info = Path("/proc/cpuinfo")
    names = (
        [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        if info.exists()
        else []
    )
    return f"{names[0] if names else platform.processor()}, {len(os.sched_getaffinity(0))} cores"


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[2])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--peers", nargs="+", choices=[name for name in MODULES if name != "fastnn"])
    parser.add_argument("--rounds", type=int, default=5, help="turns of each peer; the median counts (default 5)")
    parser.add_argument("--seconds", type=float, default=1.0, help="about how long a turn takes (default 1)")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    options = parser.parse_args()
    peers = ["fastnn"] + [
        name
        for name in options.peers or [name for name in MODULES if name != "fastnn"]
        if importlib.util.find_spec(REQUIRES.get(name, "numpy"))
    ]
    print(f"{processor()}; {', '.join(peers)}\n", flush=True)
    results = []
    for name in options.cases:
        for threads in options.threads:
            case = CASES[name]
            measured = measure(case, peers, threads, options.rounds, options.seconds)
            others = {p: m["ms"] for p, m in measured.items() if p != "fastnn" and (not case.over or p in case.over)}
            fastest = min(others, key=others.get) if others else None
            ratio = others[fastest] / measured["fastnn"]["ms"] if fastest else None
            results.append(
                {
                    "case": name,
                    "title": case.title,
                    "batch": case.batch,
                    "threads": threads,
                    "peers": measured,
                    "fastest": fastest,
                    "ratio": ratio,
                    "target": case.target,
                }
            )
            print(f"{name}, {threads} threads: " + ", ".join(f"{p} {m['ms']:.4g} ms" for p, m in measured.items()), flush=True)
    print("\n" + table(results))
    if options.json:
        options.json.write_text(json.dumps({"processor": processor(), "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
