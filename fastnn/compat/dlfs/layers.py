"""The book's ``common.layers``: layers with ``forward`` and ``backward``, made of the arrays in the network's ``params``.

A layer holds the arrays that it was given, reads them anew in every pass, and puts its gradients into new arrays (``dW``, ``db``).
"""

import math as _math

import numpy as np

from ... import kernels as _kernels
from ...kernels.functions.linear import NO_ACTIVATION as _NO_ACTIVATION
from ...kernels.table import attempt as _attempt
from ..as_numpy import as_array as _as_array
from ..as_numpy import averaged as _averaged
from ..as_numpy import bias as _bias
from ..as_numpy import dense_gradients as _dense_gradients
from ..as_numpy import promoted as _promoted
from ..as_numpy import require as _require
from ..channels_first import conv2d as _conv2d
from ..channels_first import conv2d_gradients as _conv2d_gradients
from .functions import *  # noqa: F403 (the book's module passes these on)
from .functions import _is_one_hot, _labels, cross_entropy_error, relu, sigmoid, softmax
from .util import _output_size, col2im, im2col  # noqa: F401

_AFFINE = (
    "an affine layer takes x (N, ...), W (in, out) with in the product of the other axes of x, and b (out,), and gives x @ W + b"
)
_BATCHNORM = (
    "batch normalization takes x (N, D) or (N, C, H, W), of at least one sample, and gamma and beta (D,); D is C * H * W for images"
)
_CONVOLUTION = (
    "a convolution takes x (N, C, H, W), W (FN, C, FH, FW) and b (FN,), and gives "
    "(N, FN, 1 + (H + 2 * pad - FH) // stride, 1 + (W + 2 * pad - FW) // stride)"
)
_POOLING = "pooling takes x (N, C, H, W) and gives (N, C, 1 + (H + 2 * pad - pool_h) // stride, and likewise for W)"


class Relu:
    """``max(0, x)``.

    Attributes
    ----------
    mask : ndarray of bool
        Where the input was not positive.
    """

    def __init__(self):
        self.mask = None

    def forward(self, x):
        """Return ``max(0, x)``."""
        x = _as_array("x", x)
        self.mask = x <= 0
        return np.asarray(relu(x))

    def backward(self, dout):
        """Set `dout` itself to 0 where the input was not positive, and return it."""
        _require_forward(self, self.mask)
        if not isinstance(dout, np.ndarray):
            dout = np.array(dout)
        _require(dout.shape == self.mask.shape, "dout must have the shape of x", dout=dout.shape, x=self.mask.shape)
        np.copyto(dout, 0, where=self.mask)
        return dout


class Sigmoid:
    """``1 / (1 + exp(-x))``.

    Attributes
    ----------
    out : ndarray
        The output.
    """

    def __init__(self):
        self.out = None

    def forward(self, x):
        """Return ``1 / (1 + exp(-x))``."""
        self.out = sigmoid(x)
        return self.out

    def backward(self, dout):
        """Return ``dout * (1 - out) * out``."""
        _require_forward(self, self.out)
        outputs = _attempt("sigmoid_backward", (dout, self.out))
        if outputs is not None:
            return outputs[0]
        (dout, out), dtype = _promoted(dout=dout, out=self.out)
        return _kernels.sigmoid_backward(dout, out).astype(dtype, copy=False)


