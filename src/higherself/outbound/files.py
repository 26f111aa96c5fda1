"""Files put into a folder, whole or not at all."""

import asyncio
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from higherself.outbound.errors import NotCarried, ParcelRejected
from higherself.outbound.model import Delivery, Parcel
from higherself.outbound.ports import HandOver

LONGEST_NAME = 200


def checked_path(name: str) -> PurePosixPath:
    """Return a path below a folder.

    Raises
        ParcelRejected: it would lead out of it, or no system takes it.
    """
    path = PurePosixPath(name)
    parts = path.parts
    if (
        not parts
        or path.is_absolute()
        or any(each in ("..", ".") or each.startswith(".") for each in parts)
        or any(ord(char) < 32 or char in '\\:*?"<>|' for char in name)
        or max(len(each.encode()) for each in parts) > LONGEST_NAME
    ):
        raise ParcelRejected(
            f"name: {name!r} is no path below a folder, such as newsletter/2026-11-welcome.md"
        )
    return path


class FolderCarrier:
    """Puts files into a folder, below one for each business."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def places(self, parcel: Parcel) -> Sequence[str]:
        """Return its path.

        Raises
            ParcelRejected: its path leads out of the folder.
        """
        return (str(checked_path(parcel.to[0])),)

    async def carry(self, delivery: Delivery, hand_over: HandOver) -> str:
        """Put it there; return the path. What is there under this name already is replaced.

        Raises
            NotCarried: the disk is full, or the folder cannot be written to.
        """
        await hand_over()
        path = self.folder / delivery.origin.entity / checked_path(delivery.parcel.to[0])
        try:
            await asyncio.to_thread(_put, path, delivery.parcel.content)
        except OSError as error:
            raise NotCarried(f"{path} cannot be written: {error}") from error
        return str(path)


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
