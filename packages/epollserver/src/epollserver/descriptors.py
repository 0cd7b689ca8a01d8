"""Descriptors that were closed by somebody who does not own them.

Their numbers go to whatever opens next: a server that went on would send one client's answer to
another, or into a file.  epoll(7) forgets a closed descriptor silently, so it is noticed where a
call fails that cannot fail otherwise, and by `EpollServer.check_descriptors`.
"""

import errno

LOST = {errno.EBADF, errno.ENOTSOCK, errno.EINVAL}
"""What calls say about a number that is no socket of ours any more."""


class DescriptorLost(BaseException):
    """Somebody has closed a descriptor of the server's: it cannot go on, `EpollServer.start` ends.

    No `Exception`: nothing that holds off a handler's errors may hold it off.
    """

    def __init__(self, descriptor: int, what: str) -> None:
        super().__init__(f"descriptor {descriptor}, {what}, was closed by somebody else")
