"""Both gradients of a convolution, one after the other."""

from .activation import relu_backward
from .conv import conv2d_backward_input, conv2d_backward_weight
from .precision import in_float64


@in_float64
def conv2d_backward(x, dy, w, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, groups, relu, dx, dw, db):
    window = stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w
    conv2d_backward_input(dy, w, *window, groups, dx)
    conv2d_backward_weight(x, dy, *window, groups, dw, db)
    if relu:
        relu_backward(dx, x, dx)
