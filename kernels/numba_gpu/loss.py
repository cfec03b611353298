"""Losses of each sample and their gradients."""

import math
from functools import cache

import numpy as np

from ..custom.record import Record
from .compiler import cuda, device, float64, loss_of, number, uint32
from .launch import THREADS, over
from .maps import each_with_row
from .rows import cross_entropy, row_means, row_sums
from .sums import stored, total

u = uint32
#: probabilities are kept this far from 0 and 1 before their logarithm is taken (Keras's value)
EPSILON = 1e-7


@cache
def _term(name, real, delta=0.0):
    """Return the loss of one output, for kernels to call."""
    zero, one, half, corner = real(0), real(1), real(0.5), real(delta)
    low, high = real(EPSILON), real(1 - EPSILON)
    wide_low, wide_high, wide_one = float64(EPSILON), float64(1 - EPSILON), float64(1)

    def mse(p, t):
        return (p - t) * (p - t)

    def mae(p, t):
        return abs(p - t)

    def huber(p, t):
        distance = abs(p - t)
        quadratic = corner if distance > corner else distance
        return quadratic * (distance - half * quadratic)

    def hinge(p, t):
        margin = one - t * p
        return zero if margin <= zero else margin

    def perceptron(p, t):
        wrong = -t * p
        return zero if wrong <= zero else wrong

    def sigmoid_xent(p, t):
        return (zero if p <= zero else p) - p * t + real(math.log1p(real(math.exp(-abs(p)))))

    def half_poisson(p, t):
        return real(math.exp(p)) - t + t * (real(math.log(t if t > zero else one)) - p)

    def binary_xent(p, t):
        q = float64(p)  # 1 - q cancels
        q = wide_low if q < wide_low else (wide_high if q > wide_high else q)
        return -t * real(math.log(q)) - (one - t) * real(math.log(wide_one - q))

    def xent(p, t):
        q = low if p < low else (high if p > high else p)
        return -t * real(math.log(q))

    return device(locals()[name])


@cache
def _slope(name, real, columns, delta=0.0):
    """Return the gradient by one output from that of its sample's loss, for kernels to call."""
    zero, one, two, corner = real(0), real(1), real(2), real(delta)
    low, high, count = real(EPSILON), real(1 - EPSILON), real(columns)

    def mse(dloss, p, t):
        return dloss * (two * (p - t)) / count

    def mae(dloss, p, t):
        d = p - t
        return dloss * (one if d > zero else (-one if d < zero else d)) / count

    def huber(dloss, p, t):
        d = p - t
        return dloss * (corner if d > corner else (-corner if d < -corner else d)) / count

    def hinge(dloss, p, t):
        return dloss * (-t if t * p < one else zero) / count

    def perceptron(dloss, p, t):
        return dloss * (-t if t * p <= zero else zero) / count

    def sigmoid_xent(dloss, p, t):
        e = real(math.exp(-abs(p)))
        return dloss * ((one if p >= zero else e) / (one + e) - t) / count

    def half_poisson(dloss, p, t):
        return dloss * (real(math.exp(p)) - t) / count

    def binary_xent(dloss, p, t):
        return zero if p < low or p > high else dloss * ((p - t) / (p * (one - p))) / count

    def xent(dloss, p, t):
        return zero if p < low or p > high else -dloss * t / p

    return device(locals()[name])


def _pointwise(name):
    def forward(pred, target, *delta_and_loss):
        *delta, loss = delta_and_loss
        return row_means(_term(name, number(pred.dtype), *delta), pred, target, loss)

    def backward(dloss, pred, target, *delta_and_dpred):
        *delta, dpred = delta_and_dpred
        return each_with_row(_slope(name, number(pred.dtype), pred.shape[1], *delta), dloss, pred, target, dpred)

    return forward, backward


for _name in ("mse", "mae", "huber", "hinge", "perceptron", "sigmoid_xent", "half_poisson", "binary_xent"):
    globals()[f"{_name}_forward"], globals()[f"{_name}_backward"] = _pointwise(_name)


@cache
def _custom(address, with_slope, dtype):
    return loss_of(Record.at(address), with_slope, number(dtype))


def custom_loss_forward(pred, target, function, loss, slope):
    return row_means(_custom(function, slope is not None, pred.dtype), target, pred, loss, slope)


