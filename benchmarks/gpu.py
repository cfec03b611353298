"""What the GPU backend takes: launches, kernels against cuBLAS and cuDNN, and whole training steps against PyTorch's.

python -m benchmarks.gpu [--precision tf32] [--cases mlp ...] [--seconds S] [--json FILE]

Kernels are timed as a graph of several calls on arrays that stay on the card; PyTorch's, which call cuBLAS and cuDNN, in the same
way and eagerly. Training steps are those of `benchmarks.peers`, in processes that take turns, against PyTorch eager, as a CUDA
graph and compiled (``mode="reduce-overhead"``). All multiply in one precision: float32 without TF32, TF32, or bfloat16 (PyTorch's
kernels on arrays of bfloat16, its steps by autocast). Data are on the card from the beginning. It needs a GPU; without a PyTorch
that sees it, the comparisons are left out. After `BUDGET` seconds no further case is begun.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

import fastnn
from fastnn.kernels import backends
from fastnn.kernels.precision import PRECISIONS

from .kernel_cases import KernelCase
from .peers.__main__ import GPU_MODULES, measure
from .peers.cases import CASES
from .roofline import median_time

#: calls of a kernel, or launches, in one graph
CALLS = 20
#: seconds after which no further case is begun, so that all is done in five minutes
BUDGET = 240
KERNELS = [
    f"{op}/{case}"
    for op, cases in {
        "dense": ("mlp-128x784x128", "mnist-128x9216x128"),
        "conv2d": ("mnist-32-64", "lenet-6-16", "cats-40-72", "cats-144-220"),
    }.items()
    for case in cases
]
PASSES = ("forward", "backward_input", "backward_weight")
#: training steps, with their batch sizes
STEPS = {"mlp": 128, "mnist-cnn": 128, "lenet": 128, "cats-dogs": 32}


def launch_costs(seconds: float) -> dict[str, float]:
    """Return the microseconds of an empty kernel: launched by itself, as a graph of one, and in a graph of many."""
    from fastnn.kernels.numba_gpu.device import card
    from fastnn.kernels.numba_gpu.launch import Launch

    def empty(n):
        pass

    def done(run: Callable, each: int) -> float:
        def repeat() -> None:
            run()
            card().synchronize()

        return median_time(repeat, seconds) / each * 1e6

    launch = Launch(empty, (1, 1, 1), (np.uint32(0),))
    one, many = card().record([launch]), card().record([launch] * CALLS)
    return {
        "a launch and waiting for it": done(lambda: card().run([launch]), 1),
        "a launch among many": done(lambda: card().run([launch] * CALLS), CALLS),
        "a graph of one launch and waiting for it": done(lambda: one.run(1), 1),
        f"a launch in a graph of {CALLS}, replayed many times": done(lambda: many.run(CALLS), CALLS * CALLS),
    }


def kernel_rows(names: list[str], precision: str, seconds: float) -> list[dict]:
    """Return microseconds and TFLOP/s of each kernel, and PyTorch's microseconds for the same."""
    torch = _torch()
    fastnn.set_precision(precision)
    if torch is not None:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
        torch.backends.cudnn.benchmark = True
    rows = []
    for name in names:
        family, shape = name.split("/", 1)
        for way in PASSES:
            case = KernelCase(f"{family}_{way}/{shape}")
            calls = [(case.op.name, tuple(map(_on_card, case.arguments)))] * CALLS
            program = backends.compile_program(calls)
            ours = median_time(lambda program=program: program.run(1), seconds) / CALLS
            row = {"kernel": f"{family}_{way}/{shape}", "us": ours * 1e6, "tflops": case.flops / ours / 1e12, "torch": {}}
            if torch is not None:
                row["torch"] = _torch_times(torch, way, case, precision, seconds)
            rows.append(row)
    return rows


def _on_card(argument):
    if not isinstance(argument, np.ndarray):
        return argument
    from fastnn.kernels.numba_gpu.arrays import empty

    there = empty(argument.shape, argument.dtype)
    np.copyto(there, argument)
    return there


def _torch():
    """Return PyTorch, or None where there is none that sees the GPU."""
    try:
        import torch
    except ModuleNotFoundError:
        return None
    return torch if torch.cuda.is_available() else None


def _torch_times(torch, way: str, case: KernelCase, precision: str, seconds: float) -> dict[str, float]:
    function = _torch_call(torch, way, case, torch.bfloat16 if precision == "bf16" else torch.float32)

    def synchronized(run: Callable) -> Callable:
        def repeat() -> None:
            run()
            torch.cuda.synchronize()

        return repeat

    def eager() -> None:
        for _ in range(CALLS):
            function()

    aside = torch.cuda.Stream()
    with torch.cuda.stream(aside):
        eager()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        eager()
    ways = {"eager": eager, "graph": graph.replay}
    return {name: median_time(synchronized(run), seconds) / CALLS * 1e6 for name, run in ways.items()}


