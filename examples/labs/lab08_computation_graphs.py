# %% [markdown]
# # Lab 8: computation graphs
#
# An expression is a graph: inputs and intermediate results are nodes, and an edge leads from each operand to what is
# computed from it. Going forwards, every node gets its value, and every edge its local partial derivative. The
# derivative of the result by an input is then the sum over all paths between them of the products of the partials on
# the path; going backwards, node by node, each edge is used once.

# %%
import fastnn


def equation_1(x, y):
    """Return the parts of z = xy + 1/x."""
    a = x * y
    b = 1 / x
    z = a + b
    return {"a": a, "b": b, "z": z}


def equation_2(x, y):
    """Return the parts of z = (x + y) / (x^2 - 4)."""
    a = x + y
    s = x**2
    b = s - 4
    z = a / b
    return {"a": a, "s": s, "b": b, "z": z}


def equation_3(x, y):
    """Return the parts of z = (2x + 1/x) / (x + y)."""
    a = 2 * x
    b = 1 / x
    c = x + y
    d = a + b
    z = d / c
    return {"a": a, "b": b, "c": c, "d": d, "z": z}


def graph_of(equation, x=1.0, y=2.0):
    """Return the graph of an equation's z at a point."""
    x, y = fastnn.Variable(x, name="x"), fastnn.Variable(y, name="y")
    with fastnn.GradientTape() as tape:
        parts = equation(x, y)
    return fastnn.graph(tape, parts["z"], parts)


# %% [markdown]
# ## Three equations at x = 1, y = 2
#
# Printed, a graph is a list: value, local partials and, on the right, the derivative of $z$.
#
# The tape takes down single operations. What the lab treats as one step, $b = x^2 - 4$ with
# $\partial b / \partial x = 2x$, is two here: $s = x^2$ and $b = s - 4$.

# %%
if __name__ == "__main__":
    for number, equation in enumerate((equation_1, equation_2, equation_3), 1):
        graph = graph_of(equation)
        print(f"--- {equation.__doc__.removeprefix('Return the parts of ').rstrip('.')}")
        print(graph)
        graph.save(f"lab08_equation_{number}.svg")

# %% [markdown]
# `save` has drawn them. In a notebook a cell that ends with a graph shows the drawing: the partials on the edges, in
# blue, and the derivatives of $z$ in the nodes, in red.

# %%
graph_of(equation_1)

# %%
graph_of(equation_2)

# %%
graph_of(equation_3)

# %% [markdown]
# ## The chain rule along the edges
#
# The list's right column, computed once more from the partials alone.


# %%
def chain_rule(graph, other_partials=None):
    """Return dz/dn for each node n, from the partials on the edges.

    `other_partials`, by (from, to), replace some of them.
    """
    slopes = dict.fromkeys(graph.nodes, 0.0)
    slopes[graph.target] = 1.0
    for node in reversed(list(graph)):
        for name, partial in node.partials.items():
            partial = (other_partials or {}).get((name, node.name), partial)
            slopes[name] += slopes[node.name] * float(partial)
    return slopes


if __name__ == "__main__":
    for equation in (equation_1, equation_2, equation_3):
        slopes = chain_rule(graph_of(equation))
        print(f"{equation.__name__}: dz/dx = {slopes['x']:.4f}, dz/dy = {slopes['y']:.4f}")

# %% [markdown]
# ## A slip in the third equation
#
# From $z = d / c$ follows $\partial z / \partial c = -d / c^2$, with $c = d = 3$ that is $-\frac13$. The lab wrote
# $-1$. In the last lines it also took $-1$ for $\partial z / \partial d$, which it had as $\frac13$ just before. So it
# arrived at $\partial z / \partial x = -2$ and $\partial z / \partial y = -1$. Right is 0 and $-\frac13$: at $x = 1$
# the numerator $2x + \frac1x$ and the denominator grow alike, and $z$ does not change with $x$ to first order.

# %%
LAB_PARTIALS = {("c", "z"): -1.0, ("d", "z"): -1.0}

if __name__ == "__main__":
    graph = graph_of(equation_3)
    slopes = chain_rule(graph, LAB_PARTIALS)
    print(f"as the lab has it: dz/dx = {slopes['x']:g}, dz/dy = {slopes['y']:g}")
    print(
        f"right:             dz/dx = {graph['x'].gradient:.4f}, dz/dy = {graph['y'].gradient:.4f}"
    )
    for step in (0.1, 0.01, 0.001):
        z, moved = (graph_of(equation_3, x)["z"].value for x in (1.0, 1.0 + step))
        print(f"x up by {step}: z from {z:.6f} to {moved:.6f}")
