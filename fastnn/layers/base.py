"""What all layers share: weights, building at the first use, calls and configuration."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from operator import index
from typing import Any, TypeVar

import numpy as np

from .. import activations, initializers, ops, regularizers
from ..arguments import argument_names, refuse
from ..autodiff import Tensor, Variable, as_tensor
from .blank import blank_weight
from .names import note_name, snake_case, unique_name
from .registry import deserialize, serialize

Shape = tuple[int | None, ...]
AddWeight = TypeVar("AddWeight", bound=Callable[..., Variable])

#: the flag `training` of the layer call that is running, which the layers called by it inherit
_training: ContextVar[bool] = ContextVar("training", default=False)
#: held while a layer, and the layers in it, are built: a second thread waits, and finds it built
_build_lock = threading.RLock()


def _name_first(add_weight: AddWeight) -> AddWeight:
    """Return an `add_weight` that takes its name before the other arguments, too."""

    @functools.wraps(add_weight)
    def wrapper(self: Layer, *args: Any, **kwargs: Any) -> Variable:
        if args and isinstance(args[0], str):
            return add_weight(self, *args[1:], name=args[0], **kwargs)
        return add_weight(self, *args, **kwargs)

    return wrapper  # type: ignore[return-value]


class Layer:
    """Weights and a function of a tensor that uses them.

    A subclass creates its weights in `build`, which runs once, when the shape of the inputs is known, and computes in `call`,
    which is made of `fastnn.ops`; the tape differentiates it. Variables and layers that it holds in attributes, or in lists,
    tuples and dicts in attributes, are found there and count as its own.

    Parameters
    ----------
    name : str, optional
        "dense", "dense_1", ... by default.
    trainable : bool, default True
        Whether the weights are trained.
    dtype : {"float32", "float64"}, optional
        Type of the weights and of the arithmetic; float32 by default.
    input_shape : tuple of int, optional
        Shape of one sample: on the first layer of a model, it fixes the shape of the model's inputs.
    input_dim : int, optional
        Short for ``input_shape=(input_dim,)``.

    Raises
    ------
    TypeError
        If there are other arguments, which subclasses pass on with those above: the message lists what there is.

    Examples
    --------
    >>> from fastnn import layers, ops
    >>> class Scale(layers.Layer):
    ...     def build(self, input_shape):
    ...         self.factor = self.add_weight((input_shape[-1],), "ones", name="factor")
    ...     def call(self, x):
    ...         return ops.multiply(x, self.factor)
    >>> layer = Scale()
    >>> layer([[1.0, 2.0]]).numpy()
    array([[1., 2.]], dtype=float32)
    >>> layer.count_params()
    2
    """

    #: names of the axes that inputs have, batch first; None where any number of axes will do
    input_axes: tuple[str, ...] | None = None

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = None,
        input_shape: Sequence[int | None] | None = None,
        input_dim: int | None = None,
        **unknown: Any,
    ) -> None:
        if unknown:
            refuse(type(self), unknown, argument_names(type(self)))
        if input_dim is not None:
            input_shape = (input_dim,)
        self.built = False
        self._building = False
        self._added: list[Variable] = []
        self._regularized: list[tuple[Variable, Callable[[Any], Tensor]]] = []
        self._frozen: list[Variable] = []
        self._extents: dict[int, int] = {}
        self._input_shape: Shape | None = None
        self._output_shape: Shape | None = None
        self._takes_training = "training" in inspect.signature(self.call).parameters
        self._configure(unique_name(snake_case(type(self).__name__)) if name is None else name, trainable, dtype, input_shape)

    def _configure(
        self, name: str, trainable: bool = True, dtype: Any = None, input_shape: Sequence[int | None] | None = None
    ) -> None:
        if not isinstance(name, str) or not name:
            raise ValueError(f"name must be a string that is not empty; got {name!r}")
        note_name(name)
        self.name = name
        self._trainable = bool(trainable)
        self.dtype = float_dtype(dtype)
        self.batch_input_shape: Shape | None = None if input_shape is None else (None, *sample_shape("input_shape", input_shape))

    def __getattr__(self, name: str) -> Any:
        if "_takes_training" not in self.__dict__:  # which __init__ sets near its end
            raise AttributeError(f"__init__ of {type(self).__name__} must call super().__init__(**kwargs)")
        return object.__getattribute__(self, name)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__:
            cls.build = _once(cls.build)  # type: ignore[assignment, method-assign]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"

    # ------------------------------------------------------------------- use

    def build(self, input_shape: Shape) -> None:
        """Create the weights for inputs of shape (None, ...). Subclasses say how; a layer that is built already stays as it is.

        Raises
        ------
        ValueError
            If the layer is not for inputs of this shape.
        """

    def call(self, x: Tensor) -> Tensor:
        """Compute the output from the input, of ops. A subclass may have the argument ``training=False`` too."""
        raise NotImplementedError(f"{type(self).__name__} must define call(self, x) or call(self, x, training=False)")

    def __call__(self, x: Any, training: bool | None = None) -> Tensor:
        """Return the output for a batch of inputs; build the layer first if need be.

        Parameters
        ----------
        x : Tensor or array_like
            Inputs, samples along the first axis; other floats than the layer's are converted.
        training : bool, optional
            Whether this is for training. Left out inside another layer's `call`, it is what that layer got; else False.
        """
        x = self._as_input(x)
        if not self.built:
            self.build((None, *x.shape[1:]))
        self._check_input(x.shape)
        training = _training.get() if training is None else bool(training)
        outer = _training.set(training)
        try:
            y = self.call(x, training=training) if self._takes_training else self.call(x)  # type: ignore[call-arg]
        finally:
            _training.reset(outer)
        if not isinstance(y, Tensor):
            raise TypeError(f"call of {self._described()} must return a Tensor, made by fastnn.ops; got {type(y).__name__}")
        return y

    def _as_input(self, x: Any) -> Tensor:
        if isinstance(x, Layer):
            raise TypeError(
                f"{self._described()} must be called with a Tensor or an array; got the layer {x.name!r}. "
                "Put layers into a row with fastnn.Sequential([...])"
            )
        tensor = as_tensor(x)
        if tensor.dtype is not self.dtype and tensor.dtype.kind == "f" and tensor.dtype != self.dtype:
            tensor = ops.cast(tensor, self.dtype)
        return tensor

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Shape:
        """Return the shape of the output for inputs of a shape; both may have None where an extent is not known yet.

        Where a subclass does not define it, the layer is called with one sample of zeros.
        """
        if None in input_shape[1:]:
            raise ValueError(
                f"the output shape of {self._described()} for inputs of shape {tuple(input_shape)} is not known: "
                "define compute_output_shape in the class"
            )
        y = self(Tensor(np.zeros((1, *input_shape[1:]), self.dtype)))  # type: ignore[arg-type]
        return (input_shape[0], *y.shape[1:])

    # --------------------------------------------------------------- weights

    @_name_first
    def add_weight(
        self,
        shape: Sequence[int] = (),
        initializer: Any = "glorot_uniform",
        dtype: Any = None,
        trainable: bool = True,
        regularizer: Any = None,
        name: str | None = None,
    ) -> Variable:
        """Create a weight of this layer.

        Parameters
        ----------
        shape : sequence of int, default ()
            Its shape.
        initializer : str, Initializer or callable, default "glorot_uniform"
            Its first values, see `fastnn.initializers.get`.
        dtype : dtype_like, optional
            The layer's by default.
        trainable : bool, default True
            Whether training changes it.
        regularizer : str, Regularizer or callable, optional
            Its penalty, see `fastnn.regularizers.get`.
        name : str, optional
            Its name within the layer.

        Returns
        -------
        Variable

        Notes
        -----
        A string as the first argument is the name, as in Keras 2; the others follow it.
        """
        what = f"weight {name!r} of {self._described()}"
        try:
            shape = tuple([index(extent) for extent in shape])
        except TypeError:
            raise ValueError(f"the shape of {what} must be a tuple of integers; got {shape!r}") from None
        dtype = self.dtype if dtype is None else np.dtype(dtype)
        value: Any = blank_weight(what, shape, dtype)
        if value is None:
            value = initializers.get(initializer)(shape, dtype=dtype)
        if np.shape(value) != shape:
            raise ValueError(f"the initializer of {what} must return shape {shape}; got {np.shape(value)}")
        variable = Variable(value, trainable=trainable and self.trainable, dtype=dtype, name=name)
        self._added.append(variable)
        if trainable and not self.trainable:
            self._frozen.append(variable)
        penalty = regularizers.get(regularizer)
        if penalty is not None:
            self._regularized.append((variable, penalty))
        return variable

    def state_arrays(self) -> dict[str, np.ndarray]:
        """Return, by name, what training changes besides the weights, such as the state of a random generator.

        Model files hold it. The arrays are the layer's own: loading writes into them.
        """
        return {}

    @property
    def trainable(self) -> bool:
        """Whether the weights of this layer, and of the layers in it, are trained; a change counts from the next training on."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        if value:
            for variable in self._frozen:
                variable.trainable = True
            self._frozen.clear()
        else:
            for variable in self._held(Variable):
                if variable.trainable:
                    variable.trainable = False
                    self._frozen.append(variable)
        for layer in self._held(Layer):
            layer.trainable = value

    @property
    def weights(self) -> list[Variable]:
        """All weights: its own, then those of the layers in it."""
        found = (variable for layer in self.flattened() for variable in layer._held(Variable))
        return list({id(variable): variable for variable in found}.values())

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that an optimizer updates."""
        return [variable for variable in self.weights if variable.trainable] if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights that no optimizer updates, such as moving averages."""
        return [variable for variable in self.weights if not variable.trainable] if self.trainable else self.weights

    @property
    def variables(self) -> list[Variable]:
        """All weights."""
        return self.weights

    @property
    def trainable_variables(self) -> list[Variable]:
        """The weights that an optimizer updates."""
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The weights that no optimizer updates."""
        return self.non_trainable_weights

    def flattened(self) -> list[Layer]:
        """Return this layer and all layers in it, each once."""
        found = {id(self): self}
        for layer in self._held(Layer):
            found.update((id(inner), inner) for inner in layer.flattened())
        return list(found.values())

    def get_weights(self) -> list[np.ndarray]:
        """Return copies of all weights."""
        return [variable.data.copy() for variable in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Write arrays into all weights, in the order of `get_weights`.

        Raises
        ------
        ValueError
            If their number or a shape does not fit; then nothing is changed.
        """
        assign_all(self.weights, weights, self._described())

    def count_params(self) -> int:
        """Return the number of elements of all weights.

        Raises
        ------
        ValueError
            If the layer is not built yet.
        """
        self._check_built()
        return sum(variable.size for variable in self.weights)

    @property
    def losses(self) -> list[Tensor]:
        """Penalties of the regularized weights that are trained, computed now."""
        return [penalty for layer in self.flattened() for penalty in layer.own_losses()]

    def own_losses(self) -> list[Tensor]:
        """Return the penalties of this layer alone, without those of the layers in it."""
        return [regularizer(variable) for variable, regularizer in self._regularized if variable.trainable]

    def _held(self, kind: type[Held]) -> list[Held]:
        """Return the variables or layers in attributes, each once."""
        found: dict[int, Held] = {}
        for value in vars(self).values():
            for item in _leaves(value):
                if isinstance(item, kind):
                    found[id(item)] = item
        return list(found.values())

    # ---------------------------------------------------------------- shapes

    @property
    def input_shape(self) -> Shape:
        """Shape of the inputs that the layer was built for, (None, ...)."""
        self._check_built()
        assert self._input_shape is not None
        return self._input_shape

    @property
    def output_shape(self) -> Shape:
        """Shape of the outputs, (None, ...)."""
        if self._output_shape is None:
            self._output_shape = tuple(self.compute_output_shape(self.input_shape))
        return self._output_shape

    def _check_built(self) -> None:
        if not self.built:
            raise ValueError(f"{self._described()} is not built yet: call it with data, or its build((None, ...)), first")

    def _check_input(self, shape: Sequence[int | None]) -> None:
        """Raise ValueError, with advice, if inputs have the wrong number of axes, or an extent that the weights do not fit."""
        axes = self.input_axes
        if (axes is not None and len(shape) != len(axes)) or any(
            shape[axis] is not None and shape[axis] != extent for axis, extent in self._extents.items()
        ):
            raise ValueError(self._input_message(shape))

    def _input_message(self, shape: Sequence[int | None]) -> str:
        wanted: list[Any] = list(self.input_axes or ("batch", *(f"axis {i}" for i in range(1, len(shape)))))
        for axis, extent in self._extents.items():
            wanted[axis] = extent
        advice = self._input_advice(shape)
        return (
            f"{self._described()} needs inputs of shape ({', '.join(map(str, wanted))}); got {tuple(shape)}"
            f"{f'. {advice}' if advice else ''}"
        )

    def _input_advice(self, shape: Sequence[int | None]) -> str:
        """Return what to do about inputs of a shape that does not fit."""
        return ""

    def _known_extent(self, input_shape: Shape, axis: int, what: str) -> int:
        """Return an extent that weights are made for, and hold later inputs to it."""
        extent = input_shape[axis]
        if extent is None:
            raise ValueError(f"{self._described()} needs to know the number of {what} of its inputs; got shape {input_shape}")
        self._extents[axis] = extent
        return extent

    def _described(self) -> str:
        return f"layer {self.name!r} ({type(self).__name__})"

    # --------------------------------------------------------- configuration

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again.

        Each argument of ``__init__`` is looked up in the attribute of the same name; a subclass that keeps them elsewhere adds
        them to what this method returns.
        """
        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable, "dtype": self.dtype.name}
        if self.batch_input_shape is not None:
            config["input_shape"] = list(self.batch_input_shape[1:])
        common = argument_names(Layer)
        for argument in [name for name in argument_names(type(self)) if name not in common]:
            if hasattr(self, argument):
                config[argument] = _plain(getattr(self, argument))
            elif type(self).get_config is Layer.get_config:
                raise NotImplementedError(
                    f"{type(self).__name__} takes the argument {argument!r} but has no attribute of that name: "
                    f"set self.{argument}, or define get_config"
                )
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Layer:
        """Make the layer that `get_config` described, with new weights."""
        arguments = dict(config)
        if any(p.kind is p.VAR_KEYWORD for p in inspect.signature(cls).parameters.values()) or cls.__init__ is Layer.__init__:
            return cls(**arguments)
        common = {key: arguments.pop(key) for key in ("name", "trainable", "dtype", "input_shape") if key in arguments}
        layer = cls(**arguments)
        layer._configure(**{"name": layer.name, **common})
        return layer


class SameShapeLayer(Layer):
    """A layer whose outputs have the shape of its inputs."""

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Shape:
        return tuple(input_shape)


Held = TypeVar("Held", Variable, Layer)


def _once(build: Callable[[Any, Shape], None]) -> Callable[[Any, Any], None]:
    """Return a `build` that leaves a built layer alone and notes the shapes."""

    @functools.wraps(build)
    def wrapper(self: Layer, input_shape: Sequence[int | None]) -> None:
        with _build_lock:
            if self._building:  # by super().build
                build(self, tuple(input_shape))
            elif not self.built:
                before = self._added.copy(), self._regularized.copy(), self._frozen.copy()
                self._building = True
                try:
                    _build(self, functools.partial(build, self), tuple(input_shape))
                except BaseException:  # leave nothing behind, so that it can be built for another shape
                    self.built = False
                    self._added, self._regularized, self._frozen = before
                    self._extents.clear()
                    raise
                finally:
                    self._building = False
            else:
                self._check_input(tuple(input_shape))

    return wrapper


def _build(layer: Layer, build: Callable[[Shape], None], shape: Shape) -> None:
    layer._check_input(shape)
    build(shape)
    layer._input_shape, layer._output_shape, layer.built = shape, None, True
    if type(layer).compute_output_shape is not Layer.compute_output_shape:
        layer._output_shape = tuple(layer.compute_output_shape(shape))
    if None not in shape[1:] and any(not inner.built for inner in layer._held(Layer)):
        Layer.compute_output_shape(layer, shape)  # calling the layer builds those that it uses; else the first batch does


Layer.build = _once(Layer.build)  # type: ignore[assignment, method-assign]


def output_shapes(layers: Iterable[Layer], input_shape: Sequence[int | None]) -> list[Shape]:
    """Return the shapes of the outputs of built layers in a row, the first of which gets inputs of a shape.

    They are not the layers' own: one that models share was built for the inputs of the first of them.
    """
    shapes, shape = [], tuple(input_shape)
    for layer in layers:
        shape = layer.output_shape if layer._input_shape == shape else tuple(layer.compute_output_shape(shape))
        shapes.append(shape)
    return shapes


def assign_all(variables: Sequence[Variable], values: Sequence[Any], owner: str) -> None:
    """Write arrays into variables, or into none if their number or a shape does not fit; `owner` names whose they are."""
    if len(values) != len(variables):
        raise ValueError(f"weights must be {len(variables)} arrays for {owner}; got {len(values)}")
    for variable, value in zip(variables, values, strict=True):
        if np.shape(value) != variable.shape:
            raise ValueError(
                f"weight {variable.name!r} of {owner} has shape {variable.shape}; got an array of shape {np.shape(value)}"
            )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        yield value
        return
    for item in value:
        yield from _leaves(item)


def _plain(value: Any) -> Any:
    """Return a configuration value that JSON can hold, as far as there is one."""
    if isinstance(value, Layer):
        return serialize(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, initializers.Initializer):
        return initializers.serialize(value)
    if isinstance(value, regularizers.Regularizer):
        return regularizers.serialize(value)
    return activations.serialize(value) if callable(value) else value


def float_dtype(dtype: Any) -> np.dtype:
    """Return float32 for None, else the dtype, which must be float32 or float64."""
    found = np.dtype("float32" if dtype is None else dtype)
    if found.name not in ("float32", "float64"):
        raise ValueError(f"dtype must be 'float32' or 'float64'; got {dtype!r}")
    return found


def sample_shape(argument: str, shape: Any) -> Shape:
    """Return the shape of a sample as a tuple of positive integers and None."""
    if not isinstance(shape, (tuple, list)):
        raise TypeError(f"{argument} must be a tuple, the shape of one sample such as (28, 28, 1) or (784,); got {shape!r}")
    for extent in shape:
        if extent is not None and (isinstance(extent, bool) or not isinstance(extent, (int, np.integer)) or extent < 1):
            raise ValueError(f"{argument} must be made of positive integers, and None for what is not fixed; got {tuple(shape)!r}")
    return tuple(None if extent is None else int(extent) for extent in shape)


def get_activation(identifier: Any) -> activations.Activation:
    """Return an activation: as `fastnn.activations.get`, or a layer from its configuration."""
    return deserialize(identifier) if isinstance(identifier, Mapping) else activations.get(identifier)
