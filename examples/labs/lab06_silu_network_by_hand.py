# %% [markdown]
# # Lab 6: a 3-2-1 network, every derivative by hand and by the tape
#
# Two hidden units with SiLU, $h = z \sigma(z)$ for $z = x W + b_1$, and one output $y = \sigma(f)$ for
# $f = h U + b_2$, trained with the cross-entropy $L = -t \ln y - (1 - t) \ln(1 - y)$. By the chain rule the gradient
# of one sample's loss by a weight of the first layer is
#
# $$
# \frac{\partial L}{\partial w_{ij}} = \frac{\partial L}{\partial y} \frac{\partial y}{\partial f}
# \frac{\partial f}{\partial h_i} \frac{\partial h_i}{\partial z_i} x_j ,
# $$
#
# and the other gradients are shorter products of the same factors. The mean over the samples goes into a step with
# momentum, $v \leftarrow 0.9 v - 0.8 g$ and $w \leftarrow w + v$.

# %%
import numpy as np

import fastnn
from fastnn import kernels, ops

X = np.array([[1.0, 0.0, 0.5], [0.1, 0.5, 1.0], [0.0, 1.0, 0.7]])
T = np.array([[1.0], [0.0], [0.0]])


def first_parameters():
    values = {
        "W": [[0.4, -0.3], [0.2, 0.2], [-0.5, 0.1]],
        "b(1)": [0.0, -0.4],
        "U": [[0.3], [-0.1]],
        "b(2)": [0.1],
    }
    return {
        name: fastnn.Variable(value, dtype="float64", name=name) for name, value in values.items()
    }


def forward(parameters):
    """Return z, h, f, y and each sample's loss, samples in rows."""
    w, b1, u, b2 = parameters.values()
    z = ops.matmul(X, w) + b1
    h = ops.silu(z)
    f = ops.matmul(h, u) + b2
    y = ops.sigmoid(f)
    return {"z": z, "h": h, "f": f, "y": y, "loss": ops.binary_xent(y, T)}


# %% [markdown]
# ## The factors of the chain rule
#
# Each factor is a backward kernel, given 1 as the gradient that comes from above.


# %%
def factors(parameters, values):
    """Return the factors of the chain rule, a row for each sample."""
    z, y = values["z"].data, values["y"].data
    one = np.ones_like(y)
    return {
        "dL/dy": kernels.binary_xent_backward(one[:, 0], y, T),
        "dy/df": kernels.sigmoid_backward(one, y),
        "df/dh": np.broadcast_to(parameters["U"].numpy().T, z.shape),
        "dh/dz": kernels.silu_backward(np.ones_like(z), z),
    }


def jacobians_by_hand(parameters, values):
    """Return the gradients of each sample's loss, by the products that the chain rule gives."""
    factor = factors(parameters, values)
    d_f = factor["dL/dy"] * factor["dy/df"]
    d_z = d_f * factor["df/dh"] * factor["dh/dz"]
    h = values["h"].data
    return {
        "W": X[:, :, None] * d_z[:, None, :],
        "b(1)": d_z,
        "U": (d_f * h)[:, :, None],
        "b(2)": d_f,
    }


def jacobians_by_tape(parameters):
    """Return the same by the tape: the derivative of each loss by each parameter."""
    with fastnn.GradientTape() as tape:
        loss = forward(parameters)["loss"]
    found = tape.jacobian(loss, list(parameters.values()))
    return {name: jacobian.numpy() for name, jacobian in zip(parameters, found, strict=True)}


# %% [markdown]
# ## Two iterations


# %%
def iterate(count=2):
    """Return for each iteration all that it computes, and the parameters that it ends with."""
    parameters = first_parameters()
    optimizer = fastnn.optimizers.SGD(learning_rate=0.8, momentum=0.9)
    optimizer.build(parameters.values())
    iterations = []
    for _ in range(count):
        values = forward(parameters)
        jacobians = jacobians_by_tape(parameters)
        means = {name: jacobian.mean(axis=0) for name, jacobian in jacobians.items()}
        iteration = {
            "values": {name: value.numpy() for name, value in values.items()},
            "factors": factors(parameters, values),
            "jacobians by hand": jacobians_by_hand(parameters, values),
            "jacobians": jacobians,
            "means": means,
        }
        optimizer.apply_gradients((means[name], variable) for name, variable in parameters.items())
        velocities = [
            value for name, value in optimizer.get_state().items() if name.endswith("velocity")
        ]
        iteration["velocities"] = dict(zip(parameters, velocities, strict=True))
        iteration["parameters"] = {name: variable.numpy() for name, variable in parameters.items()}
        iterations.append(iteration)
    return iterations


def show(title, arrays):
    print(f"-- {title}")
    for name, array in arrays.items():
        print(f"{name:6}", np.array2string(array + 0.0, prefix=" " * 7))


def as_in_the_lab(arrays):
    """Return arrays in the lab's layout: in W a row for each hidden unit, U in a row."""
    return {
        name: np.swapaxes(array, -1, -2) if name in "WU" else array
        for name, array in arrays.items()
    }


if __name__ == "__main__":
    for number, iteration in enumerate(iterate(), 1):
        print(f"---- iteration {number}: mean loss {iteration['values']['loss'].mean()}")
        show("forward pass", iteration["values"])
        show("factors", iteration["factors"])
        for sample in range(3):
            jacobians = {
                name: jacobian[sample] for name, jacobian in iteration["jacobians"].items()
            }
            show(f"gradients of the loss of sample {sample + 1}", as_in_the_lab(jacobians))
        show("their means", as_in_the_lab(iteration["means"]))
        show("velocities", as_in_the_lab(iteration["velocities"]))
        show("updated parameters", as_in_the_lab(iteration["parameters"]))

# %% [markdown]
# In the lab's second iteration, the cell that updates $b_2$ takes the old value from a variable `b`, which is not the
# one that the first iteration left the bias in and is not defined on any page. What it printed, -0.31250755, is
# nevertheless right: it is -0.05314694, the bias after the first iteration, plus the velocity -0.25936061. Had the
# cell taken the bias of the start, 0.1, the result would be -0.15936061.

# %% [markdown]
# ## The same as a model
#
# Two Dense layers, the same loss and the same optimizer make the same two steps.


# %%
def first_model():
    """Return the network of the start, compiled."""
    layers = fastnn.layers
    model = fastnn.Sequential([layers.Input((3,), dtype="float64")])
    model.add(layers.Dense(2, activation="silu", dtype="float64"))
    model.add(layers.Dense(1, activation="sigmoid", dtype="float64"))
    model.set_weights([variable.numpy() for variable in first_parameters().values()])
    model.compile(optimizer=fastnn.optimizers.SGD(0.8, momentum=0.9), loss="binary_crossentropy")
    return model


def as_model(iterations=2):
    """Return the parameters after full-batch training of a `Sequential` model."""
    model = first_model()
    model.fit(X, T, batch_size=3, epochs=iterations, verbose=0)
    return dict(zip(first_parameters(), model.get_weights(), strict=True))


if __name__ == "__main__":
    show("updated parameters, by fit", as_in_the_lab(as_model()))

# %% [markdown]
# `explain` tells one step of a compiled model, number by number, as a table where a cell ends with it. Here it is the
# first iteration once more. The gradients are of the mean loss, so `delta` has a third of what each sample has alone.

# %%
first_model().explain(X, T)
