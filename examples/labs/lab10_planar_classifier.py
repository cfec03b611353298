# %% [markdown]
# # Lab 10: a planar classifier on iris
#
# Logistic regression with a hidden layer in front: $a_1 = \tanh(W_1 x + b_1)$ and $\hat y = \sigma(W_2 a_1 + b_2)$ is
# the probability that a flower is not a setosa, told from the length and width of its sepals. The cost is the mean
# cross-entropy over all 150 flowers, $J = -\frac1m \sum y \ln \hat y + (1 - y) \ln(1 - \hat y)$, whose slope before
# the sigmoid is simply $\hat y - y$. All flowers go into every step of gradient descent.

# %%
import numpy as np

import fastnn
from fastnn import layers, losses, optimizers, plotting


def flowers():
    """Return length and width of each flower's sepals, in cm, and 0 for setosa, 1 for the others."""
    x, kind = fastnn.datasets.load_iris()
    return x[:, :2].copy(), (kind != 0).astype(float)[:, None]


def first_weights(hidden):
    """Return the lab's first weights, those of ``np.random.seed(2)``, a column for each unit."""
    randn = np.random.RandomState(2).randn
    w1, w2 = 0.01 * randn(hidden, 2), 0.01 * randn(1, hidden)
    return [w1.T, np.zeros(hidden), w2.T, np.zeros(1)]


def network(weights):
    model = fastnn.Sequential(
        [
            layers.Input((2,), dtype="float64"),
            layers.Dense(weights[0].shape[1], activation="tanh", dtype="float64"),
            layers.Dense(1, activation="sigmoid", dtype="float64"),
        ]
    )
    model.set_weights(weights)
    return model


def train(weights, rate, steps):
    """Return the trained network and the cost before each step."""
    x, y = flowers()
    model = network(weights)
    model.compile(optimizer=optimizers.SGD(rate), loss="binary_crossentropy")
    history = model.fit(x, y, batch_size=len(x), epochs=steps, verbose=0)
    return model, np.array(history.history["loss"])


def show_weights(weights):
    for name, array in zip(("W1", "b1", "W2", "b2"), weights, strict=True):
        print(name, "=", np.array2string(np.transpose(array), prefix=" " * 5))


# %% [markdown]
# ## The first step
#
# Gradients and updated weights of a network with 4 hidden units, at a rate of 1.2. A page of the lab's notes has
# $b \leftarrow w_1 - \alpha (a - y)$: the bias taken from the wrong variable. It is
# $b \leftarrow b - \alpha (a - y)$, and so the lab computed it: $b_2$ becomes 0.1999885. From the output unit's first
# weight it would have become 0.18940898.


# %%
def gradients(model):
    x, y = flowers()
    with fastnn.GradientTape() as tape:
        cost = losses.BinaryCrossentropy()(y, model(x))
    return [gradient.numpy() for gradient in tape.gradient(cost, model.trainable_weights)]


if __name__ == "__main__":
    model = network(first_weights(hidden=4))
    show_weights(gradients(model))
    print("after the step:")
    show_weights(train(first_weights(hidden=4), rate=1.2, steps=1)[0].get_weights())

# %% [markdown]
# ## Ten hidden units
#
# At a rate of 0.3 the costs are those of the lab, every digit. The weights agree with the printed ones to five digits
# of eight: between steps 57 and 110 the cost overshoots, up to 2.33, and swings, and there rounding errors grow by a
# factor of $10^8$ or more before the descent settles.

# %%
if __name__ == "__main__":
    model, costs = train(first_weights(hidden=10), rate=0.3, steps=10_000)
    for step in range(0, 10_000, 1000):
        print(f"cost after {step:4} steps: {costs[step]:f}")
    show_weights([array.round(4) for array in model.get_weights()])
    x, y = flowers()
    print("flowers told right:", np.mean((model.predict(x) > 0.5) == y))

# %% [markdown]
# The flowers, and the probability that the network gives to each point of the plane.


# %%
def plot_flowers(model):
    x, y = flowers()
    axes = {"xlabel": "length of the sepals (cm)", "ylabel": "width of the sepals (cm)"}
    display = plotting.DecisionBoundaryDisplay.from_model(model, x, **axes)
    for kind, color, name in ((0, "white", "setosa"), (1, "black", "others")):
        display.ax_.scatter(*x[y[:, 0] == kind].T, c=color, edgecolors="grey", s=20, label=name)
    display.ax_.legend()
    return display.figure_


if __name__ == "__main__":
    plot_flowers(model).savefig("lab10_flowers.png")
    print("flowers in lab10_flowers.png")

# %% [markdown]
# ## Four hidden units
#
# At a rate of 1.2 the network learns nothing, in the lab and here. Around step 50 the cost jumps above 1, the hidden
# units saturate, and what remains is a constant answer: two of three flowers are not setosas, and the best cost of a
# constant is the entropy of (1/3, 2/3), 0.636514. The printed costs, 0.636519 down to 0.636514, are those of such an
# answer.
#
# Their last digits cannot be had again. In the jump rounding errors grow so fast that after 50 steps every digit
# depends on them, and more jumps follow: first weights that differ in their 15th digit lead to other costs, and so
# does another processor, another NumPy, or another order of summation.


# %%
CONSTANT_ANSWER = -(np.log(1 / 3) + 2 * np.log(2 / 3)) / 3
PRINTED_COSTS = [
    0.693011,
    0.636519,
    0.636516,
    0.636515,
    0.636515,
    0.636515,
    0.636514,
    0.636514,
    0.636514,
    0.636514,
]


def nudged(weights):
    """Return the weights with another 15th digit."""
    return [array * (1 + 1e-15) for array in weights]


if __name__ == "__main__":
    start = first_weights(hidden=4)
    model, costs = train(start, rate=1.2, steps=10_000)
    _, others = train(nudged(start), rate=1.2, steps=10_000)
    print(" steps      cost   printed  cost from nudged weights")
    for step, printed in zip(range(0, 10_000, 1000), PRINTED_COSTS, strict=True):
        print(f"{step:6}  {costs[step]:f}  {printed:f}  {others[step]:f}")
    print(
        "the two costs agree to six digits for",
        np.argmax(np.abs(costs / others - 1) > 1e-6),
        "steps; their highest are",
        costs.max(),
        others.max(),
    )
    print("cost of a constant answer:", CONSTANT_ANSWER)
    print("steps with a cost within 0.001 of it:", np.mean(np.abs(costs - CONSTANT_ANSWER) < 0.001))
    print("share of answers 1:", np.mean(model.predict(flowers()[0]) > 0.5))
