"""Each kernel against what the machine can do: its multiply rate against sgemm's, its bytes against a copy's.

python -m benchmarks.roofline [--threads N] [--level x86_64_v3] [--backend NAME]
                                [--kernels conv2d dense ...] [--json FILE] [--png FILE]
python -m benchmarks.roofline --backend numba --against cython [--threads N] [--dtype float64] [--kernels conv2d dense ...]

The rates of sgemm (NumPy's) and of a copy are measured in the same run, before and after the kernels, with the same number of
threads; every time is the median of several. The attainable time of a kernel is the larger of what its multiplications take at
sgemm's rate and what its bytes take at the copy's rate (Williams, Waterman & Patterson 2009, "Roofline"). More than 100 % of
sgemm's rate is possible: Winograd's algorithm needs fewer multiplications than are counted. More than 100 % of a copy's means
arrays that fit a cache. With a lower instruction level, sgemm (OpenBLAS's) keeps to that level too.

With ``--against`` the kernels of two backends take turns, called as a replayed step calls them, and the least time of each counts.
The ratio holds on a busy machine too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path

SGEMM = 1536
COPY_BYTES = 1 << 28
#: how long, and how often, a kernel is called for a median
CASE_SECONDS, LEAST_CALLS = 0.2, 5
#: how long a turn takes where two backends take turns, and how many turns each has
TURN_SECONDS, ROUNDS = 0.003, 15
#: instruction level -> the oldest core of OpenBLAS that has it
OPENBLAS_CORES = {"x86_64_v4": "SkylakeX", "x86_64_v3": "Haswell", "x86_64_v2": "Nehalem"}


def threads_text(threads: int) -> str:
    """Return a number of threads in words."""
    return f"{threads} thread{'s' * (threads != 1)}"


def median_time(function, seconds: float = CASE_SECONDS) -> float:
    """Return the median of repeated calls, of at least `LEAST_CALLS` of them and for about so many seconds."""
    function()
    times = []
    started = time.perf_counter()
    while len(times) < LEAST_CALLS or time.perf_counter() - started < seconds:
        before = time.perf_counter()
        function()
        times.append(time.perf_counter() - before)
    return statistics.median(times)


def machine_rates() -> tuple[float, float]:
    """Return sgemm's GFLOP/s and a copy's GB/s (bytes read and written)."""
    import numpy as np

    rng = np.random.default_rng(0)
    a, b = rng.random((2, SGEMM, SGEMM), dtype=np.float32)
    c = np.empty_like(a)
    x, y = np.ones(COPY_BYTES // 4, np.float32), np.empty(COPY_BYTES // 4, np.float32)
    sgemm = 2 * SGEMM**3 / median_time(lambda: np.matmul(a, b, out=c)) / 1e9

    from fastnn.kernels import table

    copy = 2 * COPY_BYTES / median_time(lambda: table.call("linear_forward", x, y)) / 1e9
    return sgemm, copy


def wanted_cases(prefixes: list[str] | None, dtype: str = "float32"):
    """Yield the names that begin with one of `prefixes`, all by default, and their cases."""
    from .kernel_cases import KernelCase, names

    for name in names():
        if not prefixes or name.startswith(tuple(prefixes)):
            yield name, KernelCase(name, dtype)


def measure(threads: int, wanted: list[str] | None) -> dict:
    """Return the machine's rates and each kernel's."""
    import fastnn
    from fastnn.kernels import table

    fastnn.set_num_threads(threads)
    rates = [machine_rates()]
    rows = []
    for name, case in wanted_cases(wanted):
        seconds = median_time(lambda case=case: table.call(case.op.name, *case.arguments))
        rows.append({"kernel": name, "us": seconds * 1e6, "gflops": case.flops / seconds / 1e9, "gbs": case.bytes / seconds / 1e9,
                     "flops": case.flops, "bytes": case.bytes})  # fmt: skip
    rates.append(machine_rates())
    sgemm, copy = (statistics.mean(pair) for pair in zip(*rates, strict=True))
    for row in rows:
        attainable = max(row["flops"] / sgemm, row["bytes"] / copy) / 1e3
        row["attained"] = attainable / row["us"]
    level = os.environ.get("FASTNN_CPU_LEVEL", "")
    return {"threads": threads, "level": level, "sgemm_gflops": sgemm, "copy_gbs": copy, "kernels": rows}


def compare(threads: int, wanted: list[str] | None, backends: tuple[str, str], dtype: str) -> None:
    """Print the time of each kernel on two backends, as Markdown."""
    import fastnn
    from fastnn.kernels.backends import compile_program

    fastnn.set_num_threads(threads)
    times = " | ".join(f"{name}, µs" for name in backends)
    print(f"{dtype}, {threads_text(threads)}\n\n| kernel | {times} | speed |\n| --- | ---: | ---: | ---: |")
    for name, case in wanted_cases(wanted, dtype):
        least = dict.fromkeys(backends, float("inf"))
        programs = {}
        for backend in backends:
            with fastnn.use_backend(backend):
                programs[backend] = compile_program([(case.op.name, tuple(case.arguments))])
            programs[backend].run(1)
        number = 1
        for backend in backends * ROUNDS:
            before = time.perf_counter()
            programs[backend].run(number)
            least[backend] = min(least[backend], (time.perf_counter() - before) / number)
            number = max(number, int(TURN_SECONDS / max(least.values())))
        first, second = least.values()
        print(f"| {name} | {first * 1e6:.2f} | {second * 1e6:.2f} | {second / first:.2f} |", flush=True)


def table_of(result: dict) -> str:
    """Return the result as a Markdown table."""
    lines = [
        f"sgemm {result['sgemm_gflops']:.0f} GFLOP/s, copy {result['copy_gbs']:.1f} GB/s, {threads_text(result['threads'])}",
        "",
        "| kernel | µs | GFLOP/s | of sgemm | GB/s | of a copy | of the roofline |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in result["kernels"]:
        share = row["gflops"] / result["sgemm_gflops"]
        cells = [row["kernel"], f"{row['us']:.1f}"]
        cells += [f"{row['gflops']:.1f}", f"{share:.0%}"] if row["flops"] else ["", ""]
        cells += [f"{row['gbs']:.1f}", f"{row['gbs'] / result['copy_gbs']:.0%}", f"{row['attained']:.0%}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(result: dict, path: Path) -> None:
    """Draw the roofline with a dot for each kernel that multiplies."""
    import matplotlib

    matplotlib.use("Agg")
    import numpy as np
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 5.5), layout="constrained")
    intensity = np.logspace(-2, 3, 200)
    axes.loglog(intensity, np.minimum(result["sgemm_gflops"], intensity * result["copy_gbs"]), "k-", lw=1.5, label="sgemm and copy")
    rows = [row for row in result["kernels"] if row["flops"]]
    styles = {"conv2d_forward": "o", "conv2d_backward_input": "v", "conv2d_backward_weight": "^",
              "dense_forward": "s", "dense_backward_input": "<", "dense_backward_weight": ">"}  # fmt: skip
    cases = sorted({row["kernel"].split("/")[1] for row in rows})
    colors = dict(zip(cases, pyplot.get_cmap("tab20")(np.linspace(0, 1, len(cases))), strict=True))
    for row in rows:
        op, case = row["kernel"].split("/")
        axes.plot(row["flops"] / row["bytes"], row["gflops"], styles.get(op, "x"), color=colors[case], ms=8, mec="black", mew=0.5)
    for op, style in styles.items():
        axes.plot([], [], style, color="lightgrey", mec="black", mew=0.5, label=op)
    for case, color in colors.items():
        axes.plot([], [], "s", color=color, label=case)
    axes.set(xlabel="FLOP per byte", ylabel="GFLOP/s", title=f"Kernels under the roofline, {threads_text(result['threads'])}")
    axes.legend(fontsize=7, ncols=2, loc="lower right")
    axes.grid(alpha=0.3, which="both")
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.roofline", description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1, help="default: 1")
    parser.add_argument("--level", choices=OPENBLAS_CORES, help="instruction level (default: the processor's)")
    parser.add_argument("--kernels", nargs="+", help="beginnings of kernel names; all by default")
    parser.add_argument("--backend", help="whose kernels; by default those of the backend that is the default here")
    parser.add_argument("--against", metavar="BACKEND", help="compare with this backend's kernels instead")
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32", help="of the comparison")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    parser.add_argument("--png", type=Path, help="draw the roofline into this file")
    options = parser.parse_args()
    for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(options.threads)  # before NumPy is imported
    if options.level:
        os.environ["FASTNN_CPU_LEVEL"], os.environ["OPENBLAS_CORETYPE"] = options.level, OPENBLAS_CORES[options.level]
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    import fastnn

    if options.backend:
        fastnn.use_backend(options.backend)
    if options.against:
        compare(options.threads, options.kernels, (fastnn.kernels.active_backend(), options.against), options.dtype)
        return
    result = measure(options.threads, options.kernels)
    print(table_of(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    if options.png:
        draw(result, options.png)


if __name__ == "__main__":
    main()
