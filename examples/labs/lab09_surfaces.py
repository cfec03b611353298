# %% [markdown]
# # Lab 9: a surface and its slopes
#
# $f(x, y) = x^2 y + x y^3$ is a surface over the plane. Its partial derivatives are surfaces too:
# $\partial f / \partial x = 2xy + y^3$ is how steep it is in the direction of $x$, with $y$ held, and
# $\partial f / \partial y = x^2 + 3xy^2$ in the direction of $y$. Together they are the gradient, which points uphill
# in the plane where $f$ grows fastest.

# %%
import matplotlib.pyplot as plt
import numpy as np

import fastnn


def f(x, y):
    return x**2 * y + x * y**3


def grid():
    """Return x and y at 50 by 50 points of the square from -5 to 5."""
    axis = np.linspace(-5, 5, 50)
    return np.meshgrid(axis, axis)


def surfaces(x, y):
    """Return f and its partial derivatives by x and y at all points, from one walk of a tape."""
    x, y = fastnn.Variable(x), fastnn.Variable(y)
    with fastnn.GradientTape() as tape:
        z = f(x, y)
    dz_dx, dz_dy = tape.gradient(z, [x, y])
    return z.numpy(), dz_dx.numpy(), dz_dy.numpy()


# %% [markdown]
# A value of $z$ belongs to one point alone, so the gradient of the sum of all $z$, which the tape returns for an
# array, has at each point the derivative there.

# %%
POINTS = [(1.0, 2.0), (-2.0, 1.0), (5.0, 5.0)]

if __name__ == "__main__":
    for x, y in POINTS:
        z, dz_dx, dz_dy = surfaces(x, y)
        print(f"at ({x:g}, {y:g}): f = {z:g}, df/dx = {dz_dx:g}, df/dy = {dz_dy:g}")

# %% [markdown]
# ## Drawn
#
# Two captions of the lab's figures are wrong. The figure of $\partial f / \partial y$ is titled
# $\frac{df}{dy} = 2xy + y^3$, which is $\partial f / \partial x$; what it shows is right, $x^2 + 3xy^2$. And a fourth
# figure, announced as $\partial f / \partial y = x^2 y + x y^3$, is the surface $f$ once more.


# %%
def plot_surfaces():
    x, y = grid()
    titles = (
        "$f = x^2 y + x y^3$",
        r"$\partial f / \partial x = 2xy + y^3$",
        r"$\partial f / \partial y = x^2 + 3xy^2$",
    )
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.5), subplot_kw={"projection": "3d"})
    for ax, z, title in zip(axes, surfaces(x, y), titles, strict=True):
        ax.plot_surface(x, y, z, cmap="coolwarm")
        ax.set(xlabel="x", ylabel="y", title=title)
        ax.tick_params(labelsize="small")
    figure.subplots_adjust(left=0.02, right=0.94, wspace=0.15)
    return figure


if __name__ == "__main__":
    plot_surfaces().savefig("lab09_surfaces.png")
    print("surfaces in lab09_surfaces.png")

# %% [markdown]
# ## Uphill
#
# Small steps along the gradient: the surface rises along the whole way. (The lab also writes the function as
# $f(x, y, z) = z = x^2 y + x y^3 + z$, which cannot hold together unless $x^2 y + x y^3 = 0$; the two partial
# derivatives that follow are those of $x^2 y + x y^3$.)


# %%
def climb(x, y, steps=8, rate=0.02):
    """Return the points (x, y, f) of a walk along the gradient."""
    way = []
    for _ in range(steps):
        z, dz_dx, dz_dy = surfaces(x, y)
        way.append((x, y, float(z)))
        x, y = x + rate * float(dz_dx), y + rate * float(dz_dy)
    return way


if __name__ == "__main__":
    for x, y, z in climb(1.0, 0.5):
        print(f"f({x:.3f}, {y:.3f}) = {z:.3f}")
