"""One optimizer step on one parameter array, in place."""

from cython.parallel cimport prange
from libc.math cimport pow, sqrt

from call cimport real
from custom cimport Custom, apply_step
from parallel cimport chunk_length, chunk_start, chunks, team
from vmath cimport vsqrt


cdef void sgd_step(const real *g, const double *lr, real *w, Py_ssize_t size, int threads) noexcept nogil:
    cdef Py_ssize_t k, at
    if team(size, threads) == 1:
        _sgd(g, <real>lr[0], w, size)
    else:
        for k in prange(chunks(size), num_threads=threads, schedule="static"):
            at = chunk_start(k, size)
            _sgd(g + at, <real>lr[0], w + at, chunk_length(k, size))


cdef void _sgd(const real *g, real lr, real *w, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        w[i] -= lr * g[i]


cdef void momentum_step(const real *g, const double *lr, double momentum, real *w, real *v, Py_ssize_t size, int threads) noexcept nogil:
    cdef Py_ssize_t k, at
    if team(size, threads) == 1:
        _momentum(g, <real>lr[0], <real>momentum, w, v, size)
    else:
        for k in prange(chunks(size), num_threads=threads, schedule="static"):
            at = chunk_start(k, size)
            _momentum(g + at, <real>lr[0], <real>momentum, w + at, v + at, chunk_length(k, size))


cdef void _momentum(const real *g, real lr, real momentum, real *w, real *v, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef real velocity
    for i in range(n):
        velocity = momentum * v[i] - lr * g[i]
        v[i] = velocity
        w[i] += velocity


cdef void nesterov_step(const real *g, const double *lr, double momentum, real *w, real *v, Py_ssize_t size, int threads) noexcept nogil:
    cdef Py_ssize_t k, at
    if team(size, threads) == 1:
        _nesterov(g, <real>lr[0], <real>momentum, w, v, size)
    else:
        for k in prange(chunks(size), num_threads=threads, schedule="static"):
            at = chunk_start(k, size)
            _nesterov(g + at, <real>lr[0], <real>momentum, w + at, v + at, chunk_length(k, size))


cdef void _nesterov(const real *g, real lr, real momentum, real *w, real *v, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef real step, velocity
    for i in range(n):
        step = lr * g[i]
        velocity = momentum * v[i] - step
        v[i] = velocity
        w[i] += momentum * velocity - step


cdef void adagrad_step(const real *g, const double *lr, double eps, real *w, real *a, Py_ssize_t size, int threads) noexcept nogil:
    cdef Py_ssize_t k, at
    if team(size, threads) == 1:
        _adagrad(g, <real>lr[0], <real>eps, w, a, size)
    else:
        for k in prange(chunks(size), num_threads=threads, schedule="static"):
            at = chunk_start(k, size)
            _adagrad(g + at, <real>lr[0], <real>eps, w + at, a + at, chunk_length(k, size))


cdef void _adagrad(const real *g, real lr, real eps, real *w, real *a, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef real total
    for i in range(n):
        total = a[i] + g[i] * g[i]
        a[i] = total
        w[i] -= lr * g[i] / vsqrt(total + eps)


cdef void rmsprop_step(const real *g, const double *lr, double rho, double eps, real *w, real *a,
                       Py_ssize_t size, int threads) noexcept nogil:
    cdef Py_ssize_t k, at
    if team(size, threads) == 1:
        _rmsprop(g, <real>lr[0], <real>rho, <real>(1 - rho), <real>eps, w, a, size)
    else:
        for k in prange(chunks(size), num_threads=threads, schedule="static"):
            at = chunk_start(k, size)
            _rmsprop(g + at, <real>lr[0], <real>rho, <real>(1 - rho), <real>eps, w + at, a + at, chunk_length(k, size))


cdef void _rmsprop(const real *g, real lr, real rho, real rest, real eps, real *w, real *a, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef real average
    for i in range(n):
        average = rho * a[i] + rest * (g[i] * g[i])
        a[i] = average
        w[i] -= lr * g[i] / vsqrt(average + eps)


cdef void adam_step(const real *g, const double *lr, const double *step, double beta1, double beta2, double eps, real *w, real *m, real *v,
                    Py_ssize_t size, int threads) noexcept nogil:
    adamw_step(g, lr, step, beta1, beta2, eps, 0, w, m, v, size, threads)


cdef void adamw_step(const real *g, const double *lr, const double *step, double beta1, double beta2, double eps, double weight_decay,
                     real *w, real *m, real *v, Py_ssize_t size, int threads) noexcept nogil:
    cdef Py_ssize_t k, at
    cdef double corrected_lr = lr[0] * sqrt(1 - pow(beta2, step[0])) / (1 - pow(beta1, step[0]))
    cdef double keep = 1 - lr[0] * weight_decay
    if team(size, threads) == 1:
        _adam(g, corrected_lr, beta1, beta2, eps, keep, w, m, v, size)
    else:
        for k in prange(chunks(size), num_threads=threads, schedule="static"):
            at = chunk_start(k, size)
            _adam(g + at, corrected_lr, beta1, beta2, eps, keep, w + at, m + at, v + at, chunk_length(k, size))


cdef void _adam(const real *g, double corrected_lr, double beta1, double beta2, double eps, double keep, real *w, real *m, real *v,
                Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef real lr_ = <real>corrected_lr, beta1_ = <real>beta1, beta2_ = <real>beta2, eps_ = <real>eps, keep_ = <real>keep
    cdef real rest1 = <real>(1 - beta1), rest2 = <real>(1 - beta2), first, second
    for i in range(n):
        first = beta1_ * m[i] + rest1 * g[i]
        second = beta2_ * v[i] + rest2 * (g[i] * g[i])
        m[i] = first
        v[i] = second
        w[i] = keep_ * w[i] - lr_ * first / (vsqrt(second) + eps_)


cdef void custom_step(const real *g, const double *lr, const double *step, const double *params, Py_ssize_t function, real *w, real *s1,
                      real *s2, real *s3, Py_ssize_t size, Py_ssize_t h, int threads) noexcept nogil:
    cdef const Custom *custom = <const Custom *>function
    cdef Py_ssize_t k, at
    if team(size, threads) == 1:
        apply_step(custom, g, lr, step, params, w, s1, s2, s3, 0, size)
    else:
        for k in prange(chunks(size), num_threads=threads, schedule="static"):
            at = chunk_start(k, size)
            apply_step(custom, g, lr, step, params, w, s1, s2, s3, at, chunk_length(k, size))


include "calls_optim.pxi"
