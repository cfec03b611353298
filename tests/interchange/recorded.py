"""Files that PyTorch and Keras wrote, and what their models computed."""

from pathlib import Path

import numpy as np

FILES = Path(__file__).parent / "files"


def arrays(name: str) -> dict[str, np.ndarray]:
    """Return inputs and outputs that were recorded, by name."""
    with np.load(FILES / name) as recorded:
        return dict(recorded)
