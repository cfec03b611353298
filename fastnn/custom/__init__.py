"""Functions of one's own, written in plain Python for one number and compiled: activations."""

from .activations import CustomActivation, activation

__all__ = ["CustomActivation", "activation"]
