"""Random changes of images: what is drawn for each image, and what it does to the image."""

from .op import SUM_TOLERANCE, Array, Op, floats, ints, reals

#: names of fill modes and interpolations -> the numbers that kernels take
FILL_MODES = {"constant": 0, "nearest": 1, "reflect": 2, "wrap": 3}
INTERPOLATIONS = {"nearest": 0, "bilinear": 1}

OPS = (
    Op(
        "random_uniform",
        "value[i, j] = low[j] + (high[j] - low[j]) * word / 2**32 with random word i * k + j of the state; state[1] += 1",
        inputs=(Array("low", "k", "float64"), Array("high", "k", "float64")),
        outputs=(Array("value", "n k", "float64", "out"), Array("state", "2", "uint64", "inout")),
        source="state and random words as in dropout_forward",
    ),
    Op(
        "affine_warp",
        "y[n, i, j] = x[n] at (row, column), where x[n] goes on beyond its edges by fill_mode",
        inputs=(*reals(("x", "n ih iw c")), Array("motion", "n 7", "float64")),
        params=(*ints("same_zoom", "fill_mode", "interpolation", low=0), *floats("fill_value")),
        outputs=reals(("y", "n oh ow c"), role="out"),
        source=(
            "motion[n] is (zoom_h, zoom_w, angle, shift_h, shift_w, flip_h, flip_w); same_zoom (0 or 1): zoom_w is not read, it is "
            "zoom_h. With u = (i - (oh - 1) / 2) * zoom_h, negated if flip_h < 0, and v = (j - (ow - 1) / 2) * zoom_w, negated if "
            "flip_w < 0: row = (ih - 1) / 2 + u * cos(angle) + v * sin(angle) - shift_h, "
            "column = (iw - 1) / 2 + v * cos(angle) - u * sin(angle) - shift_w, in float64. "
            "interpolation 0: the pixel at floor(row + 0.5), floor(column + 0.5); 1: bilinear between the four around. "
            "A pixel outside is, by fill_mode, 0: fill_value; 1: the nearest one inside; 2: mirrored at the edge (b a | a b); "
            "3: from the other side (a b | a b). Formulas and modes are those of Keras."
        ),
    ),
    Op(
        "contrast_brightness",
        "y = min(max((x - mean) * factor + mean + shift, low), high) with change[n] = (factor, shift) and the mean of each channel",
        inputs=(*reals(("x", "n ih iw c")), Array("change", "n 2", "float64")),
        params=floats("low", "high"),
        outputs=reals(("y", "n ih iw c"), role="out"),
        tolerance=SUM_TOLERANCE,
    ),
)
