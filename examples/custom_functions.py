# %% [markdown]
# # Functions of your own in a training
#
# Activations and the rule of an optimizer, in plain Python for one number. Numba compiles them and their derivatives
# (`pip install 'fastnn-kernels[numba]'`), so training with them is as fast as with the built-in ones. The first use of each takes
# some seconds, in which it is compiled and compared with central differences.

# %%
import math

import fastnn
from fastnn import layers


@fastnn.activation
def mish(x):
    """x * tanh(softplus(x)) of Misra 2019."""
    return x * math.tanh(math.log1p(math.exp(x)))


@fastnn.activation
def snake(x, frequency=1.0):
    """x + sin(frequency * x)**2 / frequency of Ziyin, Hartwig and Ueda 2020."""
    return x + math.sin(frequency * x) ** 2 / frequency


@snake.derivative
def snake_slope(x, frequency=1.0):
    return 1 + math.sin(2 * frequency * x)


@fastnn.optimizer_step
def lion(w, g, m, lr=3e-4, beta=0.9, beta_2=0.99):
    """The rule of Chen et al. 2023: m is kept for each parameter and starts at 0."""
    update = beta * m + (1 - beta) * g
    sign = 1.0 if update > 0 else -1.0 if update < 0 else 0.0
    return w - lr * sign, beta_2 * m + (1 - beta_2) * g


# %% [markdown]
# ## The same network with each
#
# `silu` and `adam` are built in.

# %%
(x_train, y_train), (x_test, y_test) = fastnn.datasets.load_mnist()

for activation, optimizer in (
    ("silu", "adam"),
    ("mish", "adam"),
    ("snake", "adam"),
    ("mish", "lion"),
):
    fastnn.set_seed(0)
    model = fastnn.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Rescaling(1 / 255),
            layers.Flatten(),
            layers.Dense(128, activation=activation),
            layers.Dense(64, activation=activation),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x_train, y_train, batch_size=128, epochs=1, verbose=0)
    _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    print(f"{activation:5} {optimizer:4} {accuracy:.2%} of the test images right after one epoch")
