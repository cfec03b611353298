"""One training step with all of its intermediate results, as one works it by hand: what `Sequential.explain` returns."""

from __future__ import annotations

import copy
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from . import activations, ops
from .autodiff import GradientTape, Tensor
from .layers import Conv2D, Dense, DepthwiseConv2D, Layer
from .optimizers import SGD, Optimizer

#: arrays of more elements are printed with "..." for those in the middle
PRINTED_ELEMENTS = 36
#: columns that the lines of an array may take
ARRAY_COLUMNS = 80
#: activations whose derivative is no factor for each element
ROWWISE = frozenset({"softmax", "log_softmax"})
#: weight -> its letter; other weights keep their names
LETTERS = {"kernel": "W", "bias": "b"}


@dataclass(frozen=True, eq=False)
class WeightStep:
    """What the step does to one weight.

    Attributes
    ----------
    symbol : str
        "W_0", "b_0", "gamma_2", ...
    value, updated : ndarray
        Before and after the step.
    gradient : ndarray or None
        Of the loss by the weight; None for one that is not trained, or that the loss does not depend on.
    """

    symbol: str
    value: np.ndarray
    gradient: np.ndarray | None
    updated: np.ndarray


@dataclass(frozen=True, eq=False)
class LayerStep:
    """What one layer computes in the step. Layer k turns A_(k-1) into A_k with the weights W_(k-1) and b_(k-1).

    Attributes
    ----------
    number : int
        k, from 1.
    name, kind : str
        The layer's name and class.
    Z : ndarray or None
        What the activation is applied to; None in a layer without weights or activation.
    A : ndarray
        The output.
    delta : ndarray or None
        The gradient of the loss by Z, or by A where there is no Z. None where the loss bypasses the layer: a cross-entropy is
        computed from the logits, not from the probabilities that a softmax layer makes of them.
    weights : dict of str to WeightStep
        By the weight's name in the layer: "kernel", "bias", "gamma", ...
    """

    number: int
    name: str
    kind: str
    Z: np.ndarray | None
    A: np.ndarray
    delta: np.ndarray | None
    weights: dict[str, WeightStep]

    @property
    def W(self) -> np.ndarray | None:
        """The kernel before the step; None in a layer that has none."""
        return self._of("kernel", "value")

    @property
    def b(self) -> np.ndarray | None:
        """The bias before the step."""
        return self._of("bias", "value")

    @property
    def dW(self) -> np.ndarray | None:
        """The gradient of the loss by the kernel."""
        return self._of("kernel", "gradient")

    @property
    def db(self) -> np.ndarray | None:
        """The gradient of the loss by the bias."""
        return self._of("bias", "gradient")

    @property
    def new_W(self) -> np.ndarray | None:
        """The kernel after the step."""
        return self._of("kernel", "updated")

    @property
    def new_b(self) -> np.ndarray | None:
        """The bias after the step."""
        return self._of("bias", "updated")

    def _of(self, weight: str, attribute: str) -> np.ndarray | None:
        return getattr(self.weights[weight], attribute) if weight in self.weights else None


class Row(NamedTuple):
    """A line of the story: a symbol, in most cases with its formula in NumPy's notation, and its value."""

    label: str
    value: np.ndarray | str


class Section(NamedTuple):
    """A part of the story."""

    title: str
    rows: list[Row]


