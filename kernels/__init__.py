"""Kernels: arithmetic on arrays."""
