# %% [markdown]
# # Lab 5: gates by gradient descent
#
# The same gates once more, now from sigmoid units that learn by descending the error
# $E = \frac12 \sum (\hat y - y)^2$ over all four inputs and all outputs. A unit's output $\hat y = \sigma(z)$ has the
# slope $\hat y (1 - \hat y)$, so the gradient by its weights is the sum of $(\hat y - y) \hat y (1 - \hat y) x$, and
# a hidden unit gets the errors of the units it feeds, times its weights to them.
#
# `fit` takes the mean of the squares, over n samples and k outputs, where the lab has half their sum. That is a
# factor of nk/2, which goes into the rate.

# %%
import numpy as np

import fastnn
from fastnn import layers, ops

INPUTS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
TARGETS = {
    "AND": np.array([[0.0], [0.0], [0.0], [1.0]]),
    "OR": np.array([[0.0], [1.0], [1.0], [1.0]]),
    "XOR": np.array([[0.0], [1.0], [1.0], [0.0]]),
    "half adder": np.array([[0.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]),  # carry, sum
}


def first_weights():
    """Return the lab's random weights, drawn in its order after ``np.random.seed(42)``."""
    rand = np.random.RandomState(42).rand
    drawn = {"AND": [rand(2, 1), rand(1)], "OR": [rand(2, 1), rand(1)]}
    for name, outputs in (("XOR, first draw", 1), ("XOR", 1), ("half adder", 2)):
        w1, w2, b1, b2 = rand(2, 2), rand(2, outputs), rand(2), rand(outputs)
        drawn[name] = [w1, b1, w2, b2]
    return drawn


def network(weights):
    """Return a network of sigmoid units with the given kernels and biases."""
    model = fastnn.Sequential([layers.Input((2,), dtype="float64")])
    for kernel in weights[::2]:
        model.add(layers.Dense(kernel.shape[1], activation="sigmoid", dtype="float64"))
    model.set_weights(weights)
    return model


def error(model, targets):
    return 0.5 * np.sum((model.predict(INPUTS) - targets) ** 2)


def forward(model):
    """Return z and the output of each layer, a row for each input."""
    a, passed = INPUTS, []
    for layer in model.layers:
        z = a @ layer.kernel.numpy() + layer.bias.numpy()
        a = layer(a).numpy()
        passed.append((z, a))
    return passed


def gradients(model, targets):
    """Return the gradients of the error by the weights."""
    with fastnn.GradientTape() as tape:
        e = 0.5 * ops.sum(ops.square(model(INPUTS) - targets))
    return [gradient.numpy() for gradient in tape.gradient(e, model.trainable_weights)]


def choose_rate(model, targets, rate):
    model.compile(optimizer=fastnn.optimizers.SGD(rate * targets.size / 2), loss="mse")


def descend(model, targets, steps, rate=1.0):
    """Train on all four inputs at once; one epoch runs all the steps, on four rows each."""
    choose_rate(model, targets, rate)
    model.fit(
        np.tile(INPUTS, (steps, 1)),
        np.tile(targets, (steps, 1)),
        batch_size=4,
        shuffle=False,
        verbose=0,
    )


def descend_and_watch(model, targets, steps, rate=1.0):
    """Train as `descend` does, and return the outputs after each step."""
    choose_rate(model, targets, rate)
    outputs = []
    for _ in range(steps):
        model.train_on_batch(INPUTS, targets)
        outputs.append(model.predict(INPUTS))
    return np.array(outputs)


# %% [markdown]
# ## 10,000 steps
#
# AND and OR are one unit each, XOR and the half adder have two hidden units (2-2-1 and 2-2-2). The lab drew weights
# for XOR twice, and the first draw shows why: it ends in a local minimum, where two of the four inputs get an output
# of one half.


# %%
def trained(name, steps=10_000):
    """Return a gate's network after the training, from the lab's first weights."""
    model = network(first_weights()[name])
    descend(model, TARGETS[name.split(",")[0]], steps)
    return model


if __name__ == "__main__":
    for name in first_weights():
        targets = TARGETS[name.split(",")[0]]
        model = trained(name)
        outputs = model.predict(INPUTS)
        bits = outputs.round().astype(int)
        print(f"{name}: error {error(model, targets):.6f}, right: {np.array_equal(bits, targets)}")
        for x, output in zip(INPUTS.astype(int), outputs, strict=True):
            print("   ", *x, "->", *output.round(4))

# %% [markdown]
# ## Before the first step
#
# What the lab printed of the start: $z$ and the output of each layer, the error, and its gradients by weights and
# biases.

# %%
if __name__ == "__main__":
    for name, weights in first_weights().items():
        targets = TARGETS[name.split(",")[0]]
        model = network(weights)
        print(f"{name}: error {error(model, targets)}")
        for number, (z, output) in enumerate(forward(model), 1):
            print(f"    z of layer {number}     ", z.round(8).tolist())
            print(f"    output of layer {number}", output.round(8).tolist())
        for gradient in gradients(model, targets):
            print("    gradient         ", gradient.tolist())

# %% [markdown]
# ## The printed errors
#
# A training cell that is run again goes on where it was. The errors that the lab printed for AND are not of its first
# steps: they are what follows after 20,000 steps at a rate of 0.1 and 110,000 at 1. Those for OR follow after 1,000
# steps at 0.1 and 17,000 at 1, those for XOR after 10,000 at 1. Only the half adder was trained once.

# %%
STEPS_BEFORE = {
    "AND": [(20_000, 0.1), (110_000, 1.0)],
    "OR": [(1_000, 0.1), (17_000, 1.0)],
    "XOR": [(10_000, 1.0)],
    "half adder": [],
}


def printed_steps(name, count):
    """Return the network and its outputs after the first `count` steps whose errors are printed."""
    model = network(first_weights()[name])
    for steps, rate in STEPS_BEFORE[name]:
        descend(model, TARGETS[name], steps, rate)
    return model, descend_and_watch(model, TARGETS[name], count)


def errors(outputs, targets):
    return 0.5 * np.sum((outputs - targets) ** 2, axis=(1, 2))


if __name__ == "__main__":
    for name in ("AND", "OR", "XOR"):
        model, outputs = printed_steps(name, 10)
        print(name, *errors(outputs, TARGETS[name]), sep="\n    ")
        if name == "AND":
            print("    outputs after them", outputs[-1].ravel().tolist())

# %% [markdown]
# ## The half adder's error
#
# The lab's loss function ends in `loss[0]`. That is right for one output; for the half adder it is the error of the
# carry alone. It printed 1.1081 for the start, where the error of both outputs is 1.7099, and 0.9060 after the first
# step instead of 1.4503. The training is not affected: its gradients are those of both.

# %%
if __name__ == "__main__":
    model, outputs = printed_steps("half adder", 10)
    carry = errors(outputs[..., :1], TARGETS["half adder"][:, :1])
    both = errors(outputs, TARGETS["half adder"])
    for step, values in enumerate(zip(carry, both, strict=True), 1):
        print(f"step {step}: carry {values[0]:.16f}  both {values[1]:.16f}")
