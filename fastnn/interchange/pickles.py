"""Files of PyTorch that are pickles: reading them would run code that they name, so they are never read."""

from collections.abc import Iterable

from ..saving import ModelFileError

#: what a pickle that is no zip file begins with
PICKLE = b"\x80"


def refuse_pickles(members: Iterable[str], name: str) -> None:
    """Raise an error if a zip file with these members is one of PyTorch's.

    Parameters
    ----------
    members : iterable of str
        The names in the zip file, or just "data.pkl" for a file that is a pickle itself.
    name : str
        The file, for the message.

    Raises
    ------
    ModelFileError
        With what to do instead.
    """
    if any(member.endswith("data.pkl") for member in members):
        raise ModelFileError(
            f"{name!r} is a pickle, which can run any code when it is read. Where you trust it, write its state dict as "
            "safetensors, in Python with torch: safetensors.torch.save_file(torch.load(path, weights_only=True), "
            "'model.safetensors'); fastnn.interchange.load_torch_weights(model, 'model.safetensors') reads that"
        )
