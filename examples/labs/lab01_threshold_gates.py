# %% [markdown]
# # Lab 1: gates from threshold units
#
# A threshold unit (McCulloch and Pitts, 1943) adds up its weighted inputs, $z = w \cdot x$, and fires where
# $z \ge \theta$. Its inputs and outputs are coded as 0 and 1 (binary) or as -1 and 1 (bipolar). The line
# $w \cdot x = \theta$ splits the plane: one unit computes what one line can separate.

# %%
import numpy as np

from fastnn import kernels

#: the four inputs, one in each column
BINARY = np.array([[0, 0, 1, 1], [0, 1, 0, 1]])
BIPOLAR = 2 * BINARY - 1


def threshold_unit(x, w, theta, low=0):
    """Return 1 where ``w @ x >= theta``, else `low`, for inputs in the columns of `x`."""
    z = kernels.matmul([w], x)[0]
    return np.where(z >= theta, 1, low)


# %% [markdown]
# ## OR and AND
#
# With both weights 1, $z$ counts the inputs that are on. OR asks for one of them, AND for two. In bipolar coding $z$
# is -2, 0 or 2, and the thresholds move to 0 and 1.


# %%
def or_gate(x):
    return threshold_unit(x, w=[1, 1], theta=1)


def and_gate(x):
    return threshold_unit(x, w=[1, 1], theta=2)


def bipolar_or_gate(x):
    return threshold_unit(x, w=[1, 1], theta=0, low=-1)


def bipolar_and_gate(x):
    return threshold_unit(x, w=[1, 1], theta=1, low=-1)


if __name__ == "__main__":
    print("OR  ", or_gate(BINARY))
    print("AND ", and_gate(BINARY))
    print("OR  ", bipolar_or_gate(BIPOLAR), "(bipolar)")
    print("AND ", bipolar_and_gate(BIPOLAR), "(bipolar)")

# %% [markdown]
# One of the lab's truth tables, that of the bipolar OR, has the output 1 in its first row, for the inputs (-1, -1).
# That would be a gate that is always on. The right output is -1, and the unit gives it.

# %% [markdown]
# ## XOR
#
# No single unit computes XOR. It would need $\theta > 0$ (off for 0, 0), $w_1 \ge \theta$ and $w_2 \ge \theta$ (on
# for one input), hence $w_1 + w_2 \ge 2\theta > \theta$: on for 1, 1 too. Two units in front of an OR do it: "the
# first but not the second" and "the second but not the first".


# %%
def xor_gate(x):
    """Return XOR of the rows of `x`, with the outputs of the two hidden units."""
    first_only = threshold_unit(x, w=[1, -1], theta=1)
    second_only = threshold_unit(x, w=[-1, 1], theta=1)
    return or_gate(np.array([first_only, second_only])), first_only, second_only


if __name__ == "__main__":
    xor, first_only, second_only = xor_gate(BINARY)
    print("x1 and not x2", first_only)
    print("x2 and not x1", second_only)
    print("XOR          ", xor)
