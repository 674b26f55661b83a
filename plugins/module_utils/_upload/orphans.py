# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""A process that nobody waits for any more ends.

When a connection breaks, the program at its other end is not told, and would go on writing to a disk that the
next run wants to go on with.
"""

import os
import select
import threading

_OUTPUT = 1
_EVERY_MS = 1000


def end_with_reader_of_output() -> None:
    """End this process, from now on, when whoever reads its standard output has gone.

    Nothing is tidied up then: it is as with kill -9, which the journal of an upload is made for.
    """
    threading.Thread(target=_watch, daemon=True, name="orphan").start()


def _watch() -> None:
    poll = select.poll()
    # Errors are reported whether they are asked for or not (poll(2)); a file or terminal has none.
    poll.register(_OUTPUT, 0)
    while True:
        if any(event & select.POLLERR for _fd, event in poll.poll(_EVERY_MS)):
            os._exit(1)
