# %% [markdown]
# # Lab 7: calculus with the tape
#
# The derivative of $f$ at $x$ is the limit of $(f(x+h) - f(x)) / h$ for $h \to 0$. A tape does not need the limit: it
# notes each operation while $f$ is computed, and then walks back through its notes by the chain rule,
# $\frac{dy}{dx} = \frac{dy}{du} \frac{du}{dx}$. The result is exact but for rounding, and one walk gives the
# derivatives by all inputs at once.

# %%
import matplotlib.pyplot as plt
import numpy as np

import fastnn
from fastnn import activations, ops

# %% [markdown]
# ## Tensors and variables
#
# Python's floats become float32 and its integers int32, also in nested lists. A variable is a tensor whose values can
# be replaced. Only floats have derivatives, so write `3.0` where `3` is to be differentiated by.

# %%
VALUES = [
    3.0,
    3e-38,
    [3, 2.0, 3],
    [[3, 2.0, 3], [3, 2.0, 3]],
    [[[3, 2.0, 3]], [[4, 2.0, 4]]],
    [[[[[3, 2, 3], [3, 2, 3]]]]],
    [[[3, 2, 3], [3, 2, 3]], [[3, 2, 3], [3, 2, 3]]],
]

if __name__ == "__main__":
    for value in VALUES:
        for tensor in (fastnn.constant(value), fastnn.Variable(value)):
            print(f"{type(tensor).__name__:8} {tensor.shape!s:15} {tensor.dtype}")

# %% [markdown]
# ## First derivatives
#
# For $y = 3x^2$ the quotient $(f(x+h) - f(x)) / h$ is $6x + 3h$, so the slope is $6x$, at $x = 2$ it is 12. The lab
# puts it as "x goes up by 1, y goes up by 6". That is not so: from 2, one step to 3 takes $y$ up by
# $6 \cdot 2 + 3 = 15$. The slope tells about small steps, and it depends on $x$.


# %%
def f(x):
    return 3 * x**2


def difference_quotient(f, x, h):
    return (f(x + h) - f(x)) / h


def derivative(f, x):
    """Return dy/dx of y = f(x), element by element if x is an array."""
    x = fastnn.constant(x)
    with fastnn.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    return tape.gradient(y, x)


if __name__ == "__main__":
    for h in (1.0, 0.1, 0.001):
        print(f"h = {h:<6} slope {difference_quotient(f, 2.0, h):.3f}")
    print("tape       slope", derivative(f, 2.0).numpy())

# %% [markdown]
# With several inputs there is a partial derivative by each: the others count as constants. The tape takes a list of
# inputs and returns a list. Where it takes one array, it returns one array, and elements of an array can be used
# singly.


# %%
def gradients(f, *variables):
    """Return the derivative of f(*variables), summed if it is an array, by each variable."""
    with fastnn.GradientTape() as tape:
        y = f(*variables)
    return tape.gradient(y, list(variables))


A = fastnn.constant([2.0])
FIRST = {
    "2 x^2 + a, x = (3, 4)": (lambda x: 2 * x**2 + A, [3.0, 4.0]),
    "2 x + a, x = (3, 4)": (lambda x: 2 * x**1 + A, [3.0, 4.0]),
    "2 x1^2 + x2^3 + a, x1 = 3, x2 = 1": (lambda x1, x2: 2 * x1**2 + x2**3 + A, [3.0], [1.0]),
    "2 w0^2 + w1^3 + a, w = (3, 2)": (lambda w: 2 * w[0] ** 2 + w[1] ** 3 + A, [3.0, 2.0]),
    "1 / (1 + exp(-x)), x = 3": (lambda x: 1 / (1 + ops.exp(-x)), [3.0]),
}


def first_derivatives():
    """Return what the cells of `FIRST` compute: formula -> value and derivatives."""
    found = {}
    for title, (function, *start) in FIRST.items():
        variables = [fastnn.Variable(value) for value in start]
        found[title] = (
            function(*variables).numpy(),
            [dx.numpy() for dx in gradients(function, *variables)],
        )
    return found


if __name__ == "__main__":
    for title, (y, dx) in first_derivatives().items():
        print(f"{title}: value {y}, derivatives {', '.join(map(str, dx))}")

# %% [markdown]
# ## What a tape watches
#
# Variables are watched as soon as they are used, other tensors when the tape is told to. What is not watched has no
# gradient: `None`, not 0. So it is for a constant, for a variable made with `trainable=False`, and for what was
# computed from a variable before the tape began. (TensorFlow calls the watched variable `x0:0`, by the number of an
# output; here it is plain `x0`.)


# %%
def watched_and_unwatched():
    """Return the derivatives of x0^2 + x1^2 + x2^2 by x0 to x2 and a constant x3, and what was watched."""
    x0 = fastnn.Variable(3.0, name="x0")
    x1 = fastnn.Variable(3.0, name="x1", trainable=False)
    x2 = fastnn.Variable(2.0, name="x2") + 1.0
    x3 = fastnn.constant(3.0)
    with fastnn.GradientTape() as tape:
        y = x0**2 + x1**2 + x2**2
    watched = [variable.name for variable in tape.watched_variables()]
    return tape.gradient(y, [x0, x1, x2, x3]), watched