@dataclass(eq=False, repr=False)
class Explanation:
    """One forward and backward pass and the update that follows, with every number in between.

    Printed, it is a text; in a notebook, a table.

    Attributes
    ----------
    title : str
        What is explained.
    x, y : ndarray
        Inputs (A_0) and targets.
    layers : tuple of LayerStep
        In the order of the forward pass.
    error : ndarray or None
        The output less the targets, class labels taken as one-hot rows; None where they cannot be compared.
    loss : float
        What the step makes smaller, penalties on weights included.
    penalty : float
        The penalties on weights.
    learning_rate : float
        Of the step.
    sections : list of Section
        What is printed.
    precision : int
        Digits after the decimal point in print.
    """

    title: str
    x: np.ndarray
    y: np.ndarray
    layers: tuple[LayerStep, ...]
    error: np.ndarray | None
    loss: float
    penalty: float
    learning_rate: float
    sections: list[Section]
    precision: int

    def __repr__(self) -> str:
        return f"<Explanation: {self.title}, {len(self.layers)} layers, loss {self.loss:.{self.precision}g}>"

    def __str__(self) -> str:
        lines = [self.title]
        for section in self.sections:
            lines += ["", section.title]
            labels = max([len(row.label) for row in section.rows], default=0)
            shapes = max([len(_shape(row.value)) for row in section.rows], default=0)
            for row in section.rows:
                start = f"  {row.label:{labels}}  {_shape(row.value):{shapes}}  "
                first, *others = self._printed(row.value).split("\n")
                lines += [start + first, *(" " * len(start) + line for line in others)]
        return "\n".join(line.rstrip() for line in lines)

    def _repr_html_(self) -> str:
        left = 'style="text-align: left; vertical-align: top"'
        rows = []
        for section in self.sections:
            rows.append(f'<tr><th colspan="3" {left}>{html.escape(section.title)}</th></tr>')
            for row in section.rows:
                value = f'<pre style="margin: 0">{html.escape(self._printed(row.value))}</pre>'
                cells = (_formula_html(row.label), html.escape(_shape(row.value)), value)
                rows.append(f"<tr>{''.join(f'<td {left}>{cell}</td>' for cell in cells)}</tr>")
        caption = f'<caption style="text-align: left">{html.escape(self.title)}</caption>'
        return f'<table class="fastnn-explanation">{caption}<tbody>{"".join(rows)}</tbody></table>'

    def _printed(self, value: np.ndarray | str) -> str:
        if isinstance(value, str):
            return value
        # so many at both ends of each axis that a long array is printed with no more elements than a short one
        ends = next(n for n in (3, 2, 1) if (2 * n) ** value.ndim <= PRINTED_ELEMENTS or n == 1)
        text = np.array2string(
            value + 0.0 if value.dtype.kind == "f" else value,  # -0.0 becomes 0.0
            max_line_width=ARRAY_COLUMNS,
            precision=self.precision,
            threshold=PRINTED_ELEMENTS,
            edgeitems=ends,
        )
        return re.sub(r"\n\s*\n", "\n", text)  # no empty lines between the matrices of an image


def explain(model: Any, x: Any, y: Any, precision: int = 4) -> Explanation:
    """Return the story of one training step of a compiled model; see `Sequential.explain`."""
    x, y, _ = model._prepare(x, y, None, None)
    model(x[:1])  # builds the layers in layers that a shape with None left unbuilt
    model = copy.deepcopy(model)  # which makes the step, and is changed by it
    optimizer, loss_function = model._compiled_with()
    before = {id(weight): weight.data.copy() for weight in model.weights}
    x, y = x.astype(model.dtype), y.copy()  # the story keeps them
    a = Tensor(x)
    passes: list[_Pass] = []
    with GradientTape() as tape:
        tape.watch(a)
        for layer in model.layers:
            passes.append(_forward(len(passes) + 1, layer, a))
            a = passes[-1].a
        loss = loss_function(y, a)
        penalties = model.losses
        total = loss
        for term in penalties:
            total = ops.add(total, term)
    trained = model.trainable_weights
    gradients, deltas = tape.gradient(total, (trained, [done.target for done in passes]))
    if trained:
        optimizer.apply(gradients, trained)
    by_weight = {id(weight): gradient for weight, gradient in zip(trained, gradients, strict=True)}
    steps = tuple(_layer_step(done, delta, before, by_weight) for done, delta in zip(passes, deltas, strict=True))
    error = _error(loss_function, y, a)
    penalty = sum([float(term) for term in penalties])
    sections = [
        *_forward_story(x, passes, steps),
        Section("Loss", _loss_story(loss_function.name, len(passes), y, error, loss, penalty, total)),
        *_backward_story(passes, steps),
        *_update_story(optimizer, steps),
    ]
    samples = f"{len(x)} sample{'s' if len(x) > 1 else ''}"
    return Explanation(
        title=f"One training step of {model.name!r} with {samples}; samples lie along the first axis",
        x=x,
        y=y,
        layers=steps,
        error=error,
        loss=float(total),
        penalty=penalty,
        learning_rate=float(optimizer.lr[0]),
        sections=sections,
        precision=precision,
    )


