"""Memory of freed arrays and tensors, kept for those that come next."""

import ctypes
from contextlib import suppress

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # of glibc's malloc.h


def keep_memory(all_of_it: bool = False) -> None:
    """Let glibc keep the memory of arrays that were freed for those that come next.

    It would give it back to the system, and ask for it again page by page: a tenth of the
    generator's time, a fifth to a quarter of a training step's on the CPU.

    Params:
        all_of_it: arrays of any size, for networks; else those of less than 32 MB, of which half a
            gigabyte at most.
    """
    with suppress(OSError, TypeError, AttributeError):  # another C library
        libc = ctypes.CDLL(None)
        if all_of_it:
            libc.mallopt(M_MMAP_MAX, 0)
            libc.mallopt(M_TRIM_THRESHOLD, -1)
        else:
            libc.mallopt(M_MMAP_THRESHOLD, 32 << 20)
            libc.mallopt(M_TRIM_THRESHOLD, 512 << 20)
