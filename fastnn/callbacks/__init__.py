"""Callbacks: what `fastnn.Sequential.fit` calls before and after epochs and batches; Keras's names, arguments and defaults.

Logs are dicts of floats: the loss and the metrics by name, and those of the validation data with ``val_`` before it. A
callback that monitors a name which is not in the logs raises ValueError and lists what is there.
"""

from .base import Callback, History, LambdaCallback
from .callback_list import CallbackList
from .checkpoints import BackupAndRestore, ModelCheckpoint
from .learning_rate import LearningRateScheduler, ReduceLROnPlateau
from .monitor import Monitor
from .progress import LivePlot, ProgressBar
from .records import CSVLogger, HistogramRecorder, TensorBoard
from .stopping import EarlyStopping, TerminateOnNaN

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "HistogramRecorder",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "LivePlot",
    "ModelCheckpoint",
    "Monitor",
    "ProgressBar",
    "ReduceLROnPlateau",
    "TensorBoard",
    "TerminateOnNaN",
]