class Affine:
    """``x @ W + b``; images count as rows of numbers.

    Parameters
    ----------
    W : ndarray, shape (in, out)
    b : ndarray, shape (out,)

    Attributes
    ----------
    x : ndarray, shape (N, in)
    original_x_shape : tuple
    dW, db : ndarray
        Gradients, after `backward`.
    """

    def __init__(self, W, b):
        self.W = W
        self.b = b
        self.x = None
        self.original_x_shape = None
        self.dW = None
        self.db = None

    def forward(self, x):
        """Return the output, (N, out)."""
        outputs = None if self.b is None else _attempt("dense_forward", (x, self.W, self.b), _NO_ACTIVATION)
        if outputs is not None:
            self.x, self.original_x_shape = x, x.shape
            return outputs[0]
        x = _as_array("x", x)
        _require(x.ndim >= 1, _AFFINE, x=x.shape, W=np.shape(self.W))
        self.original_x_shape = x.shape
        self.x = x.reshape(len(x), _math.prod(x.shape[1:]))
        (x, W, b), dtype = _promoted(x=self.x, W=self.W, b=self.b)
        _require(W.ndim == 2 and x.shape[1] == len(W), _AFFINE, x=self.original_x_shape, W=W.shape)
        b = _bias("b", b, W.shape[1], _AFFINE, x=self.original_x_shape, W=W.shape)
        return _kernels.dense_forward(x, W, b).astype(dtype, copy=False)

    def backward(self, dout):
        """Return the gradient by x; set `dW` and `db`."""
        _require_forward(self, self.x)
        gradients = _dense_gradients(dout, self.x, self.W)
        if gradients is not None:
            dx, self.dW, self.db = gradients
            return dx.reshape(self.original_x_shape)
        (dout, x, W), dtype = _promoted(dout=dout, x=self.x, W=self.W)
        shape = len(x), W.shape[1]
        _require(dout.shape == shape, f"dout must have the shape of the output, (N, out) = {shape}", dout=dout.shape)
        dW, db = _kernels.dense_backward_weight(x, dout)
        self.dW, self.db = dW.astype(dtype, copy=False), db.astype(dtype, copy=False)
        return _kernels.dense_backward_input(dout, W).astype(dtype, copy=False).reshape(self.original_x_shape)


class SoftmaxWithLoss:
    """Softmax and the mean cross-entropy over the samples.

    Attributes
    ----------
    loss : float
    y : ndarray, shape (N, C)
        Probabilities.
    t : ndarray
        Labels or one-hot rows, as given.
    """

    def __init__(self):
        self.loss = None
        self.y = None
        self.t = None

    def forward(self, x, t):
        """Return the loss; `t` is (N,) or (N, 1) of integer labels, or (N, C) of one-hot rows."""
        self.t = np.asarray(t)
        self.y = softmax(x)
        self.loss = cross_entropy_error(self.y, self.t)
        return self.loss

    def backward(self, dout=1):
        """Return the gradient by x, ``(y - t) / N``; as in the book, `dout` does not count."""
        _require_forward(self, self.y)
        (y,), dtype = _promoted(y=self.y)
        samples = len(self.t)
        if _is_one_hot(self.y, self.t):
            dx = _kernels.rescale(y, 1 / samples)
            _kernels.accumulate(self.t.reshape(y.shape), dx, -1 / samples)
            return dx.astype(np.result_type(dtype, self.t), copy=False)
        share = np.full(len(y), 1 / samples, dtype=y.dtype)
        return _kernels.softmax_xent_backward(share, y, _labels(y, self.t)).astype(dtype, copy=False)


class Dropout:
    """Sets a share of the elements to zero in training, and multiplies by the share that would stay otherwise.

    Parameters
    ----------
    dropout_ratio : float, default 0.5
        The probability to drop an element.

    Attributes
    ----------
    mask : ndarray of bool
        What was kept: where ``np.random.rand(*x.shape) > dropout_ratio``.
    """

    def __init__(self, dropout_ratio=0.5):
        self.dropout_ratio = dropout_ratio
        self.mask = None

    def forward(self, x, train_flg=True):
        """Return ``x * mask``, or ``x * (1 - dropout_ratio)``."""
        x = _as_array("x", x)
        if not train_flg:
            return x * (1.0 - self.dropout_ratio)
        self.mask = np.random.rand(*x.shape) > self.dropout_ratio
        return x * self.mask

    def backward(self, dout):
        """Return ``dout * mask``."""
        _require_forward(self, self.mask)
        return _as_array("dout", dout) * self.mask


