"""Losses of each sample and their gradients: formulas of one output with loops around them, and cross-entropies over classes."""

import numpy as np

from ..custom.elementary import exp, log
from . import vmath
from .activate import relu, sigmoid, softplus
from .call import step
from .custom import apply_loss
from .pointers import as_doubles, is_null, offset, on_stack, reordered
from .softmax import divide_by_sums, exponentials, subtract_max
from .sums import row_dot, row_sum
from .vmath import of_reals

#: probabilities are kept this far from 0 and 1 before their logarithm is taken
EPSILON = 1e-7
#: elements of a loss that are computed before they are summed
BUFFER = 1024


def _forward(formula):
    """Return the step of a loss that is the mean of `formula(prediction, target)` over a sample's outputs."""
    element = of_reals(formula)

    @step("m", "c", scratch=lambda e: e["m"] * e["c"])
    def forward(call, first, last):
        pred, target, each, c = call.pred, call.target, as_doubles(call.scratch), call.c
        for i in range(first * c, last * c):
            each[i] = element(np.float64(pred[i]), np.float64(target[i]))
        for i in range(first, last):
            call.loss[i] = row_sum(each, i * c, c) / c

    return forward


def _backward(formula):
    derivative = of_reals(formula)

    @step("m", "c")
    def backward(call, first, last):
        pred, target, dpred, c = call.pred, call.target, call.dpred, call.c
        for i in range(first * c, last * c):
            dpred[i] = derivative(np.float64(pred[i]), np.float64(target[i]))
        for i in range(first, last):
            factor = np.float64(call.dloss[i]) / c
            for j in range(i * c, (i + 1) * c):
                dpred[j] *= factor

    return backward


# Formulas, see vmath.py. Comparisons are written so that NaN takes the branch that keeps it.


def _mse(p, t):
    d = p - t
    return d * d


def _mse_derivative(p, t):
    return (p - t) * 2.0


def _mae(p, t):
    return (p - t).intrinsic("fabs")


def _sign(d):
    return d.like(1.0).where(d.compare(">", 0.0), d.like(-1.0).where(d.compare("<", 0.0), d))


def _mae_derivative(p, t):
    return _sign(p - t)


def _hinge(p, t):
    return relu(1.0 - t * p)


def _hinge_derivative(p, t):
    return (-t).where((t * p).compare("<", 1.0), 0.0)


def _perceptron(p, t):
    return relu(-t * p)


def _perceptron_derivative(p, t):
    return (-t).where((t * p).compare("<=", 0.0), 0.0)


def _sigmoid_xent(p, t):
    return softplus(p) - p * t


def _sigmoid_xent_derivative(p, t):
    return sigmoid(p) - t


def _half_poisson(p, t):
    return exp(p) - t + t * (log(t.where(t.compare(">", 0.0), 1.0)) - p)


def _half_poisson_derivative(p, t):
    return exp(p) - t


def _clip(q):
    return q.at_least(EPSILON).at_most(1.0 - EPSILON)


def _unless_clipped(q, derivative):
    outside = q.builder.or_(q.compare("<", EPSILON), q.compare(">", 1.0 - EPSILON))
    return q.like(0.0).where(outside, derivative)


def _binary_xent(p, t):
    q = _clip(p)
    return -t * log(q) - (1.0 - t) * log(1.0 - q)


def _binary_xent_derivative(p, t):
    return _unless_clipped(p, (p - t) / (p * (1.0 - p)))


def _xent(p, t):
    return -t * log(_clip(p))


def _xent_derivative(p, t):
    return _unless_clipped(p, -t / p)


mse_forward, mse_backward = _forward(_mse), _backward(_mse_derivative)
mae_forward, mae_backward = _forward(_mae), _backward(_mae_derivative)
hinge_forward, hinge_backward = _forward(_hinge), _backward(_hinge_derivative)
perceptron_forward, perceptron_backward = _forward(_perceptron), _backward(_perceptron_derivative)
sigmoid_xent_forward, sigmoid_xent_backward = _forward(_sigmoid_xent), _backward(_sigmoid_xent_derivative)
half_poisson_forward, half_poisson_backward = _forward(_half_poisson), _backward(_half_poisson_derivative)
binary_xent_forward, binary_xent_backward = _forward(_binary_xent), _backward(_binary_xent_derivative)


@step("m", "c")
def huber_forward(call, first, last):
    pred, target, delta, loss, c = call.pred, call.target, call.delta, call.loss, call.c
    for i in range(first, last):
        total = 0.0
        for j in range(i * c, (i + 1) * c):
            d = abs(np.float64(pred[j]) - target[j])
            q = delta if d > delta else d
            total += q * (d - 0.5 * q)  # both branches of the definition in one
        loss[i] = total / c


@step("m", "c")
def huber_backward(call, first, last):
    dloss, pred, target, delta, dpred, c = call.dloss, call.pred, call.target, call.delta, call.dpred, call.c
    for i in range(first, last):
        factor = np.float64(dloss[i]) / c
        for j in range(i * c, (i + 1) * c):
            d = np.float64(pred[j]) - target[j]
            d = delta if d > delta else d
            dpred[j] = factor * (-delta if d < -delta else d)


