"""User and group: workers serve with few privileges, the parent keeps those it was started with.

It needs them for what comes later: a certificate that only root may read, a port below 1024.
"""

import ctypes
import grp
import os
import pwd
from typing import NamedTuple

_PR_SET_DUMPABLE = 4  # sys/prctl.h


class Owner(NamedTuple):
    """The ids that workers have; -1: as the parent."""

    user: int = -1
    group: int = -1
    name: str | None = None
    """The name of the user, whose further groups they have."""


def find_owner(user: str | int | None) -> Owner:
    """Look up ``"user"``, ``"user:group"`` or ``":group"``, of names or numbers.

    Without a group it is the user's first one.  Raises `ValueError` if there is none of that name.
    """
    if user is None:
        return Owner()
    user_name, _, group_name = str(user).partition(":")
    owner = Owner()
    try:
        if user_name:
            if user_name.isdecimal() and group_name:  # of a container, which has no names
                owner = Owner(int(user_name))
            else:
                number = user_name.isdecimal()
                entry = pwd.getpwuid(int(user_name)) if number else pwd.getpwnam(user_name)
                owner = Owner(entry.pw_uid, entry.pw_gid, entry.pw_name)
        if group_name.isdecimal():
            owner = owner._replace(group=int(group_name))
        elif group_name:
            owner = owner._replace(group=grp.getgrnam(group_name).gr_gid)
    except KeyError as error:
        raise ValueError(f"user is {user!r}: {error.args[0]}") from None
    return owner


def drop_privileges(owner: Owner) -> None:
    """Be that user, of that group, for good.

    Raises `PermissionError` if this process may not: only root can become another.
    """
    if owner.group >= 0 and os.getresgid() != (owner.group,) * 3:
        if owner.name is not None and os.geteuid() == 0:
            os.initgroups(owner.name, owner.group)
        elif os.geteuid() == 0:
            os.setgroups([])
        os.setresgid(owner.group, owner.group, owner.group)
    if owner.user >= 0 and os.getresuid() != (owner.user,) * 3:
        os.setresuid(owner.user, owner.user, owner.user)
        # Who changes its user is no longer dumpable, and its own /proc/self/fd belongs to root.
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
