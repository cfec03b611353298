"""How much faster the modules that stand in for course code are than NumPy, on one thread.

python -m benchmarks.compat [--rounds N] [--cases WORD ...]

Each line is one call at a size that the course uses: by `fastnn.compat`; by good NumPy; in NumPy as the course goes about it (by
index arrays in CS231n where nothing was compiled; by a loop over the window, then a transposed copy, in Deep Learning from
Scratch); and by loops over images, filters and places, which is what the exercises of CS231n and Coursera ask for. A convolution is
forward and backward; in NumPy, im2col, matrix products and col2im. All versions give the same numbers, which is checked first.

The last column is a bound: for im2col, filling a new array as large as the columns; for col2im, summing the columns; for a
convolution, a product of square matrices with as many multiplications. What needs less leaves some of them out.

The versions take turns, and the fastest call of each counts, in processor time: other programs do not.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from threadpoolctl import threadpool_limits

import fastnn
from fastnn.compat.coursera import convolution
from fastnn.compat.cs231n import fast_layers, im2col_cython
from fastnn.compat.cs231n import layers as cs231n_layers
from fastnn.compat.dlfs import layers, util

CALLS = 4
SLOW = 0.5  # seconds of a call from which it is made only once
COLUMNS = {"good": "good NumPy", "course": "as the course", "loops": "by loops", "bound": "bound"}
#: name, images (N, C, H, W), filters, filter size, stride, padding
CS231N = [
    ("cs231n ConvolutionalNetworks notebook", (100, 3, 31, 31), 25, 3, 2, 1),
    ("cs231n ThreeLayerConvNet", (50, 3, 32, 32), 32, 7, 1, 3),
]
DLFS = [
    ("dlfs SimpleConvNet", (100, 1, 28, 28), 30, 5, 1, 0),
    ("dlfs DeepConvNet, first layer", (100, 1, 28, 28), 16, 3, 1, 1),
    ("dlfs DeepConvNet, second layer", (100, 16, 28, 28), 16, 3, 1, 1),
    ("dlfs DeepConvNet, third layer", (100, 16, 14, 14), 32, 3, 1, 1),
    ("dlfs DeepConvNet, last layer", (100, 64, 8, 8), 64, 3, 1, 1),
]
#: the exercises' own checks
CS231N_CHECK = ("cs231n conv_backward_naive", (4, 3, 5, 5), 2, 3, 1, 1)
COURSERA = ("coursera Convolution Model, step by step", (10, 4, 5, 7), 8, 3, 2, 1)


def patches(x, size, stride, pad):
    """Return a view (N, C, OH, OW, size, size) of the padded images."""
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    return sliding_window_view(padded, (size, size), axis=(2, 3))[:, :, ::stride, ::stride]


def rows(x, size, stride, pad):
    """Deep Learning from Scratch's im2col."""
    view = patches(x, size, stride, pad)
    return np.ascontiguousarray(view.transpose(0, 2, 3, 1, 4, 5)).reshape(-1, x.shape[1] * size * size)


def rows_looped(x, size, stride, pad):
    """The same, as the book goes about it."""
    n, c, h, w = x.shape
    out_h, out_w = 1 + (h + 2 * pad - size) // stride, 1 + (w + 2 * pad - size) // stride
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    six = np.zeros((n, c, size, size, out_h, out_w))
    for i in range(size):
        for j in range(size):
            six[:, :, i, j] = padded[:, :, i : i + stride * out_h : stride, j : j + stride * out_w : stride]
    return six.transpose(0, 4, 5, 1, 2, 3).reshape(n * out_h * out_w, -1)


def columns(x, size, stride, pad):
    """CS231n's im2col_cython, the batch innermost: one copy of all pixels for each element of the window."""
    n, c, h, w = x.shape
    out_h, out_w = 1 + (h + 2 * pad - size) // stride, 1 + (w + 2 * pad - size) // stride
    padded = np.ascontiguousarray(np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad))).transpose(1, 2, 3, 0))
    cols = np.empty((c, size, size, out_h, out_w, n), dtype=x.dtype)
    for i in range(size):
        for j in range(size):
            cols[:, i, j] = padded[:, i : i + stride * out_h : stride, j : j + stride * out_w : stride]
    return cols.reshape(c * size * size, -1)


