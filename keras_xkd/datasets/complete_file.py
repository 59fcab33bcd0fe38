"""Whether a media file is as long as it says.

Decoders read a file that was cut off as far as it goes and say nothing.
"""

import os

from keras_xkd.datasets.file_error import DataFileError
from keras_xkd.datasets.file_error import check_file

# What writers put down that do not know the length.
UNKNOWN_RIFF = 0x7FFF0000


def check_complete(path):
    """Raises a `DataFileError` if a file is missing, empty or cut off.

    Knows RIFF (wav, avi), ISO media (mp4, m4a, mov) and Matroska (mkv, webm);
    of other files only that they are not empty.
    """
    check_file(path)
    length = os.path.getsize(path)
    with open(path, "rb") as file:
        declared = _declared_length(file, length)
    if declared > length:
        raise DataFileError(
            path, f"the file is cut off, {length} of {declared} bytes are there"
        )


def _declared_length(file, length):
    start = file.read(12)
    if start[:4] == b"RIFF":
        size = int.from_bytes(start[4:8], "little")
        # Some writers count the first eight bytes, some an absent pad byte.
        return 0 if size >= UNKNOWN_RIFF or size <= length + 1 else size + 8
    if start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return _end_of_boxes(file, length)
    if start[:4] == b"\x1a\x45\xdf\xa3":
        return _end_of_segment(file)
    return 0


def _end_of_boxes(file, length):
    position = 0
    while position + 8 <= length:
        file.seek(position)
        header = file.read(16)
        size = int.from_bytes(header[:4], "big")
        if size == 1:
            size = int.from_bytes(header[8:16], "big")
        if size == 0:  # To the end of the file.
            return length
        if size < 8:
            return 0
        position += size
    return position


def _end_of_segment(file):
    """The end of the second element of a Matroska file, its segment."""
    file.seek(4)
    file.seek(_element_size(file) or 0, os.SEEK_CUR)
    if file.read(4) != b"\x18\x53\x80\x67":
        return 0
    size = _element_size(file)
    return 0 if size is None else file.tell() + size


def _element_size(file):
    """A number of one to eight bytes; None if it says unknown."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    extra = 8 - first[0].bit_length()
    bits = 7 * (extra + 1)
    size = int.from_bytes(first + file.read(extra), "big") & ((1 << bits) - 1)
    return None if size == (1 << bits) - 1 else size
