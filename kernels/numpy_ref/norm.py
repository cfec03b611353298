"""Normalization over the batch or over a sample's features, and dropout."""

import numpy as np

from .precision import in_float64


@in_float64
def batchnorm_forward(x, gamma, beta, eps, y, mean, var):
    # sum / count and not np.mean: of an empty batch both are NaN, but np.mean warns
    mean[...] = x.sum(axis=0) / len(x)
    var[...] = ((x - mean) ** 2).sum(axis=0) / len(x)
    y[...] = gamma * (x - mean) / np.sqrt(var + eps) + beta


@in_float64
def batchnorm_inference(x, gamma, beta, mean, var, eps, y):
    y[...] = gamma * (x - mean) / np.sqrt(var + eps) + beta


@in_float64
def batchnorm_backward(dy, x, gamma, mean, var, eps, relu, dx, dgamma, dbeta):
    # Ioffe & Szegedy 2015, section 3; the derivatives by mean and variance gathered into the two sums
    std = np.sqrt(var + eps)
    normal = (x - mean) / std
    dgamma[...] = (dy * normal).sum(axis=0)
    dbeta[...] = dy.sum(axis=0)
    dx[...] = gamma / std * (dy - (dbeta + normal * dgamma) / len(x))
    if relu:
        dx[...] = np.where(x > 0, dx, 0)


@in_float64
def moving_average(value, momentum, average):
    average[...] = momentum * average + (1 - momentum) * value


@in_float64
def layernorm_forward(x, gamma, beta, eps, y, mean, var):
    mean[...] = x.mean(axis=1)
    var[...] = x.var(axis=1)
    y[...] = gamma * (x - mean[:, None]) / np.sqrt(var + eps)[:, None] + beta


@in_float64
def layernorm_backward(dy, x, gamma, mean, var, eps, dx, dgamma, dbeta):
    std = np.sqrt(var + eps)[:, None]
    normal = (x - mean[:, None]) / std
    dgamma[...] = (dy * normal).sum(axis=0)
    dbeta[...] = dy.sum(axis=0)
    dnormal = dy * gamma
    dx[...] = (dnormal - dnormal.mean(axis=1, keepdims=True) - normal * (dnormal * normal).mean(axis=1, keepdims=True)) / std


@in_float64
def dropout_forward(x, rate, y, used, state):
    used[...] = state
    state[1] += np.uint64(1)
    y[...] = _drop(x, used, rate)


@in_float64
def dropout_backward(dy, used, rate, dx):
    dx[...] = _drop(dy, used, rate)


def _drop(x, state, rate):
    kept = random_words(state, x.size).reshape(x.shape) >= round(rate * 2**32)
    return np.where(kept, x / (1 - rate), 0)


LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)


def _halves(word):
    """Return the low and the high 32 bits of a uint64."""
    return word & LOW, word >> HALF


def random_words(state, count):
    """Return the first `count` random words below 2**32 of a state (seed, step)."""
    seed, step = state
    blocks = np.arange(-(-count // 4), dtype=np.uint64)
    return np.stack(philox4x32((*_halves(blocks), *_halves(step)), _halves(seed)), axis=-1).reshape(-1)[:count]


def philox4x32(counter, key, rounds=7):
    """Return four random words for each counter: Philox4x32 of Salmon, Moraes, Dror & Shaw 2011.

    Parameters
    ----------
    counter : four uint64 scalars or arrays, which broadcast
        Their low 32 bits count.
    key : two uint64 scalars
        As the counter.
    rounds : int
        7 are the fewest that pass the BigCrush tests, as reported there.

    Returns
    -------
    tuple of four uint64 arrays
        Words below 2**32.
    """
    c0, c1, c2, c3 = (word & LOW for word in np.broadcast_arrays(*counter))
    k0, k1 = key
    for _ in range(rounds):
        low0, high0 = _halves(np.uint64(0xD2511F53) * c0)
        low1, high1 = _halves(np.uint64(0xCD9E8D57) * c2)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & LOW, (k1 + np.uint64(0xBB67AE85)) & LOW
    return c0, c1, c2, c3
