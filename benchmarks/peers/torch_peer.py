"""PyTorch, eager and compiled, on a GPU also as a CUDA graph; images in channels_last memory format, its faster one."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import nn

NAMES = {
    "torch": {},
    "torch.compile": {"compiled": True},
    "torch cuda": {"device": "cuda"},
    "torch cuda graph": {"device": "cuda", "graph": True},
    "torch.compile cuda": {"device": "cuda", "compiled": True},
}


class Peer:
    """The network of a case."""

    def __init__(self, case, threads: int, device: str = "cpu", compiled: bool = False, graph: bool = False) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise NotImplementedError("this PyTorch sees no GPU")
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = case.precision == "tf32"
        self.cast = torch.autocast(device, torch.bfloat16, enabled=case.precision == "bf16", cache_enabled=False)
        torch.set_num_threads(threads)
        modules: list[nn.Module] = []
        shape = case.input_shape
        for layer, start in zip(case.layers, case.weights(), strict=True):
            match layer:
                case ("conv", filters, size, padding, activation):
                    module = nn.Conv2d(shape[2], filters, size, padding=padding)
                    _set(module, torch.from_numpy(start[0]).permute(3, 2, 0, 1), start[1])
                    modules += [module, *_activation(activation)]
                    less = 0 if padding == "same" else size - 1
                    shape = (shape[0] - less, shape[1] - less, filters)
                case ("batchnorm",):
                    modules.append(nn.BatchNorm2d(shape[2], eps=1e-3, momentum=0.01))
                case ("maxpool",):
                    modules.append(nn.MaxPool2d(2))
                    shape = (shape[0] // 2, shape[1] // 2, shape[2])
                case ("global_avgpool",):
                    modules += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
                    shape = (shape[2],)
                case ("flatten",):
                    modules.append(nn.Flatten())
                case ("dense", units, activation):
                    w = torch.from_numpy(start[0])
                    if len(shape) == 3:  # flattened channels first here, channels last in the given weights
                        w = w.reshape(*shape, units).permute(2, 0, 1, 3).reshape(-1, units)
                    module = nn.Linear(len(w), units)
                    _set(module, w.T, start[1])
                    modules += [module, *_activation(activation)]
                    shape = (units,)
        self.model = nn.Sequential(*modules)
        x, y = case.data()
        self.x = torch.from_numpy(x)
        if x.ndim == 4:
            self.x = self.x.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
            self.model = self.model.to(memory_format=torch.channels_last)
        self.criterion = nn.BCEWithLogitsLoss() if case.classes == 1 else nn.CrossEntropyLoss()
        self.y = torch.from_numpy(y).float()[:, None] if case.classes == 1 else torch.from_numpy(y).long()
        self.device = device
        self.model, self.x, self.y = self.model.to(device), self.x.to(device), self.y.to(device)
        self.optimizer = torch.optim.SGD(self.model.parameters(), case.learning_rate)
        mode = "reduce-overhead" if device == "cuda" else "default"
        self.run = torch.compile(self.model, mode=mode) if compiled else self.model
        self.batch = case.batch
        self.place = 0
        self.step = self._captured() if graph else self._step

    def train(self, steps: int) -> None:
        """Make `steps` steps."""
        for _ in range(steps):
            part = slice(self.place, self.place + self.batch)
            self.step(self.x[part], self.y[part])
            self.place = (self.place + self.batch) % len(self.x)
        if self.device == "cuda":
            torch.cuda.synchronize()

    def _step(self, x: torch.Tensor, y: torch.Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self._loss(x, y).backward()
        self.optimizer.step()

    def _loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        with self.cast:
            return self.criterion(self.run(x), y)

    def _captured(self):
        """Return the step as one CUDA graph, recorded as PyTorch's manual has it: on fixed buffers, after a few steps aside."""
        x, y = self.x[: self.batch].clone(), self.y[: self.batch].clone()
        start = copy.deepcopy(self.model.state_dict())
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(3):
                self._step(x, y)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(graph):
            self._loss(x, y).backward()
            self.optimizer.step()
        self.model.load_state_dict(start)

        def step(next_x: torch.Tensor, next_y: torch.Tensor) -> None:
            x.copy_(next_x)
            y.copy_(next_y)
            graph.replay()

        return step

    def loss(self) -> float:
        """Return the loss of the first batch as a training step computes it, with the weights as they are."""
        with torch.no_grad(), self.cast:
            return self.criterion(self.model(self.x[: self.batch]), self.y[: self.batch]).item()

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the outputs for a batch."""
        with torch.inference_mode():
            return self.run(torch.from_numpy(x).to(self.device)).cpu().numpy()


def _activation(name: str) -> list[nn.Module]:
    return {"linear": [], "relu": [nn.ReLU()], "tanh": [nn.Tanh()], "sigmoid": [nn.Sigmoid()]}[name]


def _set(module: nn.Module, weight: torch.Tensor, bias: np.ndarray) -> None:
    with torch.no_grad():
        module.weight.copy_(weight)
        module.bias.copy_(torch.from_numpy(bias))
