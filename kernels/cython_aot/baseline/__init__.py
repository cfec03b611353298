"""Kernels compiled for any processor that the compiler targets by default (the only build on arm64)."""
