"""What it costs to import the package and to predict for the first time."""

from __future__ import annotations


class Import:
    """In a new process."""

    def timeraw_import_numpy(self) -> str:
        """What every user of NumPy pays."""
        return "import numpy"

    def timeraw_import_fastnn(self) -> str:
        """NumPy and fastnn."""
        return "import fastnn"

    def timeraw_first_prediction(self) -> str:
        """Everything that a first small model loads."""
        return "import fastnn; fastnn.Sequential([fastnn.layers.Dense(2)]).predict([[1.0, 2.0]])"

    def peakmem_import(self) -> None:
        """Memory after the import."""
        import fastnn  # noqa: F401
