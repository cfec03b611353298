"""What asv tracks: kernels, whole trainings, and what importing costs."""

import sys
from pathlib import Path

# asv knows this folder only; last in the path, so that the installed fastnn is measured and not the one in the checkout
sys.path.append(str(Path(__file__).parents[2]))
