"""The Sequential model: layers in a row, and what trains them."""

from __future__ import annotations

import copy
import math
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpy as np

from . import callbacks as callbacks_module
from . import losses as losses_module
from . import metrics as metrics_module
from . import optimizers
from .arguments import described
from .autodiff import Tensor, Variable
from .data import BATCHES, GENERATOR_HINT, as_inputs, as_sample_weight, batch_inputs, batch_parts, has_batches, split_validation
from .epochs import ArrayEpochs, BatchEpochs
from .kernels.functions.checks import integer
from .kernels.interop import on_host
from .kernels.precision import arithmetic
from .layers import InputLayer, Layer, deserialize, serialize
from .layers.base import assign_all, output_shapes
from .layers.names import unique_name
from .mistakes import loss_of_outputs, warn_of_divergence, warn_of_metrics, warn_of_pixels
from .program import Arena
from .summary import summary_html, summary_text
from .training import CopiedBatch, Meters, PredictStep, StepCache, TestStep, TrainStep

if TYPE_CHECKING:
    from .explain import Explanation

Part = TypeVar("Part", Layer, Variable)

#: batch size of evaluate and predict where none is given: results do not depend on it
INFERENCE_BATCH = 256


class Sequential:
    """A stack of layers, each fed with the output of the one before.

    Parameters
    ----------
    layers : sequence of Layer, optional
        The layers; `fastnn.layers.Input` (or a first layer with ``input_shape=``) fixes the shape of a sample, else the first data
        does.
    name : str, optional
        The model's name; "sequential", "sequential_1", ... by default.

    Attributes
    ----------
    class_names : list of str, optional
        What the outputs of a classifier stand for, in their order: files keep it, and ``fastnn predict`` writes it.

    See Also
    --------
    fastnn.load_model : Reads a model from the file that `save` wrote.
    fastnn.estimators.NetworkClassifier, fastnn.estimators.NetworkRegressor : A model as an estimator of scikit-learn.
    fastnn.GradientTape : For a training loop of your own.

    Examples
    --------
    Exclusive or, the smallest function that no single layer computes:

    >>> import numpy as np
    >>> import fastnn
    >>> from fastnn import layers
    >>> fastnn.set_seed(0)
    >>> x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> y = np.array([0, 1, 1, 0])
    >>> model = fastnn.Sequential([
    ...     layers.Input((2,)),
    ...     layers.Dense(8, activation="tanh"),
    ...     layers.Dense(1, activation="sigmoid"),
    ... ])
    >>> model.count_params()
    33
    >>> model.compile(fastnn.optimizers.Adam(0.1), "binary_crossentropy", ["accuracy"])
    >>> history = model.fit(x, y, epochs=100, verbose=0)
    >>> model.predict(x).round().ravel()
    array([0., 1., 1., 0.], dtype=float32)
    """

    # Methods that begin with an underscore are not for users, though other modules of the package call some of them.

    def __init__(self, layers: Sequence[Layer] | None = None, name: str | None = None) -> None:
        self.name = name if name is not None else unique_name("sequential")
        self.layers: list[Layer] = []
        self.class_names: list[str] | None = None
        self.built = False
        self.stop_training = False
        self.initial_epoch = 0
        self.history: callbacks_module.History | None = None
        self.optimizer: optimizers.Optimizer | None = None
        self.loss: losses_module.Loss | None = None
        self._lock = threading.RLock()
        self._given_metrics: list[Any] = []
        self._metrics: list[metrics_module.Metric] | None = None
        self._forget_steps()
        self._input_shape: tuple | None = None
        self._output_shape: tuple | None = None
        if isinstance(layers, Layer):
            raise TypeError(f"layers must be a list of layers, Sequential([...]); got {type(layers).__name__} alone")
        for layer in layers or ():
            self.add(layer)

    def __getstate__(self) -> dict[str, Any]:
        """Return what copies and pickles hold: all but the recorded steps, which are made again, and who uses them."""
        state = {**self.__dict__, "_arena": Arena(), "_predict_step": None}
        del state["_lock"]
        return state

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        self.__dict__.update(attributes)
        self._lock = threading.RLock()

    # ---------------------------------------------------------------- layers

    def add(self, layer: Layer) -> None:
        """Put a layer at the end of the stack.

        Raises
        ------
        TypeError
            If it is not a layer.
        ValueError
            If a layer of the same name is there, or an input layer comes after another layer.
        """
        if not isinstance(layer, Layer):
            raise TypeError(f"layer must be a fastnn.layers.Layer; got {described(layer)}")
        self._forget_steps()
        if isinstance(layer, InputLayer):
            if self.layers or self._input_shape:
                raise ValueError("Input must come before all other layers")
            self._input_shape = layer.batch_shape
            return
        if any(layer.name == other.name for other in self.layers):
            raise ValueError(f"layer names must differ; two layers are called {layer.name!r}")
        shape = self._input_shape
        if shape is None and not self.layers:
            shape = layer.batch_input_shape
        if shape is not None:
            layer.build(self.output_shape if self.layers else shape)
            self._input_shape, self.built = shape, True
        self.layers.append(layer)
        self._output_shape = None

    def pop(self) -> Layer:
        """Take the last layer off and return it."""
        if not self.layers:
            raise ValueError("the model has no layers to pop")
        self._forget_steps()
        self._output_shape = None
        return self.layers.pop()

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Create the weights for inputs of shape (None, ...).

        Raises
        ------
        ValueError
            If the shape does not fit a layer, which may be built for other inputs already.
        """
        shape = tuple(input_shape)
        for layer in self.layers:
            layer.build(shape)
            (shape,) = output_shapes([layer], shape)
        self._input_shape, self._output_shape, self.built = tuple(input_shape), shape, True

    @property
    def input_shape(self) -> tuple:
        """Shape of a batch of inputs, (None, ...)."""
        if not self.built or self._input_shape is None:
            raise ValueError(
                f"model {self.name!r} is not built yet: give the first layer input_shape=, add an Input, or call build()"
            )
        return self._input_shape

    @property
    def output_shape(self) -> tuple:
        """Shape of a batch of outputs, (None, ...)."""
        if self._output_shape is None:
            self._output_shape = self.compute_output_shape(self.input_shape)
        return self._output_shape

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple:
        """Return the shape of a built model's outputs for inputs of a shape; both may have None for what is not known yet."""
        return [tuple(input_shape), *output_shapes(self.layers, input_shape)][-1]

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return a layer by name or by index."""
        if index is not None:
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(f"no layer is called {name!r}; there are {', '.join(layer.name for layer in self.layers)}")

    def __call__(self, x: Any, training: bool = False) -> Tensor:
        """Return the output Tensor for a batch of inputs."""
        if not isinstance(x, Tensor):
            x = Tensor(as_inputs(x, self._input_shape, self.dtype, convert=True))
        if not self.built:
            self.build((None, *x.shape[1:]))
        for layer in self.layers:
            x = layer(x, training=training)
        return x

    # --------------------------------------------------------------- weights

    @property
    def weights(self) -> list[Variable]:
        """All weights, layer by layer."""
        return _each_once(weight for layer in self.layers for weight in layer.weights)

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that an optimizer updates."""
        return _each_once(weight for layer in self.layers for weight in layer.trainable_weights)

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights that no optimizer updates, such as moving averages."""
        return _each_once(weight for layer in self.layers for weight in layer.non_trainable_weights)

    trainable_variables = trainable_weights
    variables = weights

    @property
    def losses(self) -> list[Tensor]:
        """Regularization penalties, computed now."""
        return [penalty for layer in self._flattened_layers() for penalty in layer.own_losses()]

    def _flattened_layers(self) -> list[Layer]:
        return _each_once(inner for layer in self.layers for inner in layer.flattened())

    @property
    def dtype(self) -> np.dtype:
        """The float type of the model's arithmetic."""
        return self.layers[0].dtype if self.layers else np.dtype(np.float32)

    def get_weights(self) -> list[np.ndarray]:
        """Return copies of all weights."""
        return [weight.data.copy() for weight in self.weights]

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Write arrays into all weights, in the order of `get_weights`.

        Raises
        ------
        ValueError
            If their number or a shape does not fit; then nothing is changed.
        """
        assign_all(self.weights, weights, f"model {self.name!r}")

    def count_params(self) -> int:
        """Return the number of weights."""
        if not self.built:
            raise ValueError(
                f"model {self.name!r} is not built yet, so its parameters cannot be counted; call build() or fit() first"
            )
        return sum(weight.size for weight in self.weights)

    def summary(self, print_fn: Callable[[str], Any] = print) -> None:
        """Print the table of layers, output shapes and parameter counts."""
        print_fn(summary_text(self, getattr(sys.stdout, "encoding", None) if print_fn is print else None))

    def _repr_html_(self) -> str:
        return summary_html(self)

    # --------------------------------------------------------------- compile

    def compile(
        self,
        optimizer: str | optimizers.Optimizer = "rmsprop",
        loss: str | losses_module.Loss | Callable | None = None,
        metrics: Sequence[Any] | None = None,
    ) -> None:
        """Choose how the model is trained.

        Parameters
        ----------
        optimizer : str or Optimizer, default "rmsprop"
            For example "adam" or ``optimizers.SGD(0.01)``.
        loss : str, Loss or callable
            For example "sparse_categorical_crossentropy".
        metrics : list of str, Metric or callable, optional
            For example ``["accuracy"]``.

        Raises
        ------
        ValueError, TypeError
            If there is no such optimizer, loss or metric, ``metrics`` is a single name, or the loss has the reduction "none".

        Warns
        -----
        UserWarning
            If the last layer's activation does not give what the loss takes.

        See Also
        --------
        fastnn.optimizers, fastnn.losses, fastnn.metrics : All that can be chosen by name.
        fastnn.loss, fastnn.optimizer_step : Make losses and update rules of your own functions.
        """
        self.optimizer = optimizers.get(optimizer)
        self.loss = losses_module.get(loss) if loss is not None else None
        if self.loss is not None and self.loss.reduction == "none":
            raise ValueError("loss must have the reduction 'sum_over_batch_size' or 'sum'; 'none' leaves nothing to minimize")
        if isinstance(metrics, str):
            raise TypeError(f"metrics must be a list, [{metrics!r}]; got {metrics!r}")
        for metric in metrics or ():
            metrics_module.get(metric)  # a wrong name is an error now; which accuracy fits is known with the outputs
        self.loss = loss_of_outputs(self.layers, self.output_shape if self.built else None, self.loss)
        self._given_metrics = list(metrics or ())
        self._metrics = None
        self._forget_steps()

    @property
    def metrics_names(self) -> list[str]:
        """Names of what `evaluate` returns."""
        return ["loss", *(metric.name for metric in self._resolved_metrics())]

    def _resolved_metrics(self) -> list[metrics_module.Metric]:
        """Return the metrics that `compile` was given, as objects; "accuracy" is the one that fits loss and outputs."""
        if self._metrics is None:
            found = [metrics_module.get(metric, self.output_shape, self.loss) for metric in self._given_metrics]
            names = [metric.name for metric in found]
            if len({"loss", *names}) <= len(names):
                raise ValueError(f"metrics must have different names, and none may be called 'loss'; got {names}")
            self._metrics = found
        return self._metrics

    def _forget_steps(self) -> None:
        #: memory of the temporaries of training and evaluation
        self._arena = Arena()
        self._steps = StepCache()
        self._trainable: list[Layer | Variable] | None = None
        self._predict_step: PredictStep | None = None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Train or evaluate: refused while another thread does, whose steps have the same memory for their temporaries.

        Where it fails, or is interrupted, the steps are let go, with their memory, and recorded anew the next time.
        """
        if not self._lock.acquire(blocking=False):
            raise RuntimeError(
                f"model {self.name!r} is being trained or evaluated by another thread; wait for it, or use a copy, "
                "copy.deepcopy(model). predict may be called meanwhile"
            )
        try:
            yield
        except BaseException:
            self._forget_steps()
            raise
        finally:
            self._lock.release()

    def _compiled_with(self) -> tuple[optimizers.Optimizer, losses_module.Loss]:
        """Return optimizer and loss, which there are once the model is compiled."""
        if self.optimizer is None:
            raise RuntimeError("the model has no optimizer and loss yet; call model.compile(optimizer=..., loss=...) first")
        if self.loss is None:
            raise RuntimeError("the model was compiled without a loss; call model.compile(optimizer=..., loss=...)")
        return self.optimizer, self.loss

    # ----------------------------------------------------------------- train

    def fit(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Sequence[callbacks_module.Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_batch_size: int | None = None,
    ) -> callbacks_module.History:
        """Train for a number of epochs.

        The first step is recorded and replayed from then on, in later trainings too. So, as in Keras, what is changed on the
        optimizer, the loss or a layer, other than the learning rate, weights and what is trainable, counts from the next `compile`.

        Parameters
        ----------
        x : array_like of shape (n_samples, ...) or iterable of batches
            Inputs; uint8 images stay uint8 until a batch of them is needed. An iterable, other than a list, gives (x, y) or
            (x, y, sample_weight). Each epoch iterates over it anew, which a generator allows only once: see `steps_per_epoch`.
            With the backend "cuda" an array of CuPy, PyTorch or others on the GPU is read there, without a copy.
        y : array_like, optional
            Targets, in the form that the loss wants.
        batch_size : int, default 32
            Samples per step; the last batch of an epoch may be smaller. Not for an iterable, whose batches have their sizes.
        epochs, initial_epoch : int, default 1 and 0
            Train until epoch `epochs`, counted from `initial_epoch`.
        verbose : {"auto", 0, 1, 2}, default "auto"
            Nothing, a progress bar, or a line per epoch.
        callbacks : list of Callback, optional
            See `fastnn.callbacks`.
        validation_split : float in [0, 1), default 0.0
            Share of the samples, taken from the end before shuffling, to evaluate on after each epoch.
        validation_data : (x, y), (x, y, sample_weight) or iterable of batches, optional
            What to evaluate on after each epoch; takes the place of `validation_split`. It is checked before training begins;
            of an iterable the first batch is, if it can be had by its index.
        shuffle : bool, default True
            Whether each epoch takes the samples in a new random order.
        class_weight : dict of int to float, optional
            Weight of the loss of each class's samples; classes that are not named have weight 1. Metrics are not weighted.
        sample_weight : array_like of shape (n_samples,), optional
            Weight of each sample's loss. Metrics are not weighted.
        steps_per_epoch : int, optional
            Batches per epoch where `x` is an iterable; the next epoch then goes on where the last one ended.
        validation_batch_size : int, optional
            Batch size of validation.

        Returns
        -------
        History
            ``history.history`` has a list of one value per epoch for the loss and each metric.

        Warns
        -----
        RuntimeWarning
            Once, after the first epoch whose loss is NaN or infinite; `callbacks.TerminateOnNaN` stops there.
        UserWarning
            If pixels from 0 to 255 reach a layer that learns, with no `Rescaling` before it.

        Raises
        ------
        RuntimeError
            If the model is not compiled, or another thread trains or evaluates it.
        ValueError, TypeError
            If the data does not fit the model or the loss.

        See Also
        --------
        evaluate : The loss and the metrics of other samples.
        train_on_batch : A single step.
        fastnn.callbacks : Stop early, save, plot or change the learning rate while the model trains.
        fastnn.datasets.image_folder : Batches of pictures from files.

        Examples
        --------
        >>> import numpy as np
        >>> import fastnn
        >>> from fastnn import layers
        >>> fastnn.set_seed(0)
        >>> x = np.linspace(-1, 1, 200)[:, None]
        >>> y = x**2
        >>> model = fastnn.Sequential([layers.Dense(16, activation="tanh"), layers.Dense(1)])
        >>> model.compile("adam", "mse")
        >>> stopping = fastnn.callbacks.EarlyStopping(patience=5)
        >>> settings = {"batch_size": 20, "epochs": 50, "callbacks": [stopping], "verbose": 0}
        >>> history = model.fit(x, y, validation_data=(x[::4], y[::4]), **settings)
        >>> sorted(history.history)
        ['loss', 'val_loss']
        """
        self._compiled_with()
        epochs, initial_epoch = integer("epochs", epochs, low=0), integer("initial_epoch", initial_epoch, low=0)
        if validation_batch_size is not None:
            integer("validation_batch_size", validation_batch_size, low=1)
        if isinstance(callbacks, callbacks_module.Callback):
            raise TypeError(f"callbacks must be a list of callbacks; got {type(callbacks).__name__} alone")
        if validation_data is not None and not _is_xy(validation_data) and not has_batches(validation_data, None):
            got = type(validation_data).__name__
            raise ValueError(
                f"validation_data must be (x, y), (x, y, sample_weight) or an iterable of batches; got {got} ({BATCHES})"
            )
        if has_batches(x, y):
            if validation_split or sample_weight is not None or batch_size is not None:
                raise ValueError(
                    "validation_split, sample_weight and batch_size need arrays; "
                    "an iterable gives batches of its own, (x, y) or (x, y, sample_weight)"
                )
            source: AbstractContextManager = nullcontext(BatchEpochs(self, x, class_weight, steps_per_epoch))
        else:
            if steps_per_epoch is not None:
                raise ValueError("steps_per_epoch is for iterables of batches; with arrays the batch_size decides")
            x, y, weight = self._prepare(x, y, sample_weight, class_weight)
            warn_of_metrics(self._resolved_metrics(), y)
            warn_of_pixels(self.layers, x, 2)
            if validation_split:
                if validation_data is not None:
                    raise ValueError("give validation_split or validation_data, not both")
                (x, y, weight), validation_data = split_validation(x, y, weight, validation_split)
            source = self._array_epochs(x, y, weight, 32 if batch_size is None else batch_size, shuffle)
        if self.built:
            try:  # an error now, not after the first epoch
                if _is_xy(validation_data):
                    if validation_data[1] is not None:
                        validation_data = self._prepare(*batch_parts(validation_data), None)
                elif isinstance(validation_data, Sized) and hasattr(validation_data, "__getitem__") and len(validation_data):
                    self._prepare(*batch_parts(validation_data[0]), None)  # iterating would take it away
            except (TypeError, ValueError) as error:
                raise ValueError(f"validation_data does not fit: {error}") from error
        with self._alone(), source as batches:
            return self._run_epochs(batches, initial_epoch, epochs, verbose, callbacks, validation_data, validation_batch_size)

    @contextmanager
    def _array_epochs(
        self,
        x: np.ndarray,
        y: np.ndarray,
        weight: np.ndarray | None,
        batch_size: int,
        shuffle: Any,
        kind: type[ArrayEpochs] = ArrayEpochs,
    ) -> Iterator[ArrayEpochs]:
        """Give epochs over arrays; trainings one after the other share the recorded steps."""
        flags = self._trainable_flags()
        key = (kind, batch_size, x.dtype, x.shape[1:], y.dtype, y.shape[1:], weight is not None, arithmetic(), flags)
        steps = self._steps
        source = steps.take(key)
        if source is None:
            source = kind(self, x, y, weight, batch_size, shuffle)
        else:
            source.take(x, y, weight, shuffle)
        try:
            yield source
        finally:
            source.release()
            steps.keep(key, source)  # not self._steps: a model that was compiled anew meanwhile has another cache

    def _run_epochs(
        self,
        source: ArrayEpochs | BatchEpochs,
        epoch: int,
        epochs: int,
        verbose: int | str,
        callbacks: Sequence[callbacks_module.Callback] | None,
        validation_data: Any,
        validation_batch_size: int | None,
    ) -> callbacks_module.History:
        history = callbacks_module.History()
        calls = callbacks_module.CallbackList(
            [history, *(callbacks or ())],
            model=self,
            params={
                "epochs": epochs,
                "steps": source.steps,
                "verbose": verbose,
                "samples": source.samples,
                "waiting": source.waiting,
            },
            verbose=verbose,
            data=source.data,
        )
        self.history = history
        self.stop_training = False
        self.initial_epoch = epoch
        with closing(calls):
            calls.on_train_begin()
            epoch = self.initial_epoch  # a callback that goes on with an earlier training sets it
            diverged = False
            while epoch < epochs and not self.stop_training:
                if validation_data is None and calls.only_history and source.one_step:
                    epoch += source.run_ahead(history, epoch, epochs - epoch)
                else:
                    calls.on_epoch_begin(epoch)
                    logs = source.run(calls)
                    if validation_data is not None:
                        logs.update(self._validate(validation_data, validation_batch_size, calls))
                    calls.on_epoch_end(epoch, logs)
                    epoch += 1
                diverged = diverged or self._warn_if_diverged(history, source.arrays, validation_data)
            calls.on_train_end()
        history = copy.copy(history)
        history.model = self
        return history

    def _warn_if_diverged(self, history: callbacks_module.History, arrays: Mapping[str, Any], validation_data: Any) -> bool:
        """Warn where the last epoch's loss, or that of the validation, is NaN or infinite; say whether it is."""
        for name in ("loss", "val_loss"):
            losses = history.history.get(name, [0.0])
            if not math.isfinite(losses[-1]):
                number, loss = next((number, loss) for number, loss in enumerate(losses, 1) if not math.isfinite(loss))
                if name == "val_loss":
                    arrays = _named_arrays("validation ", validation_data)
                warn_of_divergence(f"the {name} of epoch {number}", loss, arrays, 4, self._compiled_with()[0].learning_rate)
                return True
        return False

    def _validate(self, data: Any, batch_size: int | None, calls: callbacks_module.CallbackList) -> dict[str, float]:
        if _is_xy(data):
            results = self._evaluate(data[0], data[1], batch_size, data[2] if len(data) == 3 else None, calls)
        else:
            results = self._evaluate(data, None, batch_size, None, calls, "validation_data")
        return {f"val_{name}": value for name, value in results.items()}

    def train_on_batch(
        self, x: Any, y: Any, sample_weight: Any = None, class_weight: dict[int, float] | None = None
    ) -> list[float]:
        """Make one training step; return the batch's loss, followed by its metrics.

        Parameters
        ----------
        x, y, sample_weight, class_weight
            As for `fit`.
        """
        self._compiled_with()
        x, y, weight = self._prepare(x, y, sample_weight, class_weight)
        with self._alone():
            step = self._cached_step("train", x, y, weight)
            step.meters.reset()
            self._train_batch(step, x, y, weight)
            return list(step.meters.logs().values())

    def test_on_batch(self, x: Any, y: Any, sample_weight: Any = None) -> list[float]:
        """Return the loss of one batch, followed by its metrics."""
        return list(self._evaluate(x, y, max(len(x), 1), sample_weight, None).values())

    def predict_on_batch(self, x: Any) -> np.ndarray:
        """Return the outputs for one batch."""
        return self.predict(x, batch_size=max(len(x), 1))

    def _train_batch(self, step: Any, x: np.ndarray, y: np.ndarray, weight: np.ndarray | None) -> None:
        """Run a step on one batch that `_prepare` returned."""
        self._compiled_with()[0].update_learning_rate()
        step.batch.copy_from(x, y, weight)
        step.run()

    def _prepare(self, x: Any, y: Any, sample_weight: Any, class_weight: dict[int, float] | None) -> tuple:
        """Return inputs, targets and weights as arrays that fit the model and the loss."""
        x = as_inputs(x, self._input_shape, self.dtype)
        if not len(x):
            raise ValueError(f"x has no samples, its shape is {x.shape}")
        if not self.built:
            self.build((None, *x.shape[1:]))
        if y is None:
            raise ValueError("y must be the targets of x, got None")
        targets = self._compiled_with()[1].prepare_targets(on_host("y", y), self.output_shape, self.dtype)
        if len(targets) != len(x):
            raise ValueError(f"x and y must have as many samples: x has {len(x)}, y has {len(targets)}")
        return x, targets, as_sample_weight(sample_weight, class_weight, targets, self.output_shape, self.dtype)

    def _cached_step(self, kind: str, x: np.ndarray, y: np.ndarray | None = None, weight: np.ndarray | None = None) -> Any:
        """Return the step for batches like this one, made at its first use."""
        target = None if y is None else (y.dtype, y.shape[1:])
        flags = self._trainable_flags() if kind == "train" else None
        key = (kind, type(x), len(x), x.dtype, x.shape[1:], target, weight is not None, arithmetic(), flags)
        step = self._steps.take(key)
        if step is None:
            batch = CopiedBatch(len(x), x, self.dtype, y, weight is not None)
            if kind == "predict":
                step = PredictStep(self, batch)
            else:
                step = (TrainStep if kind == "train" else TestStep)(self, batch, Meters(self._resolved_metrics()))
        self._steps.keep(key, step)
        return step

    def _trainable_flags(self) -> tuple[bool, ...]:
        """Return of all layers and weights whether they are trained, by which steps that train other weights differ."""
        if self._trainable is None:
            self._trainable = [*self._flattened_layers(), *self.weights]
        return tuple([part.trainable for part in self._trainable])

    def explain(self, x: Any, y: Any, precision: int = 4) -> Explanation:
        """Return one training step with all of its intermediate results, as one works it by hand; the model stays as it is.

        Parameters
        ----------
        x, y : array_like
            A small batch; as for `fit`.
        precision : int, default 4
            Digits after the decimal point in print.

        Returns
        -------
        Explanation
            Z, A, error, delta, gradients and new weights of every layer: print it, let a notebook show it, or take the numbers,
            as in ``explanation.layers[0].dW``.
        """
        from .explain import explain

        return explain(self, x, y, precision)

    # -------------------------------------------------- evaluate and predict

    def evaluate(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = 0,
        sample_weight: Any = None,
        return_dict: bool = False,
        callbacks: Sequence[callbacks_module.Callback] | None = None,
    ) -> Any:
        """Return the loss, followed by the metrics if there are any.

        Parameters
        ----------
        x, y, sample_weight
            As for `fit`.
        batch_size : int, optional
            Samples per step; the result does not depend on it.
        verbose : {0, 1, 2, "auto"}, default 0
            Whether to print the result.
        return_dict : bool, default False
            Whether to return a dict by name instead of a float or a list.
        callbacks : list of Callback, optional
            Whose ``on_test_...`` methods are called.

        Returns
        -------
        float, list of float or dict of str to float
            A float where there are no metrics.

        Warns
        -----
        RuntimeWarning
            If the loss is NaN or infinite.

        Raises
        ------
        RuntimeError
            If the model is not compiled, or another thread trains or evaluates it.
        ValueError, TypeError
            If the data does not fit the model or the loss.
        """
        self._compiled_with()
        calls = callbacks_module.CallbackList(list(callbacks or ()), model=self, params={}, verbose=0)
        logs = self._evaluate(x, y, batch_size, sample_weight, calls)
        if not math.isfinite(logs["loss"]):
            warn_of_divergence("the loss", logs["loss"], _named_arrays("", (x, y)), 2)
        if verbose in (1, 2, "auto"):
            print(" - ".join(f"{name}: {value:.4f}" for name, value in logs.items()))
        if return_dict:
            return logs
        values = list(logs.values())
        return values[0] if len(values) == 1 else values

    def _evaluate(
        self, x: Any, y: Any, batch_size: int | None, sample_weight: Any, calls: Any, source: str = "x"
    ) -> dict[str, float]:
        self._compiled_with()
        with self._alone():
            totals: Meters | None = None
            if calls is not None:
                calls.on_test_begin()
            for number, batch in enumerate(self._batches(x, y, sample_weight, _inference_batch(batch_size))):
                if calls is not None:
                    calls.on_test_batch_begin(number)
                if totals is None:
                    totals = Meters(self._resolved_metrics())
                    totals.reset()
                step = self._cached_step("test", *batch)
                step.meters.reset_native()
                step.batch.copy_from(*batch)
                step.run()
                totals.add(step.meters)
                if calls is not None:
                    calls.on_test_batch_end(number, totals.logs())
            if totals is None:
                raise ValueError(f"{source} gave no batches to evaluate on{GENERATOR_HINT}")
            logs = totals.logs()
            if calls is not None:
                calls.on_test_end(logs)
            return logs

    def _batches(self, x: Any, y: Any, sample_weight: Any, batch_size: int) -> Iterator[tuple]:
        if has_batches(x, y):
            if sample_weight is not None:
                raise ValueError("sample_weight needs arrays; an iterable gives batches of its own, (x, y, sample_weight)")
            for batch in x:
                yield self._prepare(*batch_parts(batch), None)
            return
        x, y, weight = self._prepare(x, y, sample_weight, None)
        for start in range(0, len(x), batch_size):
            stop = start + batch_size
            yield x[start:stop], y[start:stop], None if weight is None else weight[start:stop]

    def predict(self, x: Any, batch_size: int | None = None, verbose: int | str = 0) -> np.ndarray:
        """Return the outputs for inputs of shape (n_samples, ...), or for an iterable of batches.

        Parameters
        ----------
        x : array_like or iterable
            Inputs; for an array on the GPU the outputs are there too. An iterable gives inputs, or what `fit` takes, whose targets
            are left out.
        batch_size : int, optional
            Samples per step; the result does not depend on it.
        verbose : int or str, default 0
            Not used; accepted since code written for Keras gives it.

        Returns
        -------
        ndarray, shape (n_samples, ...)

        Raises
        ------
        ValueError, TypeError
            If the inputs do not fit the model.
        """
        step = self._predict_step
        if step is not None and step.fits(x):  # one batch like the last one: nothing to prepare
            return step.run(x)
        if has_batches(x, None):
            outputs = [self.predict(batch_inputs(batch, self._input_shape)) for batch in x]
            if not outputs:
                raise ValueError(f"x gave no batches to predict{GENERATOR_HINT}")
            return np.concatenate(outputs)
        x = as_inputs(x, self._input_shape, self.dtype)
        if not self.built:
            self.build((None, *x.shape[1:]))
        size = _inference_batch(batch_size)
        try:
            return self._predict_batches(x, size)
        except BaseException:
            self._forget_steps()
            raise

    def _predict_batches(self, x: np.ndarray, size: int) -> np.ndarray:
        if 0 < len(x) <= size:
            self._predict_step = step = self._cached_step("predict", x)
            return step.run(x)
        out = np.empty((len(x), *self.compute_output_shape((None, *x.shape[1:]))[1:]), self.dtype, like=x)
        for start in range(0, len(x), size):
            batch = x[start : start + size]
            np.copyto(out[start : start + size], self._cached_step("predict", batch).run(batch))
        return out

    def __sklearn_tags__(self) -> NoReturn:
        """Raise an error that leads to the estimators: scikit-learn asks for these tags where it was given a model."""
        raise TypeError(
            "a Sequential is no estimator of scikit-learn: fastnn.estimators.NetworkClassifier(model) is one, and "
            "NetworkRegressor(model); for a display of fastnn.plotting there is from_model"
        )

    # ------------------------------------------------------------------ files

    def save(self, path: Any) -> None:
        """Write architecture, weights and optimizer state to one file, of the format of safetensors.

        Parameters
        ----------
        path : path_like
            The file; one that is there is replaced when the new one is complete.

        Raises
        ------
        ValueError
            If the model could not be loaded again: it is not built, or has a layer whose class is not registered or whose
            configuration holds a function.
        OSError
            If the file cannot be written.

        Warns
        -----
        UserWarning
            If the loss or a metric is a function of your own, which cannot be written; or the name of the file ends as those of
            other programs' files.

        See Also
        --------
        fastnn.load_model : Reads the file.
        save_weights : The weights alone, also of layers that no file can describe.
        export_onnx : For other programs.
        """
        from .saving import save_model

        save_model(self, path)

    def save_weights(self, path: Any) -> None:
        """Write the weights alone to a safetensors file."""
        from .saving import save_weights

        save_weights(self, path)

    def load_weights(self, path: Any) -> None:
        """Read weights that `save_weights` or `save` wrote, or Keras 3: ``.weights.h5`` and ``.keras`` files (extra ``keras``).

        Parameters
        ----------
        path : path_like
            The file. For the weights of PyTorch see `fastnn.interchange.load_torch_weights`.

        Raises
        ------
        ModelFileError
            A ValueError: if the file is damaged, or its weights are not those of the model, which then stays as it is.
        OSError
            If the file cannot be read.

        Notes
        -----
        Weights go by the order of the layers; in a Keras file, by the layers' classes, and by their order within a class.
        """
        from .saving import load_weights

        load_weights(self, path)

    def export_onnx(self, path: Any, input_dtype: Any = None) -> None:
        """Write the model as ONNX, operator set 20, for onnxruntime and other programs that predict; needs the extra ``onnx``.

        Inputs and outputs, called "input" and "output", have the model's layout and a batch axis of any extent. What the model
        computes in training alone is left out.

        Parameters
        ----------
        path : path_like
            The file; one that is there is replaced when the new one is complete.
        input_dtype : {"float32", "float64", "uint8"}, optional
            The model's float type by default; "uint8" for images of bytes, which a first layer such as ``Rescaling(1 / 255)``
            scales.

        Raises
        ------
        ValueError
            If the model is not built, or a layer has no counterpart in ONNX: one of your own, or with an activation of your own.
        OSError
            If the file cannot be written.

        Notes
        -----
        ONNX holds numbers such as the slope of a leaky ReLU and the epsilon of a normalization in float32, also for float64 models.
        """
        from .interchange.onnx_export import export_onnx

        export_onnx(self, path, input_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the architecture as JSON-able values."""
        config = {
            "name": self.name,
            "input_shape": None if self._input_shape is None else list(self._input_shape),
            "layers": [serialize(layer) for layer in self.layers],
        }
        return config if self.class_names is None else {**config, "class_names": list(self.class_names)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Sequential:
        """Make a model, with new weights, from `get_config`."""
        model = cls(name=config["name"])
        for layer in config["layers"]:
            model.add(deserialize(layer))
        if config["input_shape"] is not None and not model.built:
            model.build(config["input_shape"])
        names = config.get("class_names")
        if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise ValueError(f"class_names must be a list of strings; got {names!r:.80}")
        model.class_names = names
        return model


def _each_once(parts: Iterable[Part]) -> list[Part]:
    """Return what two layers share only once, in the order of the first."""
    return list({id(part): part for part in parts}.values())


def _inference_batch(batch_size: int | None) -> int:
    """Return how many samples `evaluate` and `predict` take at a time."""
    return INFERENCE_BATCH if batch_size is None else integer("batch_size", batch_size, low=1)


def _is_xy(data: Any) -> bool:
    """Say whether `data` is (x, y) or (x, y, sample_weight)."""
    return isinstance(data, (tuple, list)) and len(data) in (2, 3)


def _named_arrays(prefix: str, data: Any) -> dict[str, np.ndarray]:
    """Return x and y of (x, y) or (x, y, sample_weight) by name; nothing of an iterable of batches."""
    if not _is_xy(data) or data[1] is None:
        return {}
    return {f"{prefix}{name}": np.asarray(on_host(name, array)) for name, array in zip("xy", data, strict=False)}
