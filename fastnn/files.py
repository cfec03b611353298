"""Files that are replaced as a whole or not at all, whatever happens to the process that writes them."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from pathlib import Path

PathLike = str | os.PathLike[str]

#: what the names of files that are being written begin and end with
UNFINISHED = (".fastnn-", ".tmp")


def replace_file(path: PathLike, data: bytes) -> None:
    """Write a file under a temporary name beside its place and, when it is safely on the disk, move it there.

    Raises
    ------
    OSError
        If it cannot be written, or is a folder, a device or a pipe; what was there is then still the same.
    """
    target = Path(os.path.realpath(path))  # a link stays one
    if target.exists() and not target.is_file():  # root could even replace /dev/null
        raise FileExistsError(errno.EEXIST, "this is no file, and is not replaced by one", str(target))
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no such folder to write a file to", str(target.parent))
    temporary = target.with_name(secrets.token_hex(8).join(UNFINISHED))
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):  # a full disk has no name, and that of the temporary file says nothing
            error.filename, error.filename2 = str(target), None
        raise
    if os.name == "posix":  # elsewhere a folder cannot be opened
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def remove_unfinished(folder: PathLike) -> None:
    """Remove what processes that were killed while they wrote left in a folder that nobody else writes to now."""
    for name in os.listdir(folder):
        if name.startswith(UNFINISHED[0]) and name.endswith(UNFINISHED[1]):
            os.remove(os.path.join(folder, name))