@cache
def _custom_slope(real, columns):
    count = real(columns)

    @device
    def gradient(dloss, slope):
        return dloss * slope / count

    return gradient


def custom_loss_backward(dloss, slope, dpred):
    return each_with_row(_custom_slope(number(slope.dtype), slope.shape[1]), dloss, slope, dpred)


def xent_forward(probs, target, loss):
    return row_sums(_term("xent", number(probs.dtype)), probs, target, loss)


def xent_backward(dloss, probs, target, dprobs):
    return each_with_row(_slope("xent", number(probs.dtype), 1), dloss, probs, target, dprobs)


def softmax_xent_forward(logits, label, loss, probs):
    return cross_entropy(logits, label, loss, probs)


def softmax_xent_onehot_forward(logits, target, loss, probs):
    return cross_entropy(logits, target, loss, probs)


@cache
def _label_gradient(real):
    def kernel(dloss, probs, label, dlogits, columns, n):
        i = u(u(cuda.blockIdx.x) * u(THREADS) + u(cuda.threadIdx.x))
        while i < n:
            row = i // columns
            wanted = real(1) if i % columns == u(label[row]) else real(0)
            dlogits[i] = dloss[row] * (probs[i] - wanted)
            i = u(i + u(cuda.gridDim.x) * u(THREADS))

    return kernel


def softmax_xent_backward(dloss, probs, label, dlogits):
    columns = np.uint32(probs.shape[1])
    return over(probs.size, _label_gradient(number(probs.dtype)), dloss, probs, label, dlogits, columns)


@cache
def _target_gradient(real):
    def kernel(dloss, probs, target, dlogits, columns, n):
        i = u(u(cuda.blockIdx.x) * u(THREADS) + u(cuda.threadIdx.x))
        while i < n:
            row = i // columns
            share = real(0)
            for j in range(columns):
                share += target[row * columns + u(j)]
            dlogits[i] = dloss[row] * (probs[i] * share - target[i])
            i = u(i + u(cuda.gridDim.x) * u(THREADS))

    return kernel


def softmax_xent_onehot_backward(dloss, probs, target, dlogits):
    columns = np.uint32(probs.shape[1])
    return over(probs.size, _target_gradient(number(probs.dtype)), dloss, probs, target, dlogits, columns)


@cache
def _weighted(with_weight):
    @device
    def term(loss, weight, i):
        return loss[i] * weight[i] if with_weight else loss[i]

    return term


@cache
def _divided(real):
    @device
    def finish(result, place, value, count):
        result[place] = value / real(count)

    return finish


def weighted_mean_forward(loss, weight, mean):
    finish = _divided(number(loss.dtype))
    return total(_weighted(weight is not None), finish, loss, loss if weight is None else weight, mean, loss.shape[0], loss.dtype)


@cache
def _share(real, count, with_weight):
    count = real(count)

    @device
    def share(dmean, weight):
        return dmean * weight / count if with_weight else dmean / count

    return share


def weighted_mean_backward(dmean, weight, dloss):
    share = _share(number(dloss.dtype), max(dloss.size, 1), weight is not None)
    return each_with_row(share, dmean, dloss if weight is None else weight, dloss)


@cache
def _penalty(real, l1, l2):
    l1, l2 = real(l1), real(l2)

    @device
    def term(w, unused, i):
        return l1 * abs(w[i]) + l2 * w[i] * w[i]

    return term


def penalty_forward(w, l1, l2, penalty):
    return total(_penalty(number(w.dtype), l1, l2), stored, w, w, penalty, w.size, w.dtype)


@cache
def _penalty_slopes(real, l1, l2):
    zero, l1, l2 = real(0), real(l1), real(2 * l2)

    @device
    def slope(dpenalty, w):
        return dpenalty * ((l1 if w > zero else (-l1 if w < zero else w)) + l2 * w)

    @device
    def added(dpenalty, w, gradient):
        return gradient + slope(dpenalty, w)

    return slope, added


def penalty_backward(dpenalty, w, gradient, l1, l2, dw):
    slope, added = _penalty_slopes(number(w.dtype), l1, l2)
    if gradient is None:
        return each_with_row(slope, dpenalty, w, dw)
    return each_with_row(added, dpenalty, w, gradient, dw)
