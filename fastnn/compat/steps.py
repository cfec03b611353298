"""Optimizer steps in the forms in which courses write them, by the kernels' steps.

Courses add `eps` to the root: ``w -= lr * g / (sqrt(v) + eps)``. Of the kernels only `adam_step` does, and it covers the others.
"""

from __future__ import annotations

import math

import numpy as np

from ..kernels import adam_step


def adam(w: np.ndarray, g: np.ndarray, m: np.ndarray, v: np.ndarray, lr: float, step: int, beta1: float, beta2: float, eps: float):
    """Update `m`, `v` and ``w -= lr * mhat / (sqrt(vhat) + eps)``, with ``mhat = m / (1 - beta1**step)`` and vhat likewise.

    The kernel adds its eps to ``sqrt(v)`` before the correction, so ours is multiplied by what ``sqrt(vhat)`` is divided by.
    """
    adam_step(w, g, m, v, lr, step, beta1=beta1, beta2=beta2, eps=eps * math.sqrt(1 - beta2**step))


def rmsprop(w: np.ndarray, g: np.ndarray, v: np.ndarray, lr: float, rho: float, eps: float):
    """Update ``v = rho * v + (1 - rho) * g**2; w -= lr * g / (sqrt(v) + eps)``: Adam without momentum, its correction worn off."""
    adam_step(w, g, np.zeros(w.shape, dtype=w.dtype), v, lr, math.inf, beta1=0.0, beta2=rho, eps=eps)


def adagrad(w: np.ndarray, g: np.ndarray, a: np.ndarray, lr: float, eps: float):
    """Update ``a += g**2; w -= lr * g / (sqrt(a) + eps)``: RMSprop on ``(a + g**2) / 2``, doubled afterwards."""
    half = math.sqrt(0.5)
    rmsprop(w, g, a, lr * half, 0.5, eps * half)
    a *= 2
