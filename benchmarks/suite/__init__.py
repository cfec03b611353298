"""What asv tracks: kernels, whole trainings, and what importing costs."""
