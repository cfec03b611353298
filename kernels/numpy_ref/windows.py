"""Where the windows of a convolution or a pooling meet the image."""


def taps(image, output, window, stride, pad, dilation=(1, 1)):
    """Yield, in row-major order, each element of the window with the outputs at which it lies inside the image.

    Parameters
    ----------
    image, output, window, stride, pad, dilation : pair of int
        Rows and columns of the image, of the output and of the window; step of the window; padding at the top and left; step
        between the elements of the window.

    Yields
    ------
    i, j : int
        Row and column in the window.
    at_output, at_image : tuple of slice
        Index of (N, H, W, ...) arrays: the outputs for which the element lies inside the image, and the pixels that it meets there.
    """
    for i in range(window[0]):
        out_rows, rows = _inside(image[0], output[0], stride[0], i * dilation[0] - pad[0])
        for j in range(window[1]):
            out_columns, columns = _inside(image[1], output[1], stride[1], j * dilation[1] - pad[1])
            yield i, j, (slice(None), out_rows, out_columns), (slice(None), rows, columns)


def _inside(image, output, stride, shift):
    """Return the slice of all `o` with ``0 <= o * stride + shift < image``, and the slice of these ``o * stride + shift``."""
    first = max(0, -(shift // stride))
    count = max(0, min(output, (image - 1 - shift) // stride + 1) - first)
    start = first * stride + shift
    return slice(first, first + count), slice(start, start + count * stride, stride)
