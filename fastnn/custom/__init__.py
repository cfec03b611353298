"""Functions of one's own, written in plain Python for one number and compiled: activations, losses and optimizer steps."""

from .activations import CustomActivation, activation
from .losses import CustomLoss, loss
from .optimizers import CustomOptimizer, optimizer_step

__all__ = ["CustomActivation", "CustomLoss", "CustomOptimizer", "activation", "loss", "optimizer_step"]