class BatchNormalization:
    """Normalizes each element of a sample over the batch; of an image as well, where each pixel of each channel counts by itself.

    Parameters
    ----------
    gamma, beta : ndarray, shape (D,)
        Scale and shift; D is the product of all axes but the first.
    momentum : float, default 0.9
        Weight of the old running average.
    running_mean, running_var : ndarray, shape (D,), optional
        For predictions; zeros at the start.

    Attributes
    ----------
    xc, xn, std : ndarray
        The batch of the last training pass minus its mean, the same divided by `std`, and ``sqrt(var + 1e-6)``.
    batch_size : int
    dgamma, dbeta : ndarray
        Gradients, after `backward`.
    """

    _EPS = 10e-7

    def __init__(self, gamma, beta, momentum=0.9, running_mean=None, running_var=None):
        self.gamma = gamma
        self.beta = beta
        self.momentum = momentum
        self.input_shape = None
        self.running_mean = running_mean
        self.running_var = running_var
        self.batch_size = None
        self.dgamma = None
        self.dbeta = None
        self._batch = None  # rows, mean and variance of the last training pass

    def forward(self, x, train_flg=True):
        """Return the normalized batch, of the shape of `x`."""
        x = _as_array("x", x)
        _require(x.ndim >= 2 and len(x), _BATCHNORM, x=x.shape)
        self.input_shape = x.shape
        (x, gamma, beta), dtype = _promoted(floating=True, x=x, gamma=self.gamma, beta=self.beta)
        x = x.reshape(len(x), -1)
        features = x.shape[1]
        gamma = _bias("gamma", gamma, features, _BATCHNORM, x=self.input_shape)
        beta = _bias("beta", beta, features, _BATCHNORM, x=self.input_shape)
        if self.running_mean is None:
            self.running_mean = np.zeros(features, dtype=np.float64)
            self.running_var = np.zeros(features, dtype=np.float64)
        if not train_flg:
            (x, mean, var), wider = _promoted(x=x, running_mean=self.running_mean, running_var=self.running_var)
            out = _kernels.batchnorm_inference(x, gamma, beta, mean, var, self._EPS)
            return out.astype(np.result_type(dtype, wider), copy=False).reshape(self.input_shape)
        out, mean, var = _kernels.batchnorm_forward(x, gamma, beta, self._EPS)
        self.batch_size = len(x)
        self._batch = x, mean, var
        self.running_mean = _averaged(self.running_mean, mean, self.momentum)
        self.running_var = _averaged(self.running_var, var, self.momentum)
        return out.astype(dtype, copy=False).reshape(self.input_shape)

    def backward(self, dout):
        """Return the gradient by x of the last training pass; set `dgamma` and `dbeta`."""
        _require_forward(self, self._batch)
        x, mean, var = self._batch
        (dout, gamma), dtype = _promoted(floating=True, dout=dout, gamma=self.gamma)
        _require(dout.shape == self.input_shape, "dout must have the shape of x", dout=dout.shape, x=self.input_shape)
        gamma = _bias("gamma", gamma, x.shape[1], _BATCHNORM)
        dx, dgamma, dbeta = _kernels.batchnorm_backward(dout.reshape(x.shape), x, gamma, mean, var, self._EPS)
        dtype = np.result_type(dtype, x)
        self.dgamma, self.dbeta = dgamma.astype(dtype, copy=False), dbeta.astype(dtype, copy=False)
        return dx.astype(dtype, copy=False).reshape(self.input_shape)

    @property
    def xc(self):
        return None if self._batch is None else self._batch[0] - self._batch[1]

    @property
    def std(self):
        return None if self._batch is None else np.sqrt(self._batch[2] + self._EPS)

    @property
    def xn(self):
        return None if self._batch is None else self.xc / self.std


