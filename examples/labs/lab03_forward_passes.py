# %% [markdown]
# # Lab 3: forward passes of one and two layers
#
# A layer maps its input $A$ to $f(Z)$ with $Z = W A$. Samples stand in the columns of $A$, and row $i$ of $W$ has the
# weights of the unit $i$. Where $W$ has one column more than $A$ has rows, there is room for a bias: a row of ones
# goes on top of $A$, and the first column of $W$ holds the biases.

# %%
import numpy as np

from fastnn import kernels

ACTIVATIONS = {
    "Lin": kernels.linear_forward,
    "ReLU": kernels.relu_forward,
    "USigmoid": kernels.sigmoid_forward,  # unipolar: from 0 to 1
    "BSigmoid": kernels.bipolar_sigmoid_forward,  # from -1 to 1
    "TanH": kernels.tanh_forward,
    "LeakyReLU": kernels.leaky_relu_forward,
}


def with_bias_row(a, w):
    """Return `a`, under a row of ones if `w` has room for a bias."""
    if w.shape[1] == len(a):
        return a
    if w.shape[1] == len(a) + 1:
        return np.vstack([np.ones((1, a.shape[1])), a])
    rows = w.shape[1]
    raise ValueError(f"W needs an input of {rows} rows, or {rows - 1} and a bias; got {len(a)}")


def forward(x, layers, activations=ACTIVATIONS):
    """Return for each layer, given as (W, name of the activation), its input, Z and output."""
    steps = []
    a = np.asarray(x, dtype=float)
    for w, name in layers:
        w = np.asarray(w, dtype=float)
        a_in = with_bias_row(a, w)
        z = kernels.matmul(w, a_in)
        a = activations[name](z)
        steps.append((a_in, z, a))
    return steps


def show(steps):
    """Print what `forward` returned; inputs only where they are not the output just printed."""
    output = None
    for number, (a_in, z, a) in enumerate(steps, 1):
        if a_in is not output:
            show_array(f"A_{number - 1}", a_in)
        show_array(f"Z_{number}", z)
        show_array(f"A_{number}", a)
        output = a


def show_array(name, array):
    array = array + 0.0  # no -0.0
    print(f"{name} =", np.array2string(array, precision=4, prefix=f"{name} = "))


# %% [markdown]
# ## One layer
#
# Three samples of two features. The four weight matrices have three columns, so each gets a row of ones.

# %%
X = [[0, -1, 1], [-1, 0, -1]]
ONE_LAYER = {
    "ReLU": [([[-1, -1, -1], [0, 1, -1], [-1, 2, 1]], "ReLU")],
    "ReLU, other weights": [([[1, -1, 1], [0, 1, 1], [-1, 2, 1]], "ReLU")],
    "two sigmoid units": [([[-1, -1, 1], [-1, 2, 1]], "USigmoid")],
    "three sigmoid units": [([[-1, -1, 1], [0, 1, -1], [-1, 2, 1]], "USigmoid")],
}

if __name__ == "__main__":
    for title, layers in ONE_LAYER.items():
        print(f"--- {title}")
        show(forward(X, layers))

# %% [markdown]
# For the three sigmoid units the lab printed outputs from 1.1353 to 21.0855. A sigmoid cannot exceed 1: the function
# that ran was $1 + e^{-z}$, the denominator alone. Its first row of outputs was 8.3891, 2, 21.0855; right is 0.1192,
# 0.5, 0.0474.

# %%
MISTAKEN = {**ACTIVATIONS, "USigmoid": lambda z: 1 + np.exp(-z)}

if __name__ == "__main__":
    print("as printed:")
    show(forward(X, ONE_LAYER["three sigmoid units"], MISTAKEN))

# %% [markdown]
# ## Two layers
#
# The output of the first layer is the input of the second. In the first network $W_1$ has three columns for three
# hidden units: no bias. In the second it is the other way round, no bias in the hidden layer and one in the output
# layer.

