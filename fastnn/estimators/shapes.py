"""Inputs that are no rows of features: images and other arrays, given as they are or flat."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .base import NetworkEstimator


class ShapedEstimator(NetworkEstimator):
    """An estimator whose samples may be arrays of any shape; scikit-learn's checks see them as rows.

    Attributes
    ----------
    input_shape_ : tuple of int
        Shape of a sample as the network takes it.
    """

    input_shape_: tuple[int, ...]

    def _checked(self, X: Any, *y: Any, reset: bool) -> Any:
        X = X if hasattr(X, "ndim") else np.asarray(X)
        shape = tuple(X.shape[1:])
        if X.ndim > 2:
            if not reset and _squeezed(shape) != _squeezed(self.input_shape_):
                raise ValueError(f"samples of X must have shape {self.input_shape_}, as in the first call of fit; got {shape}")
            X = np.reshape(X, (len(X), math.prod(shape)))
        elif not reset and len(shape) == 1 and shape[0] != math.prod(self.input_shape_) and X.shape == _squeezed(self.input_shape_):
            raise ValueError(f"X must be samples of shape {self.input_shape_}; got {X.shape}: a single one is X[None]")
        checked = super()._checked(X, *y, reset=reset)
        if reset:
            self._given_shape = shape
        return checked

    def _input_shape(self, features: int, reset: bool) -> tuple[int, ...]:
        if reset:
            self.input_shape_ = self._sample_shape(self._given_shape)
        return self.input_shape_

    def _sample_shape(self, given: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of a sample as the network takes it, from the shape in which samples are given."""
        raise NotImplementedError


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape without last axes of extent 1, such as the one channel of grey images."""
    while len(shape) > 1 and shape[-1] == 1:
        shape = shape[:-1]
    return shape