class Convolution:
    """Convolution of images (N, C, H, W), in float64.

    Parameters
    ----------
    W : ndarray, shape (FN, C, FH, FW)
    b : ndarray, shape (FN,)
    stride : int, default 1
    pad : int, default 0

    Attributes
    ----------
    x : ndarray
        The input.
    col, col_W : ndarray
        The patches of the input and the filters as matrices, with ``col @ col_W`` the convolution; made when asked for, since the
        kernels need none.
    dW, db : ndarray
        Gradients, after `backward`.
    """

    def __init__(self, W, b, stride=1, pad=0):
        self.W = W
        self.b = b
        self.stride = stride
        self.pad = pad
        self.x = None
        self.dW = None
        self.db = None

    @property
    def col(self):
        return None if self.x is None else im2col(self.x, *self.W.shape[2:], self.stride, self.pad)

    @property
    def col_W(self):
        return None if self.x is None else self.W.reshape(len(self.W), -1).T

    def forward(self, x):
        """Return the convolution, (N, FN, OH, OW)."""
        (images, W, b), _ = _promoted(x=x, W=self.W, b=self.b)
        self._shape(images, W)
        self.x = _as_array("x", x)
        images, W, b = (a.astype(np.float64, copy=False) for a in (images, W, b))
        return _conv2d(images, W, _bias("b", b, len(W), _CONVOLUTION, x=x.shape, W=W.shape), self.stride, self.pad)

    def backward(self, dout):
        """Return the gradient by x; set `dW` and `db`."""
        _require_forward(self, self.x)
        arrays, dtype = _promoted(dout=dout, x=self.x, W=self.W)
        dout, x, W = (a.astype(np.float64, copy=False) for a in arrays)
        shape = self._shape(x, W)
        _require(dout.shape == shape, f"dout must have the shape of the output, {shape}: {_CONVOLUTION}", dout=dout.shape)
        dx, self.dW, self.db = _conv2d_gradients(dout, x, W, self.stride, self.pad)
        return dx

    def _shape(self, x, W):
        _require(x.ndim == 4 and W.ndim == 4 and x.shape[1] == W.shape[1], _CONVOLUTION, x=x.shape, W=W.shape)
        return (len(x), len(W), *_output_size(x.shape, *W.shape[2:], self.stride, self.pad))


class Pooling:
    """The largest element of each window, in float64. What lies in the padding counts as less than any number.

    Parameters
    ----------
    pool_h, pool_w : int
    stride : int, default 2
    pad : int, default 0

    Attributes
    ----------
    x : ndarray
        The input.
    arg_max : ndarray of int, shape (N * OH * OW * C,)
        The place of the maximum in its window, the first one where several are equal.
    """

    def __init__(self, pool_h, pool_w, stride=2, pad=0):
        self.pool_h = pool_h
        self.pool_w = pool_w
        self.stride = stride
        self.pad = pad
        self.x = None
        self._argmax = None  # the place in the image, row * W + column

    @property
    def arg_max(self):
        if self._argmax is None:
            return None
        row, column = np.divmod(self._argmax, self.x.shape[3])
        out_row, out_column = np.indices(self._argmax.shape[2:])
        in_window = (row - out_row * self.stride + self.pad) * self.pool_w + column - out_column * self.stride + self.pad
        return in_window.transpose(0, 2, 3, 1).reshape(-1).astype(np.int64)

    def forward(self, x):
        """Return the maxima, (N, C, OH, OW)."""
        (images,), _ = _promoted(x=x)
        _require(images.ndim == 4, _POOLING, x=images.shape)
        _output_size(images.shape, self.pool_h, self.pool_w, self.stride, self.pad)
        window = self.pool_h, self.pool_w
        out, self._argmax = _kernels.maxpool2d_forward(images, window, self.stride, self.pad, data_format="channels_first")
        self.x = _as_array("x", x)
        return out.astype(np.float64, copy=False)

    def backward(self, dout):
        """Return the gradient by x: `dout` at the places of the maxima."""
        _require_forward(self, self.x)
        (dout,), _ = _promoted(dout=dout)
        shape = self._argmax.shape
        _require(dout.shape == shape, f"dout must have the shape of the output, {shape}: {_POOLING}", dout=dout.shape)
        dx = _kernels.maxpool2d_backward(dout, self._argmax, self.x.shape, data_format="channels_first")
        return dx.astype(np.float64, copy=False)


def _require_forward(layer, saved):
    if saved is None:
        name = type(layer).__name__
        raise RuntimeError(f"{name}.backward needs what {name}.forward saves; call forward first")
