"""Training steps of the networks of `benchmarks.peers`, and the memory that they take."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.peers.cases import CASES
from benchmarks.peers.fastnn_peer import Peer

STEPS = {"mnist-cnn": 4, "lenet": 20, "mlp": 100, "mlp-1": 2000, "digits-cnn-1": 2000, "xor": 10000}


class Training:
    """Some steps, on one thread and on two; divide by `STEPS` for the time of one."""

    params = (list(STEPS), [1, 2])
    param_names = ("network", "threads")

    def setup(self, network: str, threads: int) -> None:
        """Build the network and record its step."""
        self.peer = Peer(CASES[network], threads, "cpu")
        self.peer.train(STEPS[network])

    def time_steps(self, network: str, threads: int) -> None:
        """`STEPS` training steps."""
        self.peer.train(STEPS[network])

    def peakmem_steps(self, network: str, threads: int) -> None:
        """The process's memory while it trains."""
        self.peer.train(STEPS[network])

    def track_loss(self, network: str, threads: int) -> float:
        """The loss that the steps lead to: a change that makes steps faster must not change it."""
        return Peer(CASES[network], threads, "cpu").loss_after(STEPS[network])


class Batches:
    """Twenty steps on one thread by the size of the batch: twice the samples should never take more than twice the time."""

    params = (["mlp", "lenet"], [1, 4, 16, 64, 256, 1024])
    param_names = ("network", "batch")

    def setup(self, network: str, batch: int) -> None:
        """Build the network and record its step."""
        self.peer = Peer(replace(CASES[network], batch=batch), 1, "cpu")
        self.peer.train(20)

    def time_steps(self, network: str, batch: int) -> None:
        """Twenty training steps."""
        self.peer.train(20)