@step("m", "c")
def softmax_xent_forward(call, first, last):
    logits, label, loss, probs, c = call.logits, call.label, call.loss, call.probs, call.c
    subtract_max(logits, probs, first, last, c)
    for i in range(first, last):
        loss[i] = probs[i * c + label[i]]
    exponentials(probs, first * c, last * c)
    for i in range(first, last):
        loss[i] = vmath.log(row_sum(probs, i * c, c)) - loss[i]
    divide_by_sums(probs, first, last, c)


@step("m", "c")
def softmax_xent_backward(call, first, last):
    dloss, probs, label, dlogits, c = call.dloss, call.probs, call.label, call.dlogits, call.c
    for i in range(first, last):
        for j in range(i * c, (i + 1) * c):
            dlogits[j] = dloss[i] * probs[j]
        at = i * c + label[i]
        dlogits[at] = dloss[i] * (probs[at] - 1.0)


@step("m", "c")
def softmax_xent_onehot_forward(call, first, last):
    logits, target, loss, probs, c = call.logits, call.target, call.loss, call.probs, call.c
    subtract_max(logits, probs, first, last, c)
    for i in range(first, last):
        loss[i] = row_dot(target, probs, i * c, c)
    exponentials(probs, first * c, last * c)
    for i in range(first, last):
        loss[i] = vmath.log(row_sum(probs, i * c, c)) * row_sum(target, i * c, c) - loss[i]
    divide_by_sums(probs, first, last, c)


@step("m", "c")
def softmax_xent_onehot_backward(call, first, last):
    dloss, probs, target, dlogits, c = call.dloss, call.probs, call.target, call.dlogits, call.c
    for i in range(first, last):
        total = row_sum(target, i * c, c)
        for j in range(i * c, (i + 1) * c):
            dlogits[j] = dloss[i] * (probs[j] * total - target[j])


_log_loss, _log_loss_derivative, _sign_of = of_reals(_xent), of_reals(_xent_derivative), of_reals(_sign)


@step("m", "c", scratch=lambda e: e["m"] * e["c"])
def xent_forward(call, first, last):
    probs, target, each, c = call.probs, call.target, as_doubles(call.scratch), call.c
    for i in range(first * c, last * c):
        each[i] = _log_loss(np.float64(probs[i]), target[i])
    for i in range(first, last):
        call.loss[i] = row_sum(each, i * c, c)


@step("m", "c")
def xent_backward(call, first, last):
    dloss, probs, target, dprobs, c = call.dloss, call.probs, call.target, call.dprobs, call.c
    for i in range(first, last):
        for j in range(i * c, (i + 1) * c):
            dprobs[j] = dloss[i] * _log_loss_derivative(np.float64(probs[j]), target[j])


@step("")
def weighted_mean_forward(call, first, last):
    loss, weight, mean, m = call.loss, call.weight, call.mean, call.m
    total = row_sum(loss, 0, m) if is_null(weight) else row_dot(loss, weight, 0, m)
    mean[0] = total / m


@step("m")
def weighted_mean_backward(call, first, last):
    weight, dloss = call.weight, call.dloss
    share = np.float64(call.dmean[0]) / call.m
    for i in range(first, last):
        dloss[i] = share if is_null(weight) else share * weight[i]


@reordered
def _penalty(w, l1, l2, n):
    total = 0.0
    for i in range(n):
        size = abs(np.float64(w[i]))
        total += (l1 + l2 * size) * size
    return total


@step("")
def penalty_forward(call, first, last):
    call.penalty[0] = _penalty(call.w, call.l1, call.l2, call.size)


@step("size")
def penalty_backward(call, first, last):
    w, dw = call.w, call.dw
    one, two = call.dpenalty[0] * call.l1, call.dpenalty[0] * 2.0 * call.l2
    if is_null(call.gradient):
        for i in range(first, last):
            dw[i] = two * w[i] + one * _sign_of(np.float64(w[i]))
    else:
        gradient = call.gradient
        for i in range(first, last):
            dw[i] = gradient[i] + (two * w[i] + one * _sign_of(np.float64(w[i])))


@step("m", "c")
def custom_loss_forward(call, first, last):
    c, each = call.c, on_stack(call.pred, BUFFER)
    for i in range(first, last):
        total = 0.0
        for start in range(i * c, (i + 1) * c, BUFFER):
            n = min(BUFFER, (i + 1) * c - start)
            slope = call.slope if is_null(call.slope) else offset(call.slope, start)
            apply_loss(call.function, offset(call.pred, start), offset(call.target, start), each, slope, n)
            total += row_sum(each, 0, n)
        call.loss[i] = total / c


@step("m", "c")
def custom_loss_backward(call, first, last):
    dloss, slope, dpred, c = call.dloss, call.slope, call.dpred, call.c
    for i in range(first, last):
        factor = dloss[i] / c
        for j in range(i * c, (i + 1) * c):
            dpred[j] = factor * slope[j]
