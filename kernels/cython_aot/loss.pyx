"""Losses of each sample and their gradients."""

from cython.parallel cimport prange
from libc.stdint cimport int32_t

from activate cimport relu, sigmoid
from call cimport real
from custom cimport Applied, applied, apply_loss
from parallel cimport CHUNK, chunk_length, chunk_start, chunks, team
from softmax cimport BLOCK_ROWS, block_rows, divide_by_sum, exponentials, subtract_max
from sums cimport LANES, joined, row_dot, row_sum
from vmath cimport vabs, vexp, vlog1p, vm_exp_f64, vm_log_f64

cdef enum:
    MSE, MAE, HUBER, HINGE, PERCEPTRON, SIGMOID_XENT, HALF_POISSON, BINARY_XENT, XENT

cdef enum:
    BUFFER = 1024  # elements of a loss computed before they are summed
    PARTS = 16  # pieces of a sum over everything

cdef extern from *:
    """
    #define PROBABILITY_EPSILON 1e-7
    """
    const double PROBABILITY_EPSILON  # probabilities are kept this far from 0 and 1 before their logarithm is taken


# The formulas: n elements of a loss, and of its derivative by the prediction. Comparisons keep NaN.

cdef void _elements(Py_ssize_t code, const real *p, const real *t, real delta, real *out, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef real one = 1, half = <real>0.5, d, q
    cdef double clipped, wide, log_target
    if code == MSE:
        for i in range(n):
            d = p[i] - t[i]
            out[i] = d * d
    elif code == MAE:
        for i in range(n):
            out[i] = vabs(p[i] - t[i])
    elif code == HUBER:
        for i in range(n):
            d = vabs(p[i] - t[i])
            q = delta if d > delta else d
            out[i] = q * (d - half * q)  # both branches of the definition in one
    elif code == HINGE:
        for i in range(n):
            out[i] = relu(one - t[i] * p[i])
    elif code == PERCEPTRON:
        for i in range(n):
            out[i] = relu(-t[i] * p[i])
    elif code == SIGMOID_XENT:
        for i in range(n):
            out[i] = (relu(p[i]) - p[i] * t[i]) + vlog1p(vexp(-vabs(p[i])))
    elif code == HALF_POISSON:
        # in double: what is left of a large mean and a large target is small
        for i in range(n):
            wide = p[i]
            log_target = vm_log_f64(t[i] if t[i] > 0 else 1.0)
            out[i] = <real>(vm_exp_f64(wide) - t[i] + t[i] * (log_target - wide))
    elif code == BINARY_XENT:
        # in double: 1 - 1e-7 is no float, and log(1 - q) would see it
        for i in range(n):
            clipped = _clip_probability(p[i])
            out[i] = <real>(-t[i] * vm_log_f64(clipped) - (1 - <double>t[i]) * vm_log_f64(1 - clipped))
    elif code == XENT:
        for i in range(n):
            out[i] = <real>(-t[i] * vm_log_f64(_clip_probability(p[i])))
    else:  # of the user's
        apply_loss(<const Applied *>code, p, t, out, n)


cdef void _derivatives(Py_ssize_t code, const real *p, const real *t, real delta, real *out, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef real zero = 0, one = 1, two = 2, d, q
    cdef real low = <real>PROBABILITY_EPSILON, high = <real>(1 - PROBABILITY_EPSILON)
    if code == MSE:
        for i in range(n):
            out[i] = two * (p[i] - t[i])
    elif code == MAE:
        for i in range(n):
            d = p[i] - t[i]
            out[i] = one if d > 0 else (-one if d < 0 else d)
    elif code == HUBER:
        for i in range(n):
            d = p[i] - t[i]
            d = delta if d > delta else d
            out[i] = -delta if d < -delta else d
    elif code == HINGE:
        for i in range(n):
            out[i] = -t[i] if t[i] * p[i] < one else zero
    elif code == PERCEPTRON:
        for i in range(n):
            out[i] = -t[i] if t[i] * p[i] <= zero else zero
    elif code == SIGMOID_XENT:
        for i in range(n):
            out[i] = sigmoid(p[i]) - t[i]
    elif code == HALF_POISSON:
        for i in range(n):
            out[i] = vexp(p[i]) - t[i]
    elif code == BINARY_XENT:
        for i in range(n):
            q = (p[i] - t[i]) / (p[i] * (one - p[i]))
            q = zero if p[i] < low else q
            out[i] = zero if p[i] > high else q
    elif code == XENT:
        for i in range(n):
            q = -t[i] / p[i]
            q = zero if p[i] < low else q
            out[i] = zero if p[i] > high else q


cdef inline double _clip_probability(double q) noexcept nogil:
    q = PROBABILITY_EPSILON if q < PROBABILITY_EPSILON else q
    return 1 - PROBABILITY_EPSILON if q > 1 - PROBABILITY_EPSILON else q


# Rows of a loss: elements first, over the boundaries of rows, so that short rows fill vectors too; then the sums of each row.

cdef void _forward_rows(Py_ssize_t code, const real *pred, const real *target, real delta, real *loss, Py_ssize_t rows,
                        Py_ssize_t c) noexcept nogil:
    cdef real element[BUFFER]
    cdef Py_ssize_t start = 0, n, i, stop, row = 0
    cdef double total = 0, count = 1 if code == XENT else c
    while start < rows * c:
        n = min(<Py_ssize_t>BUFFER, rows * c - start)
        _elements(code, pred + start, target + start, delta, element, n)
        i = 0
        while i < n:
            stop = min(n, (row + 1) * c - start)
            total += row_sum(<const real *>element + i, stop - i)
            if start + stop == (row + 1) * c:
                loss[row] = <real>(total / count)
                row += 1
                total = 0
            i = stop
        start += n


cdef void _backward_rows(Py_ssize_t code, const real *dloss, const real *pred, const real *target, real delta, real *dpred,
                         Py_ssize_t rows, Py_ssize_t c) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef real factor, count = 1 if code == XENT else c
    _derivatives(code, pred, target, delta, dpred, rows * c)
    for i in range(rows):
        factor = dloss[i] / count
        for j in range(c):
            dpred[i * c + j] *= factor


cdef inline Py_ssize_t chunk_rows(Py_ssize_t c) noexcept nogil:
    return max(1, CHUNK // max(1, c))


cdef void forward(Py_ssize_t code, const real *pred, const real *target, double delta, real *loss, Py_ssize_t m, Py_ssize_t c,
                  int threads) noexcept nogil:
    cdef Py_ssize_t k, rows = chunk_rows(c), pieces = (m + rows - 1) // rows
    if team(m * c, threads) == 1:
        for k in range(pieces):
            _forward_rows(code, pred + k * rows * c, target + k * rows * c, <real>delta, loss + k * rows, min(rows, m - k * rows), c)
    else:
        for k in prange(pieces, num_threads=threads, schedule="static"):
            _forward_rows(code, pred + k * rows * c, target + k * rows * c, <real>delta, loss + k * rows, min(rows, m - k * rows), c)


cdef void backward(Py_ssize_t code, const real *dloss, const real *pred, const real *target, double delta, real *dpred, Py_ssize_t m,
                   Py_ssize_t c, int threads) noexcept nogil:
    cdef Py_ssize_t k, rows = chunk_rows(c), pieces = (m + rows - 1) // rows
    if team(m * c, threads) == 1:
        for k in range(pieces):
            _backward_rows(code, dloss + k * rows, pred + k * rows * c, target + k * rows * c, <real>delta, dpred + k * rows * c,
                           min(rows, m - k * rows), c)
    else:
        for k in prange(pieces, num_threads=threads, schedule="static"):
            _backward_rows(code, dloss + k * rows, pred + k * rows * c, target + k * rows * c, <real>delta, dpred + k * rows * c,
                           min(rows, m - k * rows), c)


cdef void mse_forward(const real *pred, const real *target, real *loss, Py_ssize_t m, Py_ssize_t c, int threads) noexcept nogil:
    forward(MSE, pred, target, 0, loss, m, c, threads)


cdef void mse_backward(const real *dloss, const real *pred, const real *target, real *dpred, Py_ssize_t m, Py_ssize_t c,
                       int threads) noexcept nogil:
    backward(MSE, dloss, pred, target, 0, dpred, m, c, threads)


cdef void mae_forward(const real *pred, const real *target, real *loss, Py_ssize_t m, Py_ssize_t c, int threads) noexcept nogil:
    forward(MAE, pred, target, 0, loss, m, c, threads)


cdef void mae_backward(const real *dloss, const real *pred, const real *target, real *dpred, Py_ssize_t m, Py_ssize_t c,
                       int threads) noexcept nogil:
    backward(MAE, dloss, pred, target, 0, dpred, m, c, threads)


cdef void huber_forward(const real *pred, const real *target, double delta, real *loss, Py_ssize_t m, Py_ssize_t c,
                        int threads) noexcept nogil:
    forward(HUBER, pred, target, delta, loss, m, c, threads)


cdef void huber_backward(const real *dloss, const real *pred, const real *target, double delta, real *dpred, Py_ssize_t m,
                         Py_ssize_t c, int threads) noexcept nogil:
    backward(HUBER, dloss, pred, target, delta, dpred, m, c, threads)


cdef void hinge_forward(const real *pred, const real *target, real *loss, Py_ssize_t m, Py_ssize_t c, int threads) noexcept nogil:
    forward(HINGE, pred, target, 0, loss, m, c, threads)


cdef void hinge_backward(const real *dloss, const real *pred, const real *target, real *dpred, Py_ssize_t m, Py_ssize_t c,
                         int threads) noexcept nogil:
    backward(HINGE, dloss, pred, target, 0, dpred, m, c, threads)


cdef void perceptron_forward(const real *pred, const real *target, real *loss, Py_ssize_t m, Py_ssize_t c,
                             int threads) noexcept nogil:
    forward(PERCEPTRON, pred, target, 0, loss, m, c, threads)


cdef void perceptron_backward(const real *dloss, const real *pred, const real *target, real *dpred, Py_ssize_t m, Py_ssize_t c,
                              int threads) noexcept nogil:
    backward(PERCEPTRON, dloss, pred, target, 0, dpred, m, c, threads)


cdef void sigmoid_xent_forward(const real *pred, const real *target, real *loss, Py_ssize_t m, Py_ssize_t c,
                               int threads) noexcept nogil:
    forward(SIGMOID_XENT, pred, target, 0, loss, m, c, threads)


cdef void sigmoid_xent_backward(const real *dloss, const real *pred, const real *target, real *dpred, Py_ssize_t m, Py_ssize_t c,
                                int threads) noexcept nogil:
    backward(SIGMOID_XENT, dloss, pred, target, 0, dpred, m, c, threads)


cdef void half_poisson_forward(const real *pred, const real *target, real *loss, Py_ssize_t m, Py_ssize_t c,
                               int threads) noexcept nogil:
    forward(HALF_POISSON, pred, target, 0, loss, m, c, threads)


cdef void half_poisson_backward(const real *dloss, const real *pred, const real *target, real *dpred, Py_ssize_t m, Py_ssize_t c,
                                int threads) noexcept nogil:
    backward(HALF_POISSON, dloss, pred, target, 0, dpred, m, c, threads)


cdef void binary_xent_forward(const real *pred, const real *target, real *loss, Py_ssize_t m, Py_ssize_t c,
                              int threads) noexcept nogil:
    forward(BINARY_XENT, pred, target, 0, loss, m, c, threads)


cdef void binary_xent_backward(const real *dloss, const real *pred, const real *target, real *dpred, Py_ssize_t m, Py_ssize_t c,
                               int threads) noexcept nogil:
    backward(BINARY_XENT, dloss, pred, target, 0, dpred, m, c, threads)


cdef void custom_loss_forward(const real *pred, const real *target, Py_ssize_t function, real *loss, real *slope, Py_ssize_t m,
                              Py_ssize_t c, int threads) noexcept nogil:
    cdef Applied custom = applied(function, pred, slope)
    forward(<Py_ssize_t>&custom, pred, target, 0, loss, m, c, threads)


cdef void custom_loss_backward(const real *dloss, const real *slope, real *dpred, Py_ssize_t m, Py_ssize_t c, int threads) noexcept nogil:
    cdef Py_ssize_t k, rows = chunk_rows(c), pieces = (m + rows - 1) // rows
    if team(m * c, threads) == 1:
        _scaled_rows(dloss, slope, dpred, m, c)
    else:
        for k in prange(pieces, num_threads=threads, schedule="static"):
            _scaled_rows(dloss + k * rows, slope + k * rows * c, dpred + k * rows * c, min(rows, m - k * rows), c)


cdef void _scaled_rows(const real *dloss, const real *slope, real *dpred, Py_ssize_t rows, Py_ssize_t c) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef real factor, count = c
    for i in range(rows):
        factor = dloss[i] / count
        for j in range(c):
            dpred[i * c + j] = factor * slope[i * c + j]


cdef void xent_forward(const real *probs, const real *target, real *loss, Py_ssize_t m, Py_ssize_t c, int threads) noexcept nogil:
    forward(XENT, probs, target, 0, loss, m, c, threads)


cdef void xent_backward(const real *dloss, const real *probs, const real *target, real *dprobs, Py_ssize_t m, Py_ssize_t c,
                        int threads) noexcept nogil:
    backward(XENT, dloss, probs, target, 0, dprobs, m, c, threads)


cdef void softmax_xent_forward(const real *logits, const int32_t *label, real *loss, real *probs, Py_ssize_t m, Py_ssize_t c,
                               int threads) noexcept nogil:
    cdef Py_ssize_t k, rows = block_rows(c), blocks = (m + rows - 1) // rows
    if team(m * c, threads) == 1:
        for k in range(blocks):
            _softmax_xent(logits + k * rows * c, label + k * rows, loss + k * rows, probs + k * rows * c, min(rows, m - k * rows), c)
    else:
        for k in prange(blocks, num_threads=threads, schedule="static"):
            _softmax_xent(logits + k * rows * c, label + k * rows, loss + k * rows, probs + k * rows * c, min(rows, m - k * rows), c)


cdef void _softmax_xent(const real *logits, const int32_t *label, real *loss, real *probs, Py_ssize_t rows, Py_ssize_t c) noexcept nogil:
    cdef double total[BLOCK_ROWS]
    cdef Py_ssize_t i
    subtract_max(logits, probs, rows, c)
    for i in range(rows):
        loss[i] = probs[i * c + label[i]]
    exponentials(probs, rows * c)
    divide_by_sum(probs, rows, c, total)
    for i in range(rows):
        loss[i] = <real>(vm_log_f64(total[i]) - loss[i])


cdef void softmax_xent_backward(const real *dloss, const real *probs, const int32_t *label, real *dlogits, Py_ssize_t m, Py_ssize_t c,
                                int threads) noexcept nogil:
    cdef Py_ssize_t i
    if team(m * c, threads) == 1:
        for i in range(m):
            _softmax_xent_backward(dloss[i], probs + i * c, label[i], dlogits + i * c, c)
    else:
        for i in prange(m, num_threads=threads, schedule="static"):
            _softmax_xent_backward(dloss[i], probs + i * c, label[i], dlogits + i * c, c)


cdef inline void _softmax_xent_backward(real dloss, const real *probs, Py_ssize_t label, real *dlogits, Py_ssize_t c) noexcept nogil:
    cdef Py_ssize_t j
    cdef real one = 1, at_label = dloss * (probs[label] - one)
    for j in range(c):
        dlogits[j] = dloss * probs[j]
    dlogits[label] = at_label


cdef void softmax_xent_onehot_forward(const real *logits, const real *target, real *loss, real *probs, Py_ssize_t m, Py_ssize_t c,
                                      int threads) noexcept nogil:
    cdef Py_ssize_t k, rows = block_rows(c), blocks = (m + rows - 1) // rows
    if team(m * c, threads) == 1:
        for k in range(blocks):
            _softmax_xent_onehot(logits + k * rows * c, target + k * rows * c, loss + k * rows, probs + k * rows * c,
                                 min(rows, m - k * rows), c)
    else:
        for k in prange(blocks, num_threads=threads, schedule="static"):
            _softmax_xent_onehot(logits + k * rows * c, target + k * rows * c, loss + k * rows, probs + k * rows * c,
                                 min(rows, m - k * rows), c)


cdef void _softmax_xent_onehot(const real *logits, const real *target, real *loss, real *probs, Py_ssize_t rows,
                               Py_ssize_t c) noexcept nogil:
    cdef double total[BLOCK_ROWS]
    cdef double expected[BLOCK_ROWS]
    cdef Py_ssize_t i
    subtract_max(logits, probs, rows, c)
    for i in range(rows):
        expected[i] = row_dot(target + i * c, <const real *>probs + i * c, c)
    exponentials(probs, rows * c)
    divide_by_sum(probs, rows, c, total)
    for i in range(rows):
        loss[i] = <real>(vm_log_f64(total[i]) * row_sum(target + i * c, c) - expected[i])


cdef void softmax_xent_onehot_backward(const real *dloss, const real *probs, const real *target, real *dlogits, Py_ssize_t m,
                                       Py_ssize_t c, int threads) noexcept nogil:
    cdef Py_ssize_t i
    if team(m * c, threads) == 1:
        for i in range(m):
            _softmax_xent_onehot_backward(dloss[i], probs + i * c, target + i * c, dlogits + i * c, c)
    else:
        for i in prange(m, num_threads=threads, schedule="static"):
            _softmax_xent_onehot_backward(dloss[i], probs + i * c, target + i * c, dlogits + i * c, c)


cdef inline void _softmax_xent_onehot_backward(real dloss, const real *probs, const real *target, real *dlogits,
                                               Py_ssize_t c) noexcept nogil:
    cdef Py_ssize_t j
    cdef real total = <real>row_sum(target, c)
    for j in range(c):
        dlogits[j] = dloss * (probs[j] * total - target[j])


cdef void weighted_mean_forward(const real *loss, const real *weight, real *mean, Py_ssize_t m, int threads) noexcept nogil:
    cdef double total = row_sum(loss, m) if weight == NULL else row_dot(loss, weight, m)
    mean[0] = <real>(total / m)


cdef void weighted_mean_backward(const real *dmean, const real *weight, real *dloss, Py_ssize_t m, int threads) noexcept nogil:
    cdef Py_ssize_t i
    cdef real share = dmean[0] / m
    for i in range(m):
        dloss[i] = share
    if weight != NULL:
        for i in range(m):
            dloss[i] = share * weight[i]


cdef void penalty_forward(const real *w, double l1, double l2, real *penalty, Py_ssize_t size, int threads) noexcept nogil:
    cdef double part[PARTS]
    cdef double total = 0
    cdef Py_ssize_t k, length = (size + PARTS - 1) // PARTS
    if team(size, threads) == 1:
        for k in range(PARTS):
            part[k] = _penalty(w + min(size, k * length), l1, l2, max(0, min(length, size - k * length)))
    else:
        for k in prange(PARTS, num_threads=threads, schedule="static"):
            part[k] = _penalty(w + min(size, k * length), l1, l2, max(0, min(length, size - k * length)))
    for k in range(PARTS):
        total += part[k]
    penalty[0] = <real>total


cdef double _penalty(const real *w, double l1, double l2, Py_ssize_t n) noexcept nogil:
    cdef double lane[LANES]
    cdef double tail = 0
    cdef Py_ssize_t i, k, whole = n - n % LANES
    for k in range(LANES):
        lane[k] = 0
    for i in range(whole // LANES):
        for k in range(LANES):
            lane[k] += (l1 + l2 * vabs(w[i * LANES + k])) * vabs(w[i * LANES + k])
    for i in range(whole, n):
        tail += (l1 + l2 * vabs(w[i])) * vabs(w[i])
    return joined(lane) + tail


cdef void penalty_backward(const real *dpenalty, const real *w, const real *gradient, double l1, double l2, real *dw, Py_ssize_t size,
                           int threads) noexcept nogil:
    cdef Py_ssize_t k, at
    cdef real first = <real>(dpenalty[0] * l1), second = <real>(dpenalty[0] * 2 * l2)
    if team(size, threads) == 1:
        _penalty_backward(w, gradient, first, second, dw, size)
    else:
        for k in prange(chunks(size), num_threads=threads, schedule="static"):
            at = chunk_start(k, size)
            _penalty_backward(w + at, gradient + at if gradient else NULL, first, second, dw + at, chunk_length(k, size))


cdef void _penalty_backward(const real *w, const real *gradient, real first, real second, real *dw, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    if gradient:
        for i in range(n):
            dw[i] = gradient[i] + _penalty_slope(w[i], first, second)
    else:
        for i in range(n):
            dw[i] = _penalty_slope(w[i], first, second)


cdef inline real _penalty_slope(real w, real first, real second) noexcept nogil:
    cdef real zero = 0
    return second * w + (first if w > 0 else (-first if w < 0 else zero))


include "calls_loss.pxi"