def constant_without_watch():
    x = fastnn.constant(2.0)
    with fastnn.GradientTape() as tape:
        y = f(x)
    return tape.gradient(y, x)


if __name__ == "__main__":
    found, watched = watched_and_unwatched()
    print("derivatives:", *found, "- watched:", watched)
    print(
        "3 x^2 by a constant: watched",
        derivative(f, 2.0).numpy(),
        "- not watched",
        constant_without_watch(),
    )

# %% [markdown]
# ## One gradient or many
#
# A tape lets go of its notes when it has given a gradient. A persistent one keeps them, as long as it is there.


# %%
def several_gradients():
    """Return da^2/da at 6, db^3/db at 2, and dz/dx and dz/dy of z = x^2 + y x at (2, 2)."""
    a, b = fastnn.Variable(6.0), fastnn.Variable(2.0)
    x, y = fastnn.Variable(2.0), fastnn.Variable(2.0)
    with fastnn.GradientTape(persistent=True) as tape:
        squared, cubed = a**2, b**3
        z = x**2 + y * x
    pairs = ((squared, a), (cubed, b), (z, x), (z, y))
    return [tape.gradient(target, source).numpy() for target, source in pairs]


if __name__ == "__main__":
    print("several gradients of one tape:", *several_gradients())

# %% [markdown]
# ## Second derivatives
#
# The gradient is computed by operations too, so a second tape around the first can take notes of them. For
# $y = x^2 + x$ it is $y' = 2x + 1$ and $y'' = 2$. The lab's text works this out at $x = 2$, $y' = 5$; its cell ran
# with $x = 3$ and printed 7.


# %%
def second_derivative(f, x):
    """Return dy/dx and d2y/dx2 of y = f(x)."""
    x = fastnn.constant(x)
    with fastnn.GradientTape() as outer:
        outer.watch(x)
        with fastnn.GradientTape() as inner:
            inner.watch(x)
            y = f(x)
        dy_dx = inner.gradient(y, x)
    return dy_dx, outer.gradient(dy_dx, x)


if __name__ == "__main__":
    for x in (3.0, 2.0):
        print(f"x^2 + x at {x}:", *(d.numpy() for d in second_derivative(lambda x: x**2 + x, x)))

# %% [markdown]
# ## Rules
#
# The product rule, $(fg)' = f'g + fg'$, the chain rule, and the rule for the inverse function,
# $(f^{-1})'(y) = 1 / f'(x)$ with $y = f(x)$: the tape follows all three without being told.

# %%
RULES = {
    "product": (
        lambda x: (4 * x**2 + x) * (x**3 + 8 * x**2),
        lambda x: (8 * x + 1) * (x**3 + 8 * x**2) + (4 * x**2 + x) * (3 * x**2 + 16 * x),
    ),
    "chain": (lambda x: ops.sin(3 * x**2 + x), lambda x: np.cos(3 * x**2 + x) * (6 * x + 1)),
    "inverse of x^2": (lambda y: y**0.5, lambda y: 1 / (2 * y**0.5)),
}

if __name__ == "__main__":
    for name, (function, by_hand) in RULES.items():
        print(f"{name:15} tape {derivative(function, 1.5).numpy():.4f}, by hand {by_hand(1.5):.4f}")

# %% [markdown]
# ## Activations and their derivatives
#
# The unipolar sigmoid has $f' = f (1 - f)$ and $f'' = f' (1 - 2f)$, the bipolar one $f' = \frac12 (1 - f^2)$. In the
# handwritten notes the second derivative of the first one reads $f' (1 - f)$, and the bipolar sigmoid's derivative
# $\frac12 (1 + f^2)$, which would be largest far out, where the curve is flat; at $x = 3$ that is 0.9096, and right
# is 0.0904.

# %%
X = np.arange(-5, 5, 0.1)
NAMES = "linear relu leaky_relu sigmoid bipolar_sigmoid tanh elu selu softplus gelu silu".split()


def curves(x=X):
    """Return for each activation, by name, its values and first derivatives at `x`."""
    return {
        name: (activations.get(name)(x).numpy(), derivative(activations.get(name), x).numpy())
        for name in NAMES
    }


def plot_curves():
    """Draw all activations, in blue, with their derivatives, in red."""
    figure, axes = plt.subplots(3, 4, figsize=(12, 7.5), layout="constrained")
    for ax, (name, (y, dy_dx)) in zip(axes.flat, curves().items(), strict=False):
        ax.plot(X, y, "b", label="$f(x)$")
        ax.plot(X, dy_dx, "r", label="$f'(x)$")
        ax.set_title(name.replace("_", " "))
        ax.grid(alpha=0.3)
    for ax in axes.flat[len(NAMES) :]:
        ax.set_axis_off()
        ax.legend(*axes.flat[0].get_legend_handles_labels(), loc="center", fontsize="large")
    return figure


if __name__ == "__main__":
    for name, (y, dy_dx) in curves(np.array([-1.0, 0.0, 3.0])).items():
        print(f"{name:15} f(-1, 0, 3) = {y.round(4) + 0.0}, f' = {dy_dx.round(4) + 0.0}")
    plot_curves().savefig("lab07_activations.png")
    print("curves in lab07_activations.png")