class _Pass(NamedTuple):
    """A layer's forward pass on the tape."""

    number: int
    layer: Layer
    x: Tensor
    z: Tensor | None
    a: Tensor

    @property
    def target(self) -> Tensor:
        """What delta is the gradient by."""
        return self.a if self.z is None else self.z

    @property
    def activation(self) -> str:
        """The activation's name."""
        name = activations.serialize(self.layer.activation)  # type: ignore[attr-defined]
        return name if isinstance(name, str) else getattr(name, "__name__", type(name).__name__)


def _forward(number: int, layer: Layer, x: Tensor) -> _Pass:
    """Call a layer; where it has weights and an activation, note what the activation gets.

    For that the activation is wrapped. Nobody knows a wrapper by name, so no kernel does it on the way: it is an op of its own on
    the tape, and its input a tensor to take a gradient by.
    """
    activation = vars(layer).get("activation")
    if not (layer.weights and callable(activation)):
        return _Pass(number, layer, x, None, layer(x, training=True))
    calls: list[tuple[Tensor, Tensor]] = []

    def noted(z: Tensor) -> Tensor:
        calls.append((z, activation(z)))
        return calls[-1][1]

    vars(layer)["activation"] = noted
    try:
        a = layer(x, training=True)
    finally:
        vars(layer)["activation"] = activation
    only_at_the_end = len(calls) == 1 and calls[0][1] is a
    return _Pass(number, layer, x, calls[0][0] if only_at_the_end else None, a)


def _layer_step(done: _Pass, delta: Tensor | None, before: dict[int, np.ndarray], gradients: dict[int, Tensor | None]) -> LayerStep:
    weights: dict[str, WeightStep] = {}
    for weight in done.layer.weights:
        name, count = weight.name, 1
        while name in weights:  # of layers in this layer
            name, count = f"{weight.name}_{count}", count + 1
        symbol = f"{LETTERS.get(name, name)}_{done.number - 1}"
        weights[name] = WeightStep(symbol, before[id(weight)], _array(gradients.get(id(weight))), weight.data)
    kind = type(done.layer).__name__
    return LayerStep(done.number, done.layer.name, kind, _array(done.z), done.a.data, _array(delta), weights)


def _array(tensor: Tensor | None) -> np.ndarray | None:
    return None if tensor is None else tensor.data


def _error(loss: Any, y: np.ndarray, output: Tensor) -> np.ndarray | None:
    """Return the output less the targets; None where the output is logits or the targets have another form."""
    if getattr(loss, "from_logits", False) and output.link is None:
        return None
    if y.dtype.kind == "i" and y.shape == output.shape[:-1]:
        y = np.eye(output.shape[-1], dtype=output.dtype)[y]
    return output.data - y if y.shape == output.shape else None


# -------------------------------------------------------------------------- the story, in the notation of NumPy


def _title(step: LayerStep) -> str:
    return f"layer {step.number}: {step.name} ({step.kind})"


def _forward_story(x: np.ndarray, passes: list[_Pass], steps: tuple[LayerStep, ...]) -> Iterator[Section]:
    yield Section("Input", [Row("A_0", x)])
    for done, step in zip(passes, steps, strict=True):
        k = step.number
        rows = [Row(weight.symbol, weight.value) for weight in step.weights.values()]
        if step.Z is None:
            rows.append(Row(f"A_{k} = {step.kind}(A_{k - 1})", step.A))
        else:
            rows.append(Row(f"Z_{k}{_z_formula(done)}", step.Z))
            rows.append(Row(f"A_{k} = {done.activation}(Z_{k})", step.A))
        yield Section(f"Forward, {_title(step)}", rows)


def _z_formula(done: _Pass) -> str:
    k, kind = done.number, type(done.layer)
    if kind not in (Dense, Conv2D, DepthwiseConv2D):
        return ""
    product = f"A_{k - 1} @ W_{k - 1}" if kind is Dense else f"conv2d(A_{k - 1}, W_{k - 1})"
    return f" = {product}{f' + b_{k - 1}' if done.layer.bias is not None else ''}"  # type: ignore[attr-defined]


