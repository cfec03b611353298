"""Dense layers: products of packed matrices; one to three samples do not repay packing the weights."""

from .activate import finish, finish_custom
from .call import Plan, step
from .pointers import fill, is_null, null, offset
from .product import PANEL_COLUMNS, ROWS, WEIGHT, multiply_panels, pack_columns, pack_rows, panels_size
from .sums import column_sums, row_dot


def _thin(e):
    return e["n"] <= 3


@step("m", "k", multiple=PANEL_COLUMNS, scratch=lambda e: panels_size(e["k"], e["m"]))
def _pack_weights(call, first, last):
    pack_rows(call.w, call.m, call.k, first, last, call.scratch)


def _forward(finish):
    """Return the plan of a dense layer that ends with `finish`."""

    @step("n", "k m", weight=WEIGHT, multiple=ROWS)
    def multiply(call, first, last):
        k, m, rows = call.k, call.m, last - first
        multiply_panels(offset(call.x, first * k), k, 1, rows, call.scratch, k, call.b, offset(call.y, first * m), m, m)
        finish(call, first * m, rows * m)

    @step("m", "k", multiple=PANEL_COLUMNS)
    def multiply_thin(call, first, last):
        k, m = call.k, call.m
        for i in range(call.n):
            x, y = offset(call.x, i * k), offset(call.y, i * m)
            for j in range(first, last):
                y[j] = 0.0 if is_null(call.b) else call.b[j]
            whole = k - k % 4
            for p in range(0, whole, 4):
                w = offset(call.w, p * m)
                for j in range(first, last):
                    y[j] += (x[p] * w[j] + x[p + 1] * w[m + j]) + (x[p + 2] * w[2 * m + j] + x[p + 3] * w[3 * m + j])
            for p in range(whole, k):
                w = offset(call.w, p * m)
                for j in range(first, last):
                    y[j] += x[p] * w[j]
            finish(call, i * m + first, last - first)

    return Plan(((_pack_weights, multiply), (multiply_thin,)), _thin)


dense_forward = _forward(finish)
dense_custom_forward = _forward(finish_custom)


@step("k", "m", multiple=PANEL_COLUMNS, scratch=lambda e: panels_size(e["m"], e["k"]))
def _pack_transposed_weights(call, first, last):
    pack_columns(call.w, call.m, call.m, first, last, call.scratch)


@step("n", "k m", weight=WEIGHT, multiple=ROWS)
def _multiply_by_transposed(call, first, last):
    k, m, dx = call.k, call.m, offset(call.dx, first * call.k)
    multiply_panels(offset(call.dy, first * m), m, 1, last - first, call.scratch, m, null(dx), dx, k, k)


@step("k", "m")
def _dots(call, first, last):
    m = call.m
    for i in range(call.n):
        dy = offset(call.dy, i * m)
        for p in range(first, last):
            call.dx[i * call.k + p] = row_dot(dy, offset(call.w, p * m), 0, m)


dense_backward_input = Plan(((_pack_transposed_weights, _multiply_by_transposed), (_dots,)), _thin)


@step("m", "n", multiple=PANEL_COLUMNS, scratch=lambda e: panels_size(e["n"], e["m"]))
def _pack_errors(call, first, last):
    pack_rows(call.dy, call.m, call.n, first, last, call.scratch)
    if not is_null(call.db):
        column_sums(call.dy, call.m, call.n, first, last, call.db)


@step("k", "n m", weight=WEIGHT, multiple=ROWS)
def _multiply_transposed(call, first, last):
    k, m, dw = call.k, call.m, call.dw
    multiply_panels(offset(call.x, first), 1, k, last - first, call.scratch, call.n, null(dw), offset(dw, first * m), m, m)


@step("k", "m")
def _outer_products(call, first, last):
    x, dy, dw, n, k, m = call.x, call.dy, call.dw, call.n, call.k, call.m
    for p in range(first, last):
        row = offset(dw, p * m)
        fill(row, m, 0.0)
        for i in range(n):
            left, errors = x[i * k + p], offset(dy, i * m)
            for j in range(m):
                row[j] += left * errors[j]


@step("m", "n")
def _sum_errors(call, first, last):
    if not is_null(call.db):
        column_sums(call.dy, call.m, call.n, first, last, call.db)


dense_backward_weight = Plan(((_pack_errors, _multiply_transposed), (_outer_products, _sum_errors)), _thin)
