"""The book's ``common.layers``: layers with lists ``params`` and ``grads``.

Models collect these lists once, so a gradient is written into the array that is in the list.
"""

import numpy as np

from ... import kernels as _kernels
from ...kernels.functions.linear import NO_ACTIVATION as _NO_ACTIVATION
from ...kernels.table import attempt as _attempt
from ..as_numpy import as_array as _as_array
from ..as_numpy import bias as _bias
from ..as_numpy import promoted as _promoted
from ..as_numpy import require as _require
from ..dlfs.functions import _labels
from ..dlfs.layers import Dropout as _Dropout
from ..dlfs.layers import Sigmoid as _Sigmoid
from ..dlfs.layers import _require_forward
from .functions import cross_entropy_error, sigmoid, softmax

GPU = False  # the book's module passes on its setting; the kernels of these layers compute on the processor

_PRODUCT = "x @ W, and x @ W + b, take x (..., in), W (in, out) and b (out,)"


class MatMul:
    """``x @ W``.

    Attributes
    ----------
    params, grads : list of ndarray
        ``[W]`` and its gradient.
    x : ndarray
        The input.
    """

    def __init__(self, W):
        self.params = [W]
        self.grads = [np.zeros_like(W)]
        self.x = None

    def forward(self, x):
        """Return ``x @ W``; the product is over the last axis of x."""
        self.x = _as_array("x", x)
        return _product(self.x, *self.params)

    def backward(self, dout):
        """Return the gradient by x; write that by W."""
        _require_forward(self, self.x)
        return _product_backward(dout, self.x, self.params, self.grads)


class Affine:
    """``x @ W + b``.

    Attributes
    ----------
    params, grads : list of ndarray
        ``[W, b]`` and their gradients.
    x : ndarray
        The input.
    """

    def __init__(self, W, b):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]
        self.x = None

    def forward(self, x):
        """Return ``x @ W + b``; the product is over the last axis of x."""
        self.x = _as_array("x", x)
        return _product(self.x, *self.params)

    def backward(self, dout):
        """Return the gradient by x; write those by W and b."""
        _require_forward(self, self.x)
        return _product_backward(dout, self.x, self.params, self.grads)


def _product(x, W, *b):
    if not b or b[0] is not None:
        outputs = _attempt("dense_forward", (x, W, b[0] if b else None), _NO_ACTIVATION)
        if outputs is not None:
            return outputs[0]
    (x, W, *b), dtype = _promoted(x=x, W=W, **dict(zip("b", b, strict=False)))
    _require(x.ndim >= 1 and W.ndim == 2 and x.shape[-1] == len(W), _PRODUCT, x=x.shape, W=W.shape)
    b = [_bias("b", each, W.shape[1], _PRODUCT, x=x.shape, W=W.shape) for each in b]
    out = _kernels.dense_forward(x.reshape(-1, len(W)), W, *b)
    return out.astype(dtype, copy=False).reshape(*x.shape[:-1], W.shape[1])


def _product_backward(dout, x, params, grads):
    by_input, by_weight = _attempt("dense_backward_input", (dout, params[0])), (grads[0], grads[1] if len(grads) > 1 else None)
    if by_input is not None and by_input[0].shape == x.shape and _attempt("dense_backward_weight", (x, dout), (), by_weight):
        return by_input[0]
    (dout, x, W), dtype = _promoted(dout=dout, x=x, W=params[0])
    shape = (*x.shape[:-1], W.shape[1])
    _require(dout.shape == shape, f"dout must have the shape of the output, {shape}", dout=dout.shape)
    rows = dout.reshape(-1, W.shape[1])
    for gradient, computed in zip(grads, _kernels.dense_backward_weight(x.reshape(-1, len(W)), rows), strict=False):
        gradient[...] = computed
    return _kernels.dense_backward_input(rows, W).astype(dtype, copy=False).reshape(x.shape)


class Softmax:
    """Softmax over the last axis.

    Attributes
    ----------
    params, grads : list
        Empty.
    out : ndarray
        The output.
    """

    def __init__(self):
        self.params, self.grads = [], []
        self.out = None

    def forward(self, x):
        """Return ``exp(x) / sum(exp(x))``."""
        self.out = softmax(x)
        return self.out

    def backward(self, dout):
        """Return the gradient by x."""
        _require_forward(self, self.out)
        (dout, out), dtype = _promoted(dout=dout, out=self.out)
        return _kernels.softmax_backward(dout, out).astype(dtype, copy=False)


