"""Recorded calls, replaced by cheaper ones that give the same numbers but for rounding, or left out where nobody reads them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from .kernels import spec
from .kernels.spec.activation import ALPHA_DEFAULT, FUSED

Call = tuple[str, tuple]

#: derivatives that follow from an activation's output alone
_FROM_OUTPUT = {f"{name}_backward" for name in FUSED if name != "linear"}
#: ops that compute such an activation -> its name
_ACTIVATIONS = {f"{name}_forward": name for name in FUSED if name != "linear"}
_POOLS = {"maxpool2d_forward", "avgpool2d_forward", "global_avgpool2d_forward"}
#: gradients of poolings: of the largest elements, given the windows, and of averages
_GATHER = "maxpool2d_backward__gather"
_AVERAGES = {"avgpool2d_backward", "global_avgpool2d_backward"}
#: ops that take a batch from the data set
_BATCHES = "gather", "gather_uint8"
#: ops that can read a batch in halves, and from how many elements on that pays: smaller batches are one thread's work
_READ_HALVES, _LARGE_BATCH = ("dense_forward", "dense_backward_weight", "dense_descent"), 32768
#: no activation: its code and alpha
_LINEAR = FUSED["linear"], 0.0
#: in the place of a call that is not there
_NOTHING: Call = ("", ())
#: windows of one pixel: pool_h, pool_w, stride_h, stride_w, pad_top, pad_left
_PIXELS = (1, 1, 1, 1, 0, 0)


def rewritten(calls: Sequence[Call], results: Iterable[np.ndarray], provided: Collection[str]) -> list[Call]:
    """Return what is to be run in the place of recorded calls.

    Parameters
    ----------
    calls : list of (str, tuple)
        Op names and arguments, in order.
    results : iterable of ndarray
        Arrays that somebody reads after the calls.
    provided : collection of str
        The ops that the backend has.
    """
    results = [base_of(array) for array in results]
    families = {family for family, ops in spec.OPTIONAL.items() if all(op.name in provided for op in ops)}
    made = _relu_in_gradients(_derivatives_behind_pools(calls, results), results)
    made = _penalties_in_gradients(made, results)
    if "rewritten" in families:
        made = _maxima_in_batchnorm_backward(_gathering(made))
        if "recomputed" in families:
            made = _activations_in_batchnorm_backward(made)
    made = _rescalings_in_batches(_without_dead_calls(made, results), results)
    if "rewritten" in families:
        made = _pools_in_batchnorm_forward(made, results)
    if "descent" in families:
        made = _descents(made, results)
    if "halves" in families:
        made = _in_halves(made, results)
    if "gradients" in families:
        made = _relu_in_gradients(_gradients_together(made), results)
    return made


def _derivatives_behind_pools(calls: Sequence[Call], results: list[np.ndarray]) -> list[Call]:
    """Take the derivative of an activation that feeds a max-pooling at the pooled elements only, before they are spread.

    Each window passes its gradient to one element, whose activation is what the pooling kept: in f'(y) * spread(dp), as it is
    recorded, all but one element of each window is zero, and spread(f'(pooled y) * dp) is the same. Only for windows that do not
    overlap: where they do, the products would be rounded before they are added and not after.
    """
    pools = {
        _place(argmax): (x, pooled)
        for name, args in calls
        if name == "maxpool2d_forward"
        for x, pool_h, pool_w, stride_h, stride_w, _, _, pooled, argmax in [args]
        if stride_h >= pool_h and stride_w >= pool_w
    }
    uses = _uses(calls, results)
    made = list(calls)
    for i, (name, args) in enumerate(calls[:-1]):
        if name != "maxpool2d_backward" or _place(args[1]) not in pools:
            continue
        dp, argmax, spread = args
        x, pooled = pools[_place(argmax)]
        next_name, (*inputs, dx) = calls[i + 1]
        follows = next_name in _FROM_OUTPUT and [_place(a) for a in inputs[:2]] == [_place(spread), _place(x)]
        if follows and uses[id(base_of(spread))] == 2:
            at_pooled = np.empty_like(dp)
            made[i] = (next_name, (dp, pooled, *inputs[2:], at_pooled))
            made[i + 1] = (name, (at_pooled, argmax, dx.reshape(spread.shape)))
    return made


def _relu_in_gradients(calls: Sequence[Call], results: list[np.ndarray]) -> list[Call]:
    """Let a gradient whose op can do so take the derivative of relu before it, whose output it reads anyway."""
    uses = _uses(calls, results)
    made: list[Call] = []
    for name, args in calls:
        before, given = made[-1] if made else _NOTHING
        if name == "relu_backward" and before and "relu" in (names := spec.OPS[before].argument_names):
            (dy, y, by_input), own = args, dict(zip(names, given, strict=True))
            gradient = own["dx"]
            if [_place(dy), _place(y)] == [_place(gradient), _place(own["x"])] and uses[id(base_of(gradient))] == 2:
                made[-1] = before, tuple((own | {"relu": 1, "dx": by_input.reshape(gradient.shape)}).values())
                continue
        made.append((name, args))
    return made


def _penalties_in_gradients(calls: Sequence[Call], results: list[np.ndarray]) -> list[Call]:
    """Add the gradient of a penalty to that of the loss as it is computed, where it is used for nothing else."""
    uses = _uses(calls, results)
    penalties: dict[tuple[int, int], tuple] = {}
    made: list[Call] = []
    for name, args in calls:
        if name == "add" and not penalties.keys().isdisjoint(places := [_place(part) for part in args[:2]]):
            gradient, penalty = args[:2] if places[1] in penalties else args[1::-1]
            dpenalty, w, _, l1, l2, _ = penalties.pop(_place(penalty))
            made.append(("penalty_backward", (dpenalty, w, gradient.reshape(w.shape), l1, l2, args[2].reshape(w.shape))))
            continue
        made.append((name, args))
        changed = {_place(array) for array in args[-len(spec.OPS[name].outputs) :] if isinstance(array, np.ndarray)}
        penalties = {at: given for at, given in penalties.items() if changed.isdisjoint(map(_place, given[:2]))}
        if name == "penalty_backward" and args[2] is None and uses[id(base_of(args[-1]))] == 2:
            penalties[_place(args[-1])] = args
    return made


def _rescalings_in_batches(calls: Sequence[Call], results: list[np.ndarray]) -> list[Call]:
    """Rescale a batch as it is gathered, where nobody reads it as it was."""
    uses = _uses(calls, results)
    gathered: dict[tuple[int, int], int] = {}
    made: list[Call] = []
    for name, args in calls:
        if name == "rescale" and _place(args[0]) in gathered and uses[id(base_of(args[0]))] == 2:
            at = gathered[_place(args[0])]
            gather, (data, index, _, _, batch) = made[at]
            made[at] = gather, (data, index, *args[1:3], args[3].reshape(batch.shape))
            continue
        if name in _BATCHES and args[2:4] == (1.0, 0.0):
            gathered[_place(args[-1])] = len(made)
        made.append((name, args))
    return made


def _descents(calls: Sequence[Call], results: list[np.ndarray]) -> list[Call]:
    """Subtract the gradient of a dense layer from its weights as it is summed, where nothing but a step of SGD reads it.

    So the step is made earlier: only where nobody reads the weights, or changes the rate, in between.
    """
    uses = _uses(calls, results)
    touched: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for i, call in enumerate(calls):
        for array, declared in arrays_of(call):
            touched[id(base_of(array))].append((i, declared.role))
    steps = {_place(args[0]): i for i, (name, args) in enumerate(calls) if name == "sgd_step" and uses[id(base_of(args[0]))] == 2}
    made: list[Call | None] = list(calls)
    for i, (name, args) in enumerate(calls):
        if name != "dense_backward_weight":
            continue
        x, dy, dw, db = args
        own = [steps.get(_place(gradient), i) for gradient in (dw, db) if gradient is not None]
        rates, weights = [calls[j][1][1] for j in own], [calls[j][1][2] for j in own]
        later = {j for w in weights for j, _ in touched[id(base_of(w))] if j > i}
        later |= {j for rate in rates for j, role in touched[id(base_of(rate))] if j > i and role != "in"}
        if i not in own and later == set(own) and len({_place(rate) for rate in rates}) == 1:
            for j in own:
                made[j] = None
            made[i] = "dense_descent", (x, dy, rates[0], weights[0].reshape(dw.shape), weights[1] if len(weights) > 1 else None)
    return [call for call in made if call]


def _gradients_together(calls: Sequence[Call]) -> list[Call]:
    """Replace the gradients of a convolution by input and by filters, where they follow each other, by the op that has both."""
    made: list[Call] = []
    for name, args in calls:
        before, given = made[-1] if made else _NOTHING
        if (before, name) == ("conv2d_backward_input", "conv2d_backward_weight"):
            (dy, w, *window, dx), (x, errors, *own_window, dw, db) = given, args
            if _place(dy) == _place(errors) and window == own_window and x.shape == dx.shape:
                made[-1] = "conv2d_backward", (x, dy, w, *window, 0, dx, dw, db)
                continue
        made.append((name, args))
    return made


def _in_halves(calls: Sequence[Call], results: list[np.ndarray]) -> list[Call]:
    """Keep batches in halves that only dense layers read: see `fastnn.kernels.spec.halves`."""
    uses = _uses(calls, results)
    readers: dict[tuple, list[int]] = defaultdict(list)
    for i, (name, args) in enumerate(calls):
        if name in _READ_HALVES:
            readers[_place(args[0]), args[0].shape].append(i)
    made = list(calls)
    for i, (name, args) in enumerate(calls):
        if name not in _BATCHES:
            continue
        batch = args[-1]
        own = readers[_place(batch), batch.shape]
        rows, columns = batch.shape
        if batch.size >= _LARGE_BATCH and columns >= 2 * rows and own and uses[id(base_of(batch))] == 1 + len(own):
            for j in (i, *own):
                name, args = calls[j]
                more = (np.empty_like(args[-1]),) if name == "dense_forward" else ()
                made[j] = f"{name}__halves", (*args, *more)
    return made


def _gathering(calls: Sequence[Call]) -> list[Call]:
    """Give the gradient of a max-pooling its windows: it can then gather the errors of each pixel instead of spreading them."""
    windows = {_place(args[8]): args[1:7] for name, args in calls if name == "maxpool2d_forward"}
    return [
        (_GATHER, (*args[:2], *windows[_place(args[1])], args[2]))
        if name == "maxpool2d_backward" and _place(args[1]) in windows
        else (name, args)
        for name, args in calls
    ]


def _maxima_in_batchnorm_backward(calls: Sequence[Call]) -> list[Call]:
    """Let the gradient of a batch normalization start from that of the max-pooling behind it, whose own call is then dead."""
    gathered = {_place_of_channels(args[-1]): args for name, args in calls if name == _GATHER}
    made = []
    for name, args in calls:
        if name == "batchnorm_backward" and _place_of_channels(args[0]) in gathered:
            gradient, x, gamma, mean, var, eps, relu, dx, *sums = args
            dy, argmax, *window, spread = gathered[_place_of_channels(gradient)]
            inputs = dy, argmax, x.reshape(spread.shape), gamma, mean, var
            name, args = "batchnorm_maxpool_backward", (*inputs, eps, relu, *window, dx.reshape(spread.shape), *sums)
        made.append((name, args))
    return made


def _activations_in_batchnorm_backward(calls: Sequence[Call]) -> list[Call]:
    """Let the gradient of a batch normalization start from that of an activation behind it, of averages, or of both.

    Calls whose results are no longer read are dead then. The activation is computed again, from x, which is read anyway.
    """
    normalized = {_place(args[5]): args for name, args in calls if name == "batchnorm_forward"}  # by the means
    makers = _ACTIVATIONS.keys() | _FROM_OUTPUT | _AVERAGES
    made_by = {_place_of_channels(args[-1]): (name, args) for name, args in calls if name in makers}
    made = []
    for name, args in calls:
        if name == "batchnorm_backward" and _place(args[3]) in normalized:
            gradient, x, gamma, mean, var, eps, relu, dx, *sums = args
            _, _, beta, _, z, _, _ = normalized[_place(mean)]
            activation = _LINEAR
            behind, given = made_by.get(_place_of_channels(gradient), _NOTHING)
            if behind in _FROM_OUTPUT:
                forward, inputs = made_by.get(_place_of_channels(given[1]), _NOTHING)
                if forward in _ACTIVATIONS and _place(inputs[0]) == _place(z):
                    activation, gradient = _code(forward, *inputs[1:]), given[0]
                    behind, given = made_by.get(_place_of_channels(gradient), _NOTHING)
            if behind in _AVERAGES or activation != _LINEAR:
                dy, *window, spread = given if behind in _AVERAGES else (gradient.reshape(x.shape), *_PIXELS, x)
                image = _as_images(spread)
                inputs = _as_images(dy), x.reshape(image.shape), gamma, beta, mean, var
                params = eps, *activation, relu, *(window or _all_of(image))
                name, args = "batchnorm_avgpool_backward", (*inputs, *params, dx.reshape(image.shape), *sums)
        made.append((name, args))
    return made


def _pools_in_batchnorm_forward(calls: Sequence[Call], results: list[np.ndarray]) -> list[Call]:
    """Let a batch normalization activate and pool what nobody else reads."""
    uses = _uses(calls, results)
    readers = {_place_of_channels(args[0]): i for i, (name, args) in enumerate(calls) if name in _ACTIVATIONS.keys() | _POOLS}
    made: list[Call | None] = list(calls)

    def taken_by_reader(array: np.ndarray, *names: str) -> tuple[str, tuple]:
        """Return the only call that reads an array, if it is one of these, and leave it out."""
        i = readers.get(_place_of_channels(array)) if uses[id(base_of(array))] == 2 else None
        if i is None or calls[i][0] not in names:
            return _NOTHING
        made[i] = None
        return calls[i]

    for i, (name, args) in enumerate(calls):
        if name != "batchnorm_forward":
            continue
        x, gamma, beta, eps, y, mean, var = args
        forward, given = taken_by_reader(y, *_ACTIVATIONS)
        activation, y = (_code(forward, *given[1:]), given[-1]) if forward else (_LINEAR, y)
        pooling, given = taken_by_reader(y, *_POOLS)
        if not forward and not pooling:
            continue
        if pooling == "maxpool2d_forward":
            image, *window, y, argmax = given
            outputs: tuple = (y, argmax)
        else:
            image, *window, y = given if pooling else (x, *_PIXELS, y.reshape(x.shape))
            image, outputs = _as_images(image), (_as_images(y),)
        inputs = x.reshape(image.shape), gamma, beta, eps, *activation, *(window or _all_of(image))
        made[i] = f"batchnorm_{'max' if len(outputs) == 2 else 'avg'}pool_forward", (*inputs, *outputs, mean, var)
    return [call for call in made if call]


def _code(forward: str, *alpha_and_y: Any) -> tuple[int, float]:
    """Return code and alpha of an activation from the rest of its call."""
    name = _ACTIVATIONS[forward]
    return FUSED[name], alpha_and_y[0] if name in ALPHA_DEFAULT else 0.0


def _as_images(array: np.ndarray) -> np.ndarray:
    """Return images as they are, and rows as images of one pixel."""
    return array if array.ndim == 4 else array.reshape(len(array), 1, 1, array.shape[1])


def _all_of(images: np.ndarray) -> tuple[int, ...]:
    """Return the window that is the whole image."""
    return (*images.shape[1:3], *images.shape[1:3], 0, 0)


def arrays_of(call: Call) -> list[tuple[np.ndarray, spec.Array]]:
    """Return the array arguments of a call with what the spec says of them."""
    name, args = call
    op = spec.OPS[name]
    given = (*args[: len(op.inputs)], *args[len(op.inputs) + len(op.params) :])
    return [(array, declared) for array, declared in zip(given, op.arrays, strict=True) if array is not None]


def _without_dead_calls(calls: Sequence[Call], results: list[np.ndarray]) -> list[Call]:
    """Leave out calls that only write what no later call and no caller reads (the first layer's dx, unused softmax outputs)."""
    # Owners that are read before they are written hold state (weights, moving averages): writing them is never dead.
    live = {id(owner) for owner in results}
    written: set[int] = set()
    for call in calls:
        for array, declared in arrays_of(call):
            key = id(base_of(array))
            if declared.role != "out" and key not in written:
                live.add(key)
            written.add(key)
    kept = []
    for call in reversed(calls):
        arrays = arrays_of(call)
        if any(declared.role != "in" and id(base_of(array)) in live for array, declared in arrays):
            kept.append(call)
            live.update(id(base_of(array)) for array, declared in arrays if declared.role != "out")
    return kept[::-1]


def _uses(calls: Sequence[Call], results: list[np.ndarray]) -> Counter[int]:
    """Return how often each array, or a view of it, is an argument or a result."""
    values = [value for _, args in calls for value in args if isinstance(value, np.ndarray)]
    return Counter(id(base_of(array)) for array in (*values, *results))


def _place(array: np.ndarray) -> tuple[int, int]:
    """Return where a contiguous array lies: views of the same elements have different ids."""
    return array.ctypes.data, array.nbytes


def _place_of_channels(array: np.ndarray) -> tuple[int, ...]:
    """Return where a contiguous array lies, and how many channels it has there: pooling may see others than normalization.

    They differ behind a reshaping, and for channels_first images, which are pooled as many images of one channel.
    """
    return *_place(array), *array.shape[-1:]


def base_of(array: np.ndarray) -> np.ndarray:
    """Return the array that owns the memory of a view."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array