def _loss_story(
    name: str, last: int, y: np.ndarray, error: np.ndarray | None, loss: Tensor, penalty: float, total: Tensor
) -> list[Row]:
    rows = [Row("y", y)]
    if error is not None:
        target = "y" if y.shape == error.shape else "one_hot(y)"
        rows.append(Row(f"error = A_{last} - {target}", error))
    if not penalty:
        return [*rows, Row(f"L = {name}(y, A_{last})", loss.data)]
    return [
        *rows,
        Row(f"{name}(y, A_{last})", loss.data),
        Row("penalties on weights", np.asarray(penalty)),
        Row("L, the sum of both", total.data),
    ]


def _backward_story(passes: list[_Pass], steps: tuple[LayerStep, ...]) -> Iterator[Section]:
    after: _Pass | None = None
    for done, step in zip(reversed(passes), reversed(steps), strict=True):
        k = step.number
        by = f"dL/d{'A' if step.Z is None else 'Z'}_{k}"
        if step.delta is not None:
            rows = [Row(f"delta_{k} = {by}{_chain_rule(done, after)}", step.delta)]
        elif done.a.link is not None:
            rows = [Row(f"delta_{k} = {by}", f"none: L is computed from A_{k - 1}, the logits")]
        else:
            rows = [Row(f"delta_{k} = {by}", f"none: no derivative of L goes through layer {k}")]
        for name, weight in step.weights.items():
            if weight.gradient is not None:
                rows.append(Row(f"d{weight.symbol} = {_gradient_formula(done, name, weight.symbol)}", weight.gradient))
        yield Section(f"Backward, {_title(step)}", rows)
        after = done


def _chain_rule(done: _Pass, after: _Pass | None) -> str:
    """Return how delta follows from that of the layer after this one, where that is a dense layer."""
    if after is None or after.z is None or type(after.layer) is not Dense or after.x.ndim != 2:
        return ""
    k = done.number
    product = f"delta_{k + 1} @ W_{k}.T"
    if done.z is None or done.activation == "linear":
        return f" = {product}"
    elementwise = (activations.FUNCTIONS.keys() | activations.REGISTRY.own.keys()) - ROWWISE
    return f" = ({product}) * {done.activation}'(Z_{k})" if done.activation in elementwise else ""


def _gradient_formula(done: _Pass, name: str, symbol: str) -> str:
    k, layer = done.number, done.layer
    if type(layer) is Dense and done.z is not None and done.x.ndim == 2 and getattr(layer, f"{name}_regularizer", "") is None:
        return f"A_{k - 1}.T @ delta_{k}" if name == "kernel" else f"delta_{k}.sum(axis=0)"
    return f"dL/d{symbol}"


def _update_story(optimizer: Optimizer, steps: tuple[LayerStep, ...]) -> Iterator[Section]:
    rate = float(optimizer.lr[0])
    limits = (optimizer.clipnorm, optimizer.clipvalue, optimizer.global_clipnorm)
    plain = type(optimizer) is SGD and optimizer.momentum == 0 and limits == (None, None, None)
    rows = []
    for weight in [weight for step in steps for weight in step.weights.values()]:
        if weight.gradient is not None:
            formula = f" = {weight.symbol} - {rate:g} * d{weight.symbol}" if plain else ""
            rows.append(Row(f"new {weight.symbol}{formula}", weight.updated))
        elif not np.array_equal(weight.value, weight.updated):  # moving averages
            rows.append(Row(f"new {weight.symbol}", weight.updated))
    if rows:
        yield Section(f"Update number {optimizer.iterations} by {type(optimizer).__name__}, learning rate {rate:g}", rows)


def _shape(value: np.ndarray | str) -> str:
    return "" if isinstance(value, str) else str(value.shape)


def _formula_html(label: str) -> str:
    """Return a label with its numbers as subscripts, delta as a Greek letter, and ``.T`` as an exponent."""
    label = re.sub(r"\b(\w+?)_(\d+)\b", r"\1<sub>\2</sub>", html.escape(label))
    return re.sub(r"\bdelta<", "δ<", label).replace("</sub>.T", "</sub><sup>T</sup>")
