"""Dense layers: products of packed matrices; one to three samples do not repay packing the weights."""

from .activate import finish, finish_custom
from .call import Plan, step
from .pointers import copy, fill, is_null, null, offset, on_stack
from .product import PANEL_COLUMNS, ROWS, WEIGHT, multiply_panels, pack_columns, pack_rows, panels_size
from .sums import column_sums, row_dot

#: columns of a thin product whose sums stand on the stack
THIN_COLUMNS = 256


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
        k, m, sums = call.k, call.m, on_stack(call.x, THIN_COLUMNS)
        for i in range(call.n):
            for left in range(first, last, THIN_COLUMNS):
                x, w, n = offset(call.x, i * k), offset(call.w, left), min(THIN_COLUMNS, last - left)
                if is_null(call.b):
                    fill(sums, n, 0.0)
                else:
                    copy(offset(call.b, left), sums, n)
                whole = k - k % 4
                for p in range(0, whole, 4):
                    for j in range(n):
                        sums[j] += (x[p] * w[p * m + j] + x[p + 1] * w[p * m + m + j]) + (
                            x[p + 2] * w[p * m + 2 * m + j] + x[p + 3] * w[p * m + 3 * m + j]
                        )
                for p in range(whole, k):
                    for j in range(n):
                        sums[j] += x[p] * w[p * m + j]
                copy(sums, offset(call.y, i * m + left), n)
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


dense_backward_weight = Plan(((_pack_errors, _multiply_transposed),))
