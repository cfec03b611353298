"""Networks with an activation and an optimizer of one's own, as fast as with built-in ones.

pip install '.[numba]' && python examples/custom_functions.py
"""

import math
import time

import fastnn
from fastnn import layers


@fastnn.activation
def mish(x):
    """x * tanh(softplus(x)) of Misra 2019."""
    return x * math.tanh(math.log1p(math.exp(x)))


@fastnn.activation
def snake(x, frequency=1.0):
    """x + sin(frequency * x)**2 / frequency of Ziyin, Hartwig and Ueda 2020, with a derivative written by hand."""
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


def main() -> None:
    (x_train, y_train), (x_test, y_test) = fastnn.datasets.load_mnist()
    for activation, optimizer in (("silu", "adam"), ("mish", "adam"), ("snake", "adam"), ("mish", "lion")):
        fastnn.set_seed(0)
        model = fastnn.Sequential(
            [
                *(layers.Input((28, 28, 1)), layers.Rescaling(1 / 255), layers.Flatten()),
                *(layers.Dense(128, activation=activation), layers.Dense(64, activation=activation)),
                layers.Dense(10, activation="softmax"),
            ]
        )
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
        start = time.perf_counter()
        model.fit(x_train, y_train, batch_size=128, epochs=2, verbose=0)
        seconds = time.perf_counter() - start
        _, accuracy = model.evaluate(x_test, y_test, verbose=0)
        print(f"{activation:5} {optimizer:4} {accuracy:.2%} of the test images right after {seconds:.1f} s of training")


if __name__ == "__main__":
    main()
