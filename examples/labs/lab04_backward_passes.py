# %% [markdown]
# # Lab 4: backward passes, sample by sample
#
# For one sample, a column, the layers compute $Z_k = W_{k-1} A_{k-1}$ and $A_k = f_k(Z_k)$, and the error is
# $E = \frac12 |A_L - t|^2$. The backward pass starts from $\delta_L = (A_L - t) \odot f_L'(Z_L)$ and goes down by
# $\delta_k = (W_k^T \delta_{k+1}) \odot f_k'(Z_k)$, where $W_k$ is without its bias column, since no unit feeds the
# bias. The gradients are $\partial E / \partial W_{k-1} = \delta_k A_{k-1}^T$, and each sample's gradient is applied
# before the next sample comes.

# %%
from typing import NamedTuple

import numpy as np

import fastnn
from fastnn import kernels, ops

#: forward(z), and backward(dy, a), which returns dy * f'(z) from the activation's output a
ACTIVATIONS = {
    "Lin": (kernels.linear_forward, kernels.linear_backward),
    "ReLU": (kernels.relu_forward, kernels.relu_backward),
    "USigmoid": (kernels.sigmoid_forward, kernels.sigmoid_backward),
    "BSigmoid": (kernels.bipolar_sigmoid_forward, kernels.bipolar_sigmoid_backward),
    "TanH": (kernels.tanh_forward, kernels.tanh_backward),
}


class Step(NamedTuple):
    """All that one sample's two passes compute; lists have an element for each layer."""

    inputs: list[np.ndarray]  # A_0, A_1, ..., each under a 1 if its layer has a bias
    z: list[np.ndarray]
    output: np.ndarray
    error: float
    delta: list[np.ndarray]
    dw: list[np.ndarray]
    w: list[np.ndarray]  # after the update


def has_bias(w, a):
    """Say whether the layer of weights `w` and input `a` has room for a bias."""
    return w.shape[1] == len(a) + 1


def train_on_sample(x, t, weights, names, rate, activations=ACTIVATIONS):
    """Return the `Step` of a sample, a column."""
    inputs, z, outputs = [], [], [x]
    for w, name in zip(weights, names, strict=True):
        a = outputs[-1]
        inputs.append(np.vstack([[[1.0]], a]) if has_bias(w, a) else a)
        z.append(kernels.matmul(w, inputs[-1]))
        outputs.append(activations[name][0](z[-1]))

    delta, dw = [], []
    gradient = outputs[-1] - t  # of the error by the output of the layer at hand
    for layer in reversed(range(len(weights))):
        w = weights[layer]
        delta.insert(0, activations[names[layer]][1](gradient, outputs[layer + 1]))
        dw.insert(0, kernels.matmul(delta[0], inputs[layer].T))
        w = w[:, 1:] if has_bias(w, outputs[layer]) else w
        gradient = kernels.matmul(w.T, delta[0])

    error = 0.5 * np.sum((outputs[-1] - t) ** 2)
    updated = [w - rate * g for w, g in zip(weights, dw, strict=True)]
    return Step(inputs, z, outputs[-1], float(error), delta, dw, updated)


def train(x, t, weights, names, rate, activations=ACTIVATIONS):
    """Return a `Step` for each sample; samples and targets stand in columns."""
    x, t = np.asarray(x, dtype=float), np.asarray(t, dtype=float)
    weights = [np.asarray(w, dtype=float) for w in weights]
    steps = []
    for sample, target in zip(x.T, t.T, strict=True):
        steps.append(
            train_on_sample(sample[:, None], target[:, None], weights, names, rate, activations)
        )
        weights = steps[-1].w
    return steps


def show(steps):
    for number, step in enumerate(steps, 1):
        print(f"--- sample {number}: E = {step.error:.4g}")
        for k in range(len(step.w)):
            print_array(f"A_{k}", step.inputs[k])
            print_array(f"Z_{k + 1}", step.z[k])
        print_array(f"A_{len(step.w)}", step.output)
        for k in reversed(range(len(step.w))):
            print_array(f"delta_{k + 1}", step.delta[k])
            print_array(f"dW_{k}", step.dw[k])
        for k, w in enumerate(step.w):
            print_array(f"W_{k} updated", w)


def print_array(name, array):
    print(f"{name:12}", np.array2string(array + 0.0, precision=4, prefix=" " * 13))


# %% [markdown]
# ## One sigmoid unit
#
# The same sample three times, target 1. The unit is right from the start, $\sigma(5) = 0.9933$, and learns next to
# nothing.

# %%
SIGMOID_UNIT = {
    "x": [[1, 1, 1], [3, 3, 3]],
    "t": [[1, 1, 1]],
    "weights": [[[1, 1, 1]]],
    "names": ["USigmoid"],
    "rate": 1,
}