# %%
RELU_SIGMOID = [
    ([[-1, -1, 1], [0, 1, -1], [-1, 2, 1]], "ReLU"),
    ([[1, 0, 1], [1, -1, 1], [0, -1, 1]], "USigmoid"),
]
X_LINEAR = [[1, 1, 0], [0, 1, 1]]
LINEAR_RELU = [
    ([[1, -1], [1, -1]], "Lin"),
    ([[-1, 1, 0], [0, -1, 1], [1, 0, -1]], "ReLU"),
]

if __name__ == "__main__":
    print("--- ReLU, then sigmoid")
    show(forward(X, RELU_SIGMOID))
    print("--- linear, then ReLU")
    show(forward(X_LINEAR, LINEAR_RELU))

# %% [markdown]
# The lab's outputs of the first network are again $1 + e^{-z}$: it printed 2, 3.7183 and 8.3891 where 0.5, 0.2689 and
# 0.1192 are right.

# %% [markdown]
# ## A second layer that was not one
#
# In the lab's third network, ReLU and then the bipolar sigmoid, the cell of the second layer takes its bias and its
# input from the wrong variable: it puts the row of ones on top of $X$, the input of the network, and not of $A_1$.
# Besides, $W_1$ was edited after that cell had run, when it still held the numbers of $W_0$. So what was printed as
# $Z_2$ is $Z_1$ once more, and $A_2$ is the bipolar sigmoid of $Z_1$: its first row was 0, 0.7616, -0.4621. With the
# weights that the lab shows, and fed with the hidden layer's output, the second layer gives 0, 0.7616, 0, and the
# rows below it 0, 0, 0 and 0, -0.7616, 0.

# %%
RELU_BIPOLAR = [
    ([[1, -1, 1], [0, 1, 1], [-1, 2, 1]], "ReLU"),
    ([[1, -1, -1], [0, 1, -1], [-1, 2, 1]], "BSigmoid"),
]


def second_layer_as_printed():
    """Return input, Z and output of the lab's second layer: the first layer's weights and input."""
    w_0, _ = RELU_BIPOLAR[0]
    return forward(X, [(w_0, "BSigmoid")])[0]


if __name__ == "__main__":
    show(forward(X, RELU_BIPOLAR))
    print("A_2 as printed:")
    print(second_layer_as_printed()[2].round(4))

# %% [markdown]
# ## All activations
#
# Two of the lab's notebooks write the bipolar sigmoid as $(1 - e^{-z}) / (1 - e^{-z})$. A fraction with numerator and
# denominator equal is 1, or undefined at 0. With the plus sign in the denominator it is
# $(1 - e^{-z}) / (1 + e^{-z}) = \tanh(z / 2)$.


# %%
def bipolar_sigmoid_mistaken(z):
    with np.errstate(invalid="ignore"):
        return (1 - np.exp(-z)) / (1 - np.exp(-z))


if __name__ == "__main__":
    z = np.array([-3.0, -1.0, 0.0, 1.0, 2.0])
    print(f"{'z':22}", z)
    for name, activation in ACTIVATIONS.items():
        print(f"{name:22}", activation(z).round(4) + 0.0)
    print(f"{'BSigmoid with the slip':22}", bipolar_sigmoid_mistaken(z))

# %% [markdown]
# ## The same as a Dense layer
#
# `Dense` has samples in rows, $Z^T = A^T W^T$, and keeps the bias apart. It takes the weights of the other columns
# transposed.

# %%
if __name__ == "__main__":
    import fastnn
    from fastnn import layers

    w = np.array(ONE_LAYER["two sigmoid units"][0][0], dtype="float32")
    model = fastnn.Sequential([layers.Input((2,)), layers.Dense(2, activation="sigmoid")])
    model.set_weights([w[:, 1:].T, w[:, 0]])
    print(model.predict(np.transpose(X)).T.round(4))