def _torch_call(torch, way: str, case: KernelCase, dtype) -> Callable:
    """Return the same computation by PyTorch, images and filters in channels_last."""
    values = dict(zip(case.op.argument_names, case.arguments, strict=True))
    given = {name: torch.from_numpy(value).cuda().to(dtype) for name, value in values.items() if isinstance(value, np.ndarray)}
    if case.family == "linear":
        x, w, dy, b = (given.get(name) for name in ("x", "w", "dy", "b"))
        return {
            "forward": lambda: torch.addmm(b, x, w),
            "backward_input": lambda: dy @ w.T,
            "backward_weight": lambda: (x.T @ dy, dy.sum(0)),
        }[way]
    layout = torch.channels_last
    x, dy = (given[name].permute(0, 3, 1, 2).contiguous(memory_format=layout) if name in given else None for name in ("x", "dy"))
    shape = dict(zip(("kh", "kw", "cg", "co"), values.get("w", values.get("dw")).shape, strict=True))
    w = torch.rand(shape["co"], shape["cg"], shape["kh"], shape["kw"], device="cuda").to(dtype).contiguous(memory_format=layout)
    padding = (values["pad_top"], values["pad_left"])
    if way == "forward":
        return lambda: torch.conv2d(x, w, given["b"], padding=padding)
    n, height, width, channels = values["x" if way == "backward_weight" else "dx"].shape
    image = x if x is not None else torch.rand(n, channels, height, width, device="cuda").to(dtype).contiguous(memory_format=layout)
    wanted = (way == "backward_input", way == "backward_weight", way == "backward_weight")
    gradient = torch.ops.aten.convolution_backward
    return lambda: gradient(dy, image, w, [shape["co"]], (1, 1), padding, (1, 1), False, (0, 0), 1, wanted)


def step_rows(names: list[str], precision: str, seconds: float, stop: float) -> list[dict]:
    """Return the milliseconds per training step of each peer, for the cases that are begun before `stop`."""
    peers = list(GPU_MODULES) if _torch() is not None else ["fastnn cuda"]
    rows = []
    for name in names:
        if time.monotonic() > stop:
            print(f"{name} is left out: {BUDGET} seconds are over; --cases {name} measures it alone", file=sys.stderr)
            continue
        case = replace(CASES[name], batch=STEPS[name], precision=precision)
        title = case.title.rsplit(",", 1)[0]
        measured = measure(case, peers, threads=1, rounds=5, seconds=seconds)
        rows.append({"case": name, "title": f"{title}, batch {case.batch}", "ms": {p: m["ms"] for p, m in measured.items()}})
        print(f"{name}: " + ", ".join(f"{peer} {ms:.4g} ms" for peer, ms in rows[-1]["ms"].items()), flush=True)
    return rows


def tables(result: dict) -> str:
    """Return the result as Markdown tables."""
    lines = [
        f"{result['gpu']}; {result['torch'] or 'no PyTorch that sees the GPU'}; {result['precision']}",
        "",
        "| launch | µs |",
        "| --- | ---: |",
    ]
    lines += [f"| {name} | {us:.2f} |" for name, us in result["launches"].items()]
    lines += ["", "| kernel | fastnn µs | TFLOP/s | torch µs | torch graph µs |", "| --- | ---: | ---: | ---: | ---: |"]
    for row in result["kernels"]:
        theirs = [f"{row['torch'][way]:.1f}" if way in row["torch"] else "" for way in ("eager", "graph")]
        lines.append(f"| {row['kernel']} | {row['us']:.1f} | {row['tflops']:.2f} | {' | '.join(theirs)} |")
    lines += ["", f"| step | {' | '.join(f'{peer} ms' for peer in GPU_MODULES)} |", "| --- |" + " ---: |" * len(GPU_MODULES)]
    for row in result["steps"]:
        cells = [f"{row['ms'][peer]:.3g}" if peer in row["ms"] else "" for peer in GPU_MODULES]
        lines.append(f"| {row['title']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Measure and print; 1 where there is no GPU."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="float32", help="how matrices are multiplied (default: %(default)s)"
    )
    parser.add_argument("--cases", nargs="+", choices=STEPS, default=list(STEPS), help="training steps (default: all)")
    parser.add_argument("--seconds", type=float, default=0.2, help="about how long one timing takes (default 0.2)")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    options = parser.parse_args(argv)
    try:
        fastnn.use_backend("cuda")
    except ImportError as error:
        print(f"benchmarks.gpu: error: nothing is measured: {error}", file=sys.stderr)
        return 1
    stop = time.monotonic() + BUDGET
    from fastnn.kernels.numba_gpu.device import card

    torch = _torch()
    result = {
        "gpu": card().name,
        "torch": torch and f"PyTorch {torch.__version__}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}",
        "precision": options.precision,
        "launches": launch_costs(options.seconds),
        "kernels": kernel_rows(KERNELS, options.precision, options.seconds),
        "steps": step_rows(options.cases, options.precision, options.seconds, stop),
    }
    print("\n" + tables(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