if __name__ == "__main__":
    show(train(**SIGMOID_UNIT))

# %% [markdown]
# ## A run that goes the wrong way
#
# In another run of this exercise the targets are 0.5 and 1. There are three samples, and the third, which has no
# target, is never used. Three things are wrong there:
#
# * The outputs are 1.0067 and 1.0065, where the sigmoid of 5 is 0.9933: again $1 + e^{-z}$ was computed. Its
#   "derivative" $A (1 - A)$ is negative, so the first step goes up the error instead of down: the weights grew to
#   1.0034, 1.0034, 1.0103. They must fall, to 0.9967, 0.9967, 0.9902.
# * The error was taken from all targets instead of the sample's own: two numbers, 0.12839 and 0.0000227, where the
#   first sample's error is one number, 0.1217.
# * The derivative of the bipolar sigmoid $f$, not used in this run, is written $\frac12 (1 - f)^2$ where
#   $\frac12 (1 - f^2)$ is meant, and on a page of notes it is $\frac12 (1 + f^2)$. At $z = 1$ these are 0.1447 and
#   0.6068; right is 0.3932.

# %%
TWO_TARGETS = {
    "x": [[1, 1], [3, 3]],
    "t": [[0.5, 1]],
    "weights": [[[1, 1, 1]]],
    "names": ["USigmoid"],
    "rate": 1,
}
MISTAKEN = {"USigmoid": (lambda z: 1 + np.exp(-z), lambda dy, a: dy * a * (1 - a))}


def errors_as_printed(output, targets):
    """Return the error as the lab computed it: one output against the targets of all samples."""
    return 0.5 * (output - np.asarray(targets)) ** 2


if __name__ == "__main__":
    for title, activations in (("as printed", MISTAKEN), ("right", ACTIVATIONS)):
        for number, step in enumerate(train(**TWO_TARGETS, activations=activations), 1):
            values = f"A_1 = {step.output.item():.4f}, E = {step.error:.4g}"
            print(f"{title}, sample {number}: {values}, updated W_0 = {step.w[0].round(4)}")
    slope = kernels.bipolar_sigmoid_backward(1.0, kernels.bipolar_sigmoid_forward(1.0))
    print(f"derivative of the bipolar sigmoid at 1: {slope:.4f}")

# %% [markdown]
# ## Two layers
#
# Two linear hidden units and a rectified output, both layers with a bias. The hidden deltas use $W_1$ as it was in
# the forward pass; both matrices are updated after that. The second sample falls where ReLU is flat, $Z_2 = -8$, and
# changes nothing. A rate of 1 is far too much for such numbers: the third sample throws the weights to -144.

# %%
TWO_LAYERS = {
    "x": [[1, -1, 1], [0, -1, 1]],
    "t": [[0, 0, 1]],
    "weights": [[[1, 0, 1], [-1, -1, 1]], [[0, 1, -1]]],
    "names": ["Lin", "ReLU"],
    "rate": 1,
}

if __name__ == "__main__":
    show(train(**TWO_LAYERS))

# %% [markdown]
# ## The same gradients from the tape
#
# The lab writes the pass of this linear unit once more for a library that has a tape, but still derives the gradient
# by hand. The tape finds it from the forward pass alone, for any number of layers.

# %%
LINEAR_UNIT = {
    "x": [[1, 1, -1], [0, 1, 1]],
    "t": [[1, -1, -1]],
    "weights": [[[1, 0, 1]]],
    "names": ["Lin"],
    "rate": 0.1,
}
OPS = {
    "Lin": lambda z: z,
    "ReLU": ops.relu,
    "USigmoid": ops.sigmoid,
    "BSigmoid": ops.bipolar_sigmoid,
    "TanH": ops.tanh,
}


def tape_gradients(x, t, weights, names):
    """Return the gradients of one sample's error by the weights."""
    weights = [fastnn.Variable(w, dtype="float64") for w in weights]
    with fastnn.GradientTape() as tape:
        a = fastnn.constant(x)
        for w, name in zip(weights, names, strict=True):
            if has_bias(w, a):
                a = ops.concatenate([np.ones((1, 1)), a], axis=0)
            a = OPS[name](ops.matmul(w, a))
        error = 0.5 * ops.sum(ops.square(a - t))
    return [gradient.numpy() for gradient in tape.gradient(error, weights)]


if __name__ == "__main__":
    show(train(**LINEAR_UNIT))
    x, t = np.array([[1.0], [1.0]]), np.array([[-1.0]])
    print(
        "by the tape, for the second sample:", tape_gradients(x, t, [[[1.0, 0.0, 1.0]]], ["Lin"])[0]
    )
