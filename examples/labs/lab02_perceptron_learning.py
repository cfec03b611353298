# %% [markdown]
# # Lab 2: perceptron learning
#
# A perceptron is a threshold unit that learns its weights (Rosenblatt, 1958). It is shown one sample after the other.
# Where its output is right, nothing happens. Where it is 0 and should be 1, the input is added to the weights,
# $w \leftarrow w + \eta x$; where it is 1 and should be 0, it is subtracted. If a line separates the classes, an
# epoch without a mistake comes after finitely many of these updates.
#
# The bias is the weight of an input that is always 1. Whether it is kept apart, $z = w \cdot x + b$, or the input is
# augmented, $z = w \cdot (1, x)$, makes no difference. What differs between the two rules here is which side of the
# line the line itself belongs to: the one with the separate bias fires where $z > 0$, the one with the augmented
# input where $z \ge 0$.

# %%
from typing import NamedTuple

import numpy as np

from fastnn import kernels

#: the four inputs of a gate, a row each
INPUTS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
GATES = {"OR": [0, 1, 1, 1], "AND": [0, 0, 0, 1], "XOR": [0, 1, 1, 0]}


class Row(NamedTuple):
    """What happened with one sample."""

    epoch: int
    x: np.ndarray  # augmented: the first element is 1
    target: int
    z: float
    update: int  # 1 where x was added to the weights, -1 where it was subtracted
    w: np.ndarray  # after the update; the first weight is the bias


def augmented(x):
    """Return the samples `x`, in rows, with a 1 in front of each."""
    return np.hstack([np.ones((len(x), 1)), x])


def output(x, w, fires):
    """Return `z` and 0 or 1 for augmented samples; `fires` is np.greater or np.greater_equal."""
    z = kernels.matmul(x, w[:, None])[:, 0]
    return z, fires(z, 0).astype(int)


def learn(x, targets, w, fires, rate=1.0, max_epochs=1000):
    """Return the table of the training, a `Row` for each sample of each epoch.

    It ends with the first epoch that has no mistake, or with `max_epochs`.
    """
    x, w = augmented(x), np.array(w, dtype=float)
    table = []
    for epoch in range(1, max_epochs + 1):
        mistakes = 0
        for sample, target in zip(x, targets, strict=True):
            (z,), (y,) = output(sample[None], w, fires)
            update = target - int(y)
            w = w + rate * update * sample
            mistakes += abs(update)
            table.append(Row(epoch, sample, target, float(z), update, w))
        if mistakes == 0:
            break
    return table


def print_table(table):
    print("epoch  input (1, x1, x2)  target       z  update   weights (b, w1, w2)")
    for row in table:
        update = {1: "w + x", -1: "w - x", 0: ""}[row.update]
        print(f"{row.epoch:5}  {row.x!s:17}  {row.target:6}  {row.z:6.2f}  {update:7}  {row.w}")


# %% [markdown]
# ## The augmented input
#
# OR, from weights that are all 0. The fourth epoch has no mistake, and the line is $x_1 + x_2 = 1$.
#
# The lab's cell for the targets says 0, 0, 0, 1, which is AND. What it printed below it, and trained with, are the
# targets of OR: the cell was edited after it had run. With the targets that it shows, the same start takes six epochs
# and ends at other weights.


# %%
def learn_augmented(gate, max_epochs=10):
    return learn(INPUTS, GATES[gate], w=[0, 0, 0], fires=np.greater_equal, max_epochs=max_epochs)


if __name__ == "__main__":
    table = learn_augmented("OR")
    print_table(table)
    print(
        "final weights",
        table[-1].w,
        "predictions",
        output(augmented(INPUTS), table[-1].w, np.greater_equal)[1],
    )
    table = learn_augmented("AND")
    print("AND instead: epochs", table[-1].epoch, "final weights", table[-1].w)

# %% [markdown]
# ## The separate bias
#
# The lab drew the first weights at random, without a seed. They can be told nevertheless: with a rate of 1 and inputs
# of 0 and 1 all updates are whole numbers, and a random number from [0, 1) keeps its fraction. So the weights that
# were printed, 0.93321385 and 1.37331598, and the bias, -0.5922852074362165, started as their fractions.

# %%
LEARNED_WEIGHTS = np.array([-0.5922852074362165, 0.93321385, 1.37331598])  # the bias first
FIRST_WEIGHTS = LEARNED_WEIGHTS - np.floor(LEARNED_WEIGHTS)


def learn_with_bias(gate, w, max_epochs=1000):
    return learn(INPUTS, GATES[gate], w, fires=np.greater, max_epochs=max_epochs)


if __name__ == "__main__":
    table = learn_with_bias("OR", FIRST_WEIGHTS)
    print_table(table)
    print(
        "converged after",
        table[-1].epoch,
        "epochs; weights",
        table[-1].w[1:],
        "bias",
        table[-1].w[0],
    )
    print("predictions", output(augmented(INPUTS), table[-1].w, np.greater)[1])

# %% [markdown]
# ## XOR
#
# No line separates the classes of XOR, so every epoch has a mistake, however many there are. The weights go in a
# circle: from the second epoch on, each ends with the same ones.

# %%
if __name__ == "__main__":
    table = learn_augmented("XOR")
    for row in table[3::4]:
        print("epoch", row.epoch, "ends with the weights", row.w)