class SoftmaxWithLoss:
    """Softmax and the mean cross-entropy over the samples.

    Attributes
    ----------
    params, grads : list
        Empty.
    y : ndarray, shape (N, C)
        Probabilities.
    t : ndarray of int, shape (N,)
        Labels; one-hot rows are turned into labels.
    """

    def __init__(self):
        self.params, self.grads = [], []
        self.y = None
        self.t = None

    def forward(self, x, t):
        """Return the loss; `t` is (N,) of integer labels or (N, C) of one-hot rows."""
        self.y = softmax(x)
        self.t = _labels(self.y, t)
        return cross_entropy_error(self.y, self.t)

    def backward(self, dout=1):
        """Return the gradient by x of ``dout * loss``."""
        _require_forward(self, self.y)
        (y,), dtype = _promoted(y=self.y)
        share = np.full(len(y), dout / len(y), dtype=y.dtype)
        return _kernels.softmax_xent_backward(share, y, self.t).astype(dtype, copy=False)


class Sigmoid(_Sigmoid):
    """``1 / (1 + exp(-x))``.

    Attributes
    ----------
    params, grads : list
        Empty.
    out : ndarray
        The output.
    """

    def __init__(self):
        super().__init__()
        self.params, self.grads = [], []


class SigmoidWithLoss:
    """Sigmoid and the mean cross-entropy over the samples, of two classes.

    Attributes
    ----------
    params, grads : list
        Empty.
    loss : float
    y : ndarray, shape (N,)
        Probabilities of class 1.
    t : ndarray
        Labels, 0 or 1.
    """

    def __init__(self):
        self.params, self.grads = [], []
        self.loss = None
        self.y = None
        self.t = None

    def forward(self, x, t):
        """Return the loss."""
        self.y = sigmoid(x)
        self.t = _as_array("t", t)
        _require(
            np.ndim(self.y) >= 1 and self.t.size == self.y.size, "x and t must have N elements each", x=self.y.shape, t=self.t.shape
        )
        flat = self.y.reshape(-1, 1)
        self.loss = cross_entropy_error(np.concatenate([1 - flat, flat], axis=1), self.t.reshape(-1))
        return self.loss

    def backward(self, dout=1):
        """Return the gradient by x of ``dout * loss``, ``(y - t) * dout / N``."""
        _require_forward(self, self.y)
        (y, t), dtype = _promoted(y=self.y, t=self.t)
        dx = y.copy()
        _kernels.accumulate(t.reshape(y.shape), dx, -1.0)
        return _kernels.rescale(dx, dout / len(y)).astype(dtype, copy=False)


class Dropout(_Dropout):
    """Sets a share of the elements to zero in training, and multiplies by the share that would stay otherwise.

    Attributes
    ----------
    params, grads : list
        Empty.
    mask : ndarray of bool
        What was kept: where ``np.random.rand(*x.shape) > dropout_ratio``.
    """

    def __init__(self, dropout_ratio=0.5):
        super().__init__(dropout_ratio)
        self.params, self.grads = [], []


class Embedding:
    """Rows of W, by their numbers.

    Attributes
    ----------
    params, grads : list of ndarray
        ``[W]`` and its gradient.
    idx : ndarray of int
        The input.
    """

    def __init__(self, W):
        self.params = [W]
        self.grads = [np.zeros_like(W)]
        self.idx = None

    def forward(self, idx):
        """Return ``W[idx]``."""
        self.idx = _as_array("idx", idx)
        _require(self.idx.dtype.kind in "iu", "idx must be integers, the numbers of rows of W", idx=f"of dtype {self.idx.dtype}")
        return self.params[0][self.idx]

    def backward(self, dout):
        """Write the gradient by W: rows that were taken several times get the sum. Returns None."""
        _require_forward(self, self.idx)
        (gradient,) = self.grads
        gradient[...] = 0
        np.add.at(gradient, self.idx, dout)  # no kernel scatters
