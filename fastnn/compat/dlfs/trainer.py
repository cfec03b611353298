"""The book's ``common.trainer``."""

import numpy as np

from .optimizer import *  # noqa: F403 (the book's module passes these on)
from .optimizer import SGD, AdaGrad, Adam, Momentum, Nesterov, RMSprop

_OPTIMIZERS = {
    "sgd": SGD,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adagrad": AdaGrad,
    "rmsprop": RMSprop,
    "rmsprpo": RMSprop,  # as early printings of the book have it
    "adam": Adam,
}


class Trainer:
    """Trains a network on batches that ``np.random.choice`` draws, and notes loss and accuracy.

    Parameters
    ----------
    network : object
        With ``gradient(x, t)``, ``loss(x, t)``, ``accuracy(x, t)`` and ``params``.
    x_train, t_train, x_test, t_test : ndarray
    epochs : int, default 20
    mini_batch_size : int, default 100
    optimizer : str, default "SGD"
        Its class, in letters of any case.
    optimizer_param : dict, default {"lr": 0.01}
        Arguments of the class.
    evaluate_sample_num_per_epoch : int, optional
        How many of the first samples count for the accuracies; all if left out.
    verbose : bool, default True
        Print the loss of each step and the accuracies of each epoch.

    Attributes
    ----------
    train_loss_list, train_acc_list, test_acc_list : list
    current_iter, current_epoch, iter_per_epoch, max_iter
    """

    def __init__(
        self,
        network,
        x_train,
        t_train,
        x_test,
        t_test,
        epochs=20,
        mini_batch_size=100,
        optimizer="SGD",
        optimizer_param={"lr": 0.01},  # noqa: B006 (never changed)
        evaluate_sample_num_per_epoch=None,
        verbose=True,
    ):
        if optimizer.lower() not in _OPTIMIZERS:
            raise ValueError(f"optimizer must be one of {', '.join(_OPTIMIZERS)}; got {optimizer!r}")
        self.network = network
        self.verbose = verbose
        self.x_train = x_train
        self.t_train = t_train
        self.x_test = x_test
        self.t_test = t_test
        self.epochs = epochs
        self.batch_size = mini_batch_size
        self.evaluate_sample_num_per_epoch = evaluate_sample_num_per_epoch
        self.optimizer = _OPTIMIZERS[optimizer.lower()](**optimizer_param)
        self.train_size = len(x_train)
        self.iter_per_epoch = max(self.train_size / mini_batch_size, 1)
        self.max_iter = int(epochs * self.iter_per_epoch)
        self.current_iter = 0
        self.current_epoch = 0
        self.train_loss_list = []
        self.train_acc_list = []
        self.test_acc_list = []

    def train_step(self):
        """Make one step; at the start of an epoch, measure the accuracies."""
        batch = np.random.choice(self.train_size, self.batch_size)
        x, t = self.x_train[batch], self.t_train[batch]
        self.optimizer.update(self.network.params, self.network.gradient(x, t))
        loss = self.network.loss(x, t)
        self.train_loss_list.append(loss)
        self._print(f"train loss:{loss}")
        if self.current_iter % self.iter_per_epoch == 0:
            self.current_epoch += 1
            first = slice(self.evaluate_sample_num_per_epoch)
            train_acc = self.network.accuracy(self.x_train[first], self.t_train[first])
            test_acc = self.network.accuracy(self.x_test[first], self.t_test[first])
            self.train_acc_list.append(train_acc)
            self.test_acc_list.append(test_acc)
            self._print(f"=== epoch:{self.current_epoch}, train acc:{train_acc}, test acc:{test_acc} ===")
        self.current_iter += 1

    def train(self):
        """Make all steps, then measure the accuracy on the test data."""
        for _ in range(self.max_iter):
            self.train_step()
        test_acc = self.network.accuracy(self.x_test, self.t_test)
        self._print("=============== Final Test Accuracy ===============")
        self._print(f"test acc:{test_acc}")

    def _print(self, line):
        if self.verbose:
            print(line)