def columns_indexed(x, size, stride, pad):
    """CS231n's im2col_indices: one index array for each axis."""
    n, c, h, w = x.shape
    k, i, j = _indices(x.shape, size, stride, pad)
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    return padded[:, k, i, j].transpose(1, 2, 0).reshape(c * size * size, -1)


def images_indexed(cols, shape, size, stride, pad):
    """CS231n's col2im_indices."""
    n, c, h, w = shape
    k, i, j = _indices(shape, size, stride, pad)
    padded = np.zeros((n, c, h + 2 * pad, w + 2 * pad), dtype=cols.dtype)
    np.add.at(padded, (slice(None), k, i, j), cols.reshape(c * size * size, -1, n).transpose(2, 0, 1))
    return padded[:, :, pad : pad + h, pad : pad + w]


def _indices(shape, size, stride, pad):
    _, c, h, w = shape
    k, i, j = np.indices((c, size, size)).reshape(3, -1, 1)
    y, x = np.indices((1 + (h + 2 * pad - size) // stride, 1 + (w + 2 * pad - size) // stride)).reshape(2, 1, -1)
    return k, i + stride * y, j + stride * x


def images(six, shape, stride, pad):
    """Return images as the sums of patches (N, C, size, size, OH, OW) in any order in memory."""
    n, c, h, w = shape
    size, out_h, out_w = six.shape[2], *six.shape[4:]
    padded = np.zeros((n, c, h + 2 * pad, w + 2 * pad), dtype=six.dtype)
    for i in range(size):
        for j in range(size):
            padded[:, :, i : i + stride * out_h : stride, j : j + stride * out_w : stride] += six[:, :, i, j]
    return padded[:, :, pad : pad + h, pad : pad + w]


def images_of_rows(col, shape, size, stride, pad):
    """Deep Learning from Scratch's col2im."""
    n, c, h, w = shape
    out_h, out_w = 1 + (h + 2 * pad - size) // stride, 1 + (w + 2 * pad - size) // stride
    return images(col.reshape(n, out_h, out_w, c, size, size).transpose(0, 3, 4, 5, 1, 2), shape, stride, pad)


def images_of_columns(cols, shape, size, stride, pad):
    """CS231n's col2im_cython, the batch innermost."""
    n, c, h, w = shape
    out_h, out_w = 1 + (h + 2 * pad - size) // stride, 1 + (w + 2 * pad - size) // stride
    six = cols.reshape(c, size, size, out_h, out_w, n)
    padded = np.zeros((c, h + 2 * pad, w + 2 * pad, n), dtype=cols.dtype)
    for i in range(size):
        for j in range(size):
            padded[:, i : i + stride * out_h : stride, j : j + stride * out_w : stride] += six[:, i, j]
    return np.ascontiguousarray(padded.transpose(3, 0, 1, 2))[:, :, pad : pad + h, pad : pad + w]


def convolve_as_cs231n(x, w, b, dout, stride, pad):
    """Forward and backward: columns in the order (image, row, column), and matrix products."""
    filters, c, size, _ = w.shape
    view = patches(x, size, stride, pad)
    n, _, out_h, out_w = view.shape[:4]
    cols = np.ascontiguousarray(view.transpose(1, 4, 5, 0, 2, 3)).reshape(c * size * size, -1)
    out = (w.reshape(filters, -1) @ cols + b[:, None]).reshape(filters, n, out_h, out_w)
    out = np.ascontiguousarray(out.transpose(1, 0, 2, 3))
    flat = dout.transpose(1, 0, 2, 3).reshape(filters, -1)
    dw = (flat @ cols.T).reshape(w.shape)
    dcols = (w.reshape(filters, -1).T @ flat).reshape(c, size, size, n, out_h, out_w)
    return out, images(dcols.transpose(3, 0, 1, 2, 4, 5), x.shape, stride, pad), dw, dout.sum(axis=(0, 2, 3))


def convolve_as_dlfs(im2col, x, w, b, dout, stride, pad):
    """Forward and backward: rows, and matrix products, in float64."""
    filters, _, size, _ = w.shape
    n, _, out_h, out_w = dout.shape
    col = im2col(x, size, stride, pad)
    out = (col @ w.reshape(filters, -1).T + b).reshape(n, out_h, out_w, filters).transpose(0, 3, 1, 2)
    flat = dout.transpose(0, 2, 3, 1).reshape(-1, filters)
    dw = (col.T @ flat).T.reshape(w.shape)
    return out, images_of_rows(flat @ w.reshape(filters, -1), x.shape, size, stride, pad), dw, flat.sum(axis=0)


def convolve_by_loops(x, w, b, dout, stride, pad):
    """Forward and backward as the exercises ask for them."""
    size = w.shape[2]
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    out, dpadded, dw = np.empty_like(dout), np.zeros_like(padded), np.zeros_like(w)
    for n, f, i, j in np.ndindex(dout.shape):
        window = n, slice(None), slice(i * stride, i * stride + size), slice(j * stride, j * stride + size)
        out[n, f, i, j] = np.sum(padded[window] * w[f]) + b[f]
        dpadded[window] += w[f] * dout[n, f, i, j]
        dw[f] += padded[window] * dout[n, f, i, j]
    return out, dpadded[:, :, pad : pad + x.shape[2], pad : pad + x.shape[3]], dw, dout.sum(axis=(0, 2, 3))


def by_fast_layers(x, w, b, dout, stride, pad):
    out, cache = fast_layers.conv_forward_fast(x, w, b, {"stride": stride, "pad": pad})
    return (out, *fast_layers.conv_backward_fast(dout, cache))


def by_layers(x, w, b, dout, stride, pad):
    out, cache = cs231n_layers.conv_forward_naive(x, w, b, {"stride": stride, "pad": pad})
    return (out, *cs231n_layers.conv_backward_naive(dout, cache))


def by_coursera(x, w, b, dout, stride, pad):
    """On images (m, n_H, n_W, n_C), as the course has them; the results in the order of the others."""
    images, filters = np.ascontiguousarray(x.transpose(0, 2, 3, 1)), np.ascontiguousarray(w.transpose(2, 3, 1, 0))
    out, cache = convolution.conv_forward(images, filters, b.reshape(1, 1, 1, -1), {"stride": stride, "pad": pad})
    dx, dw, db = convolution.conv_backward(np.ascontiguousarray(dout.transpose(0, 2, 3, 1)), cache)
    return out.transpose(0, 3, 1, 2), dx.transpose(0, 3, 1, 2), dw.transpose(3, 2, 0, 1), db.reshape(-1)


def by_layer(x, w, b, dout, stride, pad):
    layer = layers.Convolution(w, b, stride, pad)
    out = layer.forward(x)
    return out, layer.backward(dout), layer.dW, layer.db


def comparisons() -> Iterator[tuple[str, dict[str, Callable]]]:
    """Yield what is computed, and by what."""
    rng = np.random.default_rng(0)
    for name, shape, filters, size, stride, pad in CS231N:
        for dtype in ("float32", "float64"):
            x = rng.normal(size=shape).astype(dtype)
            cols = columns(x, size, stride, pad)
            yield (
                f"{name}: im2col, {dtype}",
                {
                    "fastnn": partial(im2col_cython.im2col_cython, x, size, size, pad, stride),
                    "good": partial(columns, x, size, stride, pad),
                    "course": partial(columns_indexed, x, size, stride, pad),
                    "bound": partial(np.ones_like, cols),
                },
            )
            yield (
                f"{name}: col2im, {dtype}",
                {
                    "fastnn": partial(im2col_cython.col2im_cython, cols, *shape, size, size, pad, stride),
                    "good": partial(images_of_columns, cols, shape, size, stride, pad),
                    "course": partial(images_indexed, cols, shape, size, stride, pad),
                    "bound": cols.sum,
                },
            )
            arguments = _convolution(rng, x, filters, size, stride, pad)
            yield (
                f"{name}: convolution, {dtype}",
                {
                    "fastnn": partial(by_fast_layers, *arguments),
                    "course": partial(convolve_as_cs231n, *arguments),
                    **({"loops": partial(convolve_by_loops, *arguments)} if "notebook" in name and dtype == "float64" else {}),
                    "bound": _product(arguments),
                },
            )
    for name, shape, filters, size, stride, pad in DLFS:
        x = rng.normal(size=shape)
        col = rows(x, size, stride, pad)
        yield (
            f"{name}: im2col",
            {
                "fastnn": partial(util.im2col, x, size, size, stride, pad),
                "good": partial(rows, x, size, stride, pad),
                "course": partial(rows_looped, x, size, stride, pad),
                "bound": partial(np.ones_like, col),
            },
        )
        yield (
            f"{name}: col2im",
            {
                "fastnn": partial(util.col2im, col, shape, size, size, stride, pad),
                "course": partial(images_of_rows, col, shape, size, stride, pad),
                "bound": col.sum,
            },
        )
        arguments = _convolution(rng, x, filters, size, stride, pad)
        yield (
            f"{name}: convolution",
            {
                "fastnn": partial(by_layer, *arguments),
                "good": partial(convolve_as_dlfs, rows, *arguments),
                "course": partial(convolve_as_dlfs, rows_looped, *arguments),
                "bound": _product(arguments),
            },
        )
    for (name, shape, filters, size, stride, pad), ours in ((CS231N_CHECK, by_layers), (COURSERA, by_coursera)):
        arguments = _convolution(rng, rng.normal(size=shape), filters, size, stride, pad)
        yield f"{name}: convolution", {"fastnn": partial(ours, *arguments), "loops": partial(convolve_by_loops, *arguments)}


def _convolution(rng, x, filters, size, stride, pad):
    w, b = rng.normal(size=(filters, x.shape[1], size, size)).astype(x.dtype), rng.normal(size=filters).astype(x.dtype)
    out_h, out_w = (1 + (extent + 2 * pad - size) // stride for extent in x.shape[2:])
    return x, w, b, rng.normal(size=(len(x), filters, out_h, out_w)).astype(x.dtype), stride, pad


def _product(arguments):
    """Return a product of square matrices with as many multiplications as the three passes of a convolution."""
    x, w, _, dout = arguments[:4]
    a = np.ones([round((3 * dout.size * w[0].size) ** (1 / 3))] * 2, x.dtype)
    return partial(np.matmul, a, a)


def check(versions: dict[str, Callable]) -> None:
    """Raise AssertionError unless all versions give the same numbers."""
    results = (call() for name, call in versions.items() if name != "bound")
    ours, *others = (result if isinstance(result, tuple) else (result,) for result in results)
    for other in others:
        for a, b in zip(ours, other, strict=True):
            np.testing.assert_allclose(a, b, atol=np.abs(b).max() * (1e-5 if a.dtype == np.float32 else 1e-13))


def best_times(versions: dict[str, Callable], rounds: int) -> dict[str, float]:
    """Return the least milliseconds of each version; they take turns of a few calls, as in a training, and find their memory."""
    best = dict.fromkeys(versions, float("inf"))
    for _ in range(rounds):
        for name, call in versions.items():
            for _ in range(CALLS):
                if SLOW < best[name] / 1e3 < float("inf"):
                    break
                start = time.process_time()
                call()
                best[name] = min(best[name], 1e3 * (time.process_time() - start))
    return best


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compat", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--cases", nargs="*", default=[""], metavar="WORD", help="only lines with one of these words in them")
    options = parser.parse_args()
    fastnn.set_num_threads(1)
    print(f"{'milliseconds (times slower than fastnn)':58}{'fastnn':>8}{''.join(f'{title:>20}' for title in COLUMNS.values())}")
    with threadpool_limits(1):
        for name, versions in comparisons():
            if any(word in name for word in options.cases):
                check(versions)
                best = best_times(versions, options.rounds)
                ratios = (f"{best[v]:9.2f} ({best[v] / best['fastnn']:5.1f} x)" if v in best else "" for v in COLUMNS)
                print(f"{name:58}{best['fastnn']:8.2f}{''.join(f'{ratio:>20}' for ratio in ratios)}", flush=True)


if __name__ == "__main__":
    main()
