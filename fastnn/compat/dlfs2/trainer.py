"""The book's ``common.trainer``, without its trainer of language models.

`install` leaves the book's own in place: it computes nothing by itself, and takes layers and optimizers from here.
"""

import time as _time

import numpy as np

from ... import kernels as _kernels


class Trainer:
    """Trains a model on batches of data that ``np.random.permutation`` shuffles, and notes the loss.

    Parameters
    ----------
    model : object
        With ``forward(x, t)``, ``backward()``, ``params`` and ``grads``.
    optimizer : object
        With ``update(params, grads)``.

    Attributes
    ----------
    loss_list : list of float
        Mean losses.
    eval_interval, current_epoch : int
    """

    def __init__(self, model, optimizer):
        self.model = model
        self.optimizer = optimizer
        self.loss_list = []
        self.eval_interval = None
        self.current_epoch = 0

    def fit(self, x, t, max_epoch=10, batch_size=32, max_grad=None, eval_interval=20):
        """Train.

        Parameters
        ----------
        x, t : ndarray
            Samples and targets; what does not fill a batch is left out in each epoch.
        max_epoch : int, default 10
        batch_size : int, default 32
        max_grad : float, optional
            Gradients whose norm, over all of them, is larger are scaled down to it.
        eval_interval : int, default 20
            Steps from one printed line, and entry of `loss_list`, to the next; None for neither.
        """
        size = len(x)
        batches = size // batch_size
        self.eval_interval = eval_interval
        losses = []
        start = _time.time()
        for _ in range(max_epoch):
            order = np.random.permutation(np.arange(size))
            x, t = x[order], t[order]
            for batch in range(batches):
                rows = slice(batch * batch_size, (batch + 1) * batch_size)
                losses.append(self.model.forward(x[rows], t[rows]))
                self.model.backward()
                params, grads = remove_duplicate(self.model.params, self.model.grads)
                if max_grad is not None:
                    _clip(grads, max_grad)
                self.optimizer.update(params, grads)
                if eval_interval is not None and batch % eval_interval == 0:
                    mean = sum(losses) / len(losses)
                    step = f"| epoch {self.current_epoch + 1} |  iter {batch + 1} / {batches}"
                    print(f"{step} | time {int(_time.time() - start)}[s] | loss {mean:.2f}")
                    self.loss_list.append(float(mean))
                    losses = []
            self.current_epoch += 1

    def plot(self, ylim=None):
        """Draw `loss_list` with matplotlib."""
        import matplotlib.pyplot as plt

        if ylim is not None:
            plt.ylim(*ylim)
        plt.plot(np.arange(len(self.loss_list)), self.loss_list, label="train")
        plt.xlabel(f"iterations (x{self.eval_interval})")
        plt.ylabel("loss")
        plt.show()


def remove_duplicate(params, grads):
    """Return new lists in which parameters that layers share occur once, with the sum of their gradients.

    Shared is the same array, or a matrix and another one that is equal to its transpose. The first gradient becomes the sum.
    """
    kept, sums = [], []
    for param, grad in zip(params, grads, strict=True):
        for other, total in zip(kept, sums, strict=True):
            if param is other:
                total += grad
                break
            if param.ndim == other.ndim == 2 and param.T.shape == other.shape and np.all(param.T == other):
                total += grad.T
                break
        else:
            kept.append(param)
            sums.append(grad)
    return kept, sums


def _clip(grads, max_norm):
    norm = float(sum(_kernels.penalty_forward(grad, l2=1.0) for grad in grads)[0]) ** 0.5
    rate = max_norm / (norm + 1e-6)
    if rate < 1:
        for grad in grads:
            grad *= rate
