# %% [markdown]
# # Pictures of a training
#
# One of each display of `fastnn.plotting`, for a small convolutional network and a part of MNIST. They need matplotlib,
# scikit-learn and grandalf: `pip install 'fastnn-kernels[plot,sklearn]'`.

# %%
import matplotlib.pyplot as plt
import numpy as np

import fastnn
from fastnn import callbacks, layers, plotting

fastnn.set_seed(0)
(x_train, y_train), (x_test, y_test) = fastnn.datasets.load_mnist()
model = fastnn.Sequential(
    [
        layers.Input((28, 28, 1)),
        layers.Rescaling(1 / 255),
        layers.Conv2D(8, 5, activation="relu", name="first"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(32, activation="relu", name="hidden"),
        layers.Dense(10, activation="softmax", name="digit"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
recorder = callbacks.HistogramRecorder()
history = model.fit(
    x_train[:6000],
    y_train[:6000],
    epochs=5,
    validation_data=(x_test[:1000], y_test[:1000]),
    callbacks=[recorder],
    verbose=0,
)

# %% [markdown]
# ## Learning curves

# %%
plotting.HistoryDisplay.from_history(history)
plt.show()

# %% [markdown]
# ## Which digit is taken for which

# %%
plotting.ConfusionMatrixDisplay.from_model(model, x_test, y_test)
plt.show()

# %% [markdown]
# ## Images that it gets wrong

# %%
plotting.MisclassifiedDisplay.from_model(model, x_test, y_test)
plt.show()

# %% [markdown]
# ## Filters of the first layer, and what they see in a digit

# %%
plotting.FiltersDisplay.from_model(model)
plt.show()

# %%
plotting.FeatureMapsDisplay.from_model(model, x_test[0], "first")
plt.show()

# %% [markdown]
# ## Weights from epoch to epoch

# %%
plotting.HistogramsDisplay.from_recorder(recorder)
plt.show()

# %% [markdown]
# ## The network

# %%
plotting.NetworkDisplay.from_model(model)
plt.show()

# %% [markdown]
# ## Activations and their derivatives

# %%
plotting.ActivationDisplay.from_activations("relu", "silu", "tanh")
plt.show()

# %% [markdown]
# ## The line between two classes
#
# Two spirals, which no straight line separates.

# %%
rng = np.random.default_rng(0)
label = np.arange(400) % 2
turn = rng.uniform(0.5, 3.0, 400)
angle = np.pi * (turn + label)
points = turn[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
points += rng.normal(0, 0.08, points.shape)

spirals = fastnn.Sequential(
    [
        layers.Input((2,)),
        layers.Dense(32, activation="tanh"),
        layers.Dense(32, activation="tanh"),
        layers.Dense(1, activation="sigmoid"),
    ]
)
spirals.compile(fastnn.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
spirals.fit(points, label, epochs=150, verbose=0)

display = plotting.DecisionBoundaryDisplay.from_model(spirals, points)
display.ax_.scatter(*points.T, c=label, cmap="Greys_r", edgecolors="grey", s=15)
plt.show()
