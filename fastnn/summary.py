"""The table that `Sequential.summary` prints and notebooks show."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .layers.base import output_shapes

HEADER = ("Layer (type)", "Output Shape", "Param #")
#: what the table is drawn with where an encoding has no lines, as those of files on Windows
PLAIN = str.maketrans("┏┳┓┡╇┩├┼┤└┴┘━─┃│", "++++++++++++=-||")


def summary_text(model: Any, encoding: str | None = None) -> str:
    """Return the table of layers, output shapes and parameter counts, laid out as Keras users expect it.

    If an encoding is given, the table has no characters but those of the encoding.
    """
    table = _table(HEADER, _rows(model), (str.ljust, str.ljust, str.rjust))
    text = "\n".join([_title(model), *table, *(f" {line}" for line in _totals(model))])
    if encoding is None:
        return text
    try:
        return text.encode(encoding).decode(encoding)
    except UnicodeEncodeError:
        return text.translate(PLAIN).encode(encoding, "replace").decode(encoding)


def summary_html(model: Any) -> str:
    """Return the table of `summary_text` as HTML, for notebooks."""
    columns = [f'style="text-align: {side}"' for side in ("left", "left", "right")]

    def line(tag: str, cells: Sequence[str]) -> str:
        return f"<tr>{''.join(f'<{tag} {c}>{html.escape(cell)}</{tag}>' for c, cell in zip(columns, cells, strict=True))}</tr>"

    totals = "<br>".join(map(html.escape, _totals(model)))
    return (
        f'<table class="fastnn-summary"><caption style="text-align: left">{html.escape(_title(model))}</caption>'
        f"<thead>{line('th', HEADER)}</thead><tbody>{''.join(line('td', row) for row in _rows(model))}</tbody>"
        f'<tfoot><tr><td colspan="3" {columns[0]}>{totals}</td></tr></tfoot></table>'
    )


def _title(model: Any) -> str:
    return f'Model: "{model.name}"'


def _rows(model: Any) -> list[tuple[str, str, str]]:
    shapes = output_shapes(model.layers, model.input_shape) if model.built else ["?"] * len(model.layers)
    return [
        (
            f"{layer.name} ({type(layer).__name__})",
            str(shape),
            f"{layer.count_params():,}" if layer.built else "0 (unbuilt)",
        )
        for layer, shape in zip(model.layers, shapes, strict=True)
    ]


def _totals(model: Any) -> list[str]:
    trainable = _bytes_and_count(model.trainable_weights)
    fixed = _bytes_and_count(model.non_trainable_weights)
    total = (trainable[0] + fixed[0], trainable[1] + fixed[1])
    return [
        f"Total params: {_count_and_size(total)}",
        f"Trainable params: {_count_and_size(trainable)}",
        f"Non-trainable params: {_count_and_size(fixed)}",
    ]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], align: Sequence[Callable[[str, int], str]]) -> list[str]:
    minimum = (31, 22, 13)
    widths = [max(least, *(len(row[i]) for row in (header, *rows))) for i, least in enumerate(minimum)]

    def line(cells: Sequence[str], edge: str) -> str:
        return edge + edge.join(f" {pad(cell, width)} " for cell, width, pad in zip(cells, widths, align, strict=True)) + edge

    def rule(left: str, dash: str, middle: str, right: str) -> str:
        return left + middle.join(dash * (width + 2) for width in widths) + right

    lines = [rule("┏", "━", "┳", "┓"), line(header, "┃"), rule("┡", "━", "╇", "┩")]
    for i, row in enumerate(rows):
        if i:
            lines.append(rule("├", "─", "┼", "┤"))
        lines.append(line(row, "│"))
    return [*lines, rule("└", "─", "┴", "┘")]


def _bytes_and_count(weights: Sequence[Any]) -> tuple[int, int]:
    arrays: list[np.ndarray] = [weight.data for weight in weights]
    return sum(a.nbytes for a in arrays), sum(a.size for a in arrays)


def _count_and_size(bytes_and_count: tuple[int, int]) -> str:
    size, count = bytes_and_count
    scaled = float(size)
    for unit in ("B", "KB", "MB", "GB"):
        if scaled < 1024 or unit == "GB":
            break
        scaled /= 1024
    return f"{count:,} ({scaled:.2f} {unit})"
