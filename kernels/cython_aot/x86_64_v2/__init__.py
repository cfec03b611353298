"""Kernels compiled for x86-64-v2 (SSE4.2: 128-bit vectors, no fused multiply-add)."""
