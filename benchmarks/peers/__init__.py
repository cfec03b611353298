"""The same networks trained by fastnn and by other packages, side by side: ``python -m benchmarks.peers``."""
