"""Which directories are watched, and which paths lead through which of their names.

A path is walked as the kernel does it, name by name, through symbolic links too::

    /srv/site/current/app.css  with  current -> release-42

    (/, srv)  (/srv, site)  (/srv/site, current)  (/srv/site, release-42)  (.../release-42, app.css)

Every one of these names can be given to something else, and then the path leads to another file.
So each directory is watched, **before** the name in it is looked at: whatever changes during the
walk is reported after it, and the path is walked again.  That is also why walking by path is
enough, although directories can move meanwhile.

Directories are watched, never files: a watch on a file stays with the inode, so it is lost to an
editor that saves by rename.  A directory that only leads to others is watched for its names; one
that holds a cached file also for what is written to its files: all of `/tmp` would wake us all day.

Watches are known by their number (`wd`), which the kernel gives to the inode and does not use
again: two paths to one directory share it, and late events of a removed watch have no owner.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import suppress

from .errors import absent
from .filesystems import silent
from .inotify import Event, INotify, flags

# ATTRIB: a directory that nobody may enter any more.  EXCL_UNLINK: what is written to a file that
# has lost its name (a rotated log) is not reported as if it were written to its successor.
_NAMES = (
    flags.CREATE | flags.DELETE | flags.MOVED_FROM | flags.MOVED_TO | flags.ATTRIB
    | flags.DELETE_SELF | flags.MOVE_SELF | flags.ONLYDIR | flags.EXCL_UNLINK | flags.MASK_ADD
)  # fmt: skip
_CONTENT = _NAMES | flags.MODIFY | flags.CLOSE_WRITE

_MAX_LINKS = 40  # as the kernel: path_resolution(7)

Step = tuple[int, str]  # the watch of a directory, and a name in it


class Unwatchable(Exception):
    """A path whose changes nobody would report; says why, and what to do about it.

    `kind` is the same for the same reason; `lasting` is false for one that is over in a moment.
    """

    def __init__(self, kind: str, message: str = "", *, lasting: bool = True) -> None:
        super().__init__(message)
        self.kind = kind
        self.lasting = lasting


class Watches:
    """The watched directories of one inotify descriptor, which belongs to this object.

    Not for several threads at a time.
    """

    def __init__(self, inotify: INotify) -> None:
        self._inotify = inotify
        # By watch, by name: the paths that lead through it, and whether it is the file itself.
        self._paths: dict[int, dict[str, dict[str, bool]]] = {}
        self._steps: dict[str, set[Step]] = {}

    def fileno(self) -> int:
        """The descriptor that is readable when something was reported."""
        return self._inotify.fileno()

    def __len__(self) -> int:
        return len(self._paths)

    def close(self) -> None:
        """Give back the descriptor, and with it every watch."""
        with suppress(OSError):  # somebody closed every descriptor, to become a daemon
            self._inotify.close()
        self._paths.clear()
        self._steps.clear()

    def read(self) -> list[Event]:
        """What was reported and not read yet; does not wait."""
        return list(self._inotify.read(timeout=0))

    def follow(self, path: str) -> None:
        """Watch every name that `path` leads through now, and no others for it any more.

        Raises `FileNotFound` if it leads nowhere, and `Unwatchable`; `path` is then forgotten.
        """
        old = self._steps.get(path, set())
        new: set[Step] = set()
        self._steps[path] = new
        try:
            self._walk(path, new)
        except BaseException as error:
            new |= old
            self.forget(path)
            if isinstance(error, OSError):
                raise absent(path, error) from error
            raise
        for step in old - new:
            self._release(path, step)

    def forget(self, path: str) -> None:
        """Watch nothing for `path` any more."""
        for step in self._steps.pop(path, ()):
            self._release(path, step)

    def concerned(self, event: Event) -> list[tuple[str, bool]]:
        """The paths that `event` is about, and whether it is about the file itself."""
        if event.mask & flags.IGNORED:  # the kernel removed this watch, with its directory
            names = self._paths.pop(event.wd, {})
        else:
            names = self._paths.get(event.wd, {})
        if event.name:
            return list(names.get(event.name, {}).items())
        return [(path, False) for paths in names.values() for path in paths]

    def _walk(self, path: str, steps: set[Step]) -> None:
        last = None
        for last in walk(path):
            self._add(path, steps, *last, _NAMES)
        if last is not None:
            directory, name = last
            watch = self._add(path, steps, directory, name, _CONTENT)
            self._paths[watch][name][path] = True

    def _add(self, path: str, steps: set[Step], directory: str, name: str, mask: int) -> int:
        watch = self._watch(directory, mask)
        self._paths[watch].setdefault(name, {}).setdefault(path, False)
        steps.add((watch, name))
        return watch

    def _watch(self, directory: str, mask: int) -> int:
        try:
            watch = self._inotify.add_watch(directory, mask)
        except OSError as error:
            raise _unwatchable(directory, error) from error
        if watch not in self._paths:
            try:
                if file_system := silent(directory):
                    raise Unwatchable(
                        "silent",
                        f"{directory!r} is on a file system ({file_system}) that does not "
                        "report every change through inotify",
                    )
            except BaseException:
                self._remove(watch)
                raise
            self._paths[watch] = {}
        return watch

    def _release(self, path: str, step: Step) -> None:
        watch, name = step
        names = self._paths.get(watch)
        if names is None:
            return  # the kernel removed it
        paths = names.get(name, {})
        paths.pop(path, None)
        if not paths:
            names.pop(name, None)
        if not names:
            del self._paths[watch]
            self._remove(watch)

    def _remove(self, watch: int) -> None:
        with suppress(OSError):  # EINVAL: the directory has gone, and the watch with it
            self._inotify.rm_watch(watch)


def walk(path: str) -> Iterator[tuple[str, str]]:
    """Each directory and name that the absolute `path` leads through; the last is the file.

    A name is looked at when the caller asks for the next one: in between, a watch can be set.
    Raises `OSError` where the path ends before its end.
    """
    directory = ""  # the root
    ahead = path.split("/")[::-1]
    links = 0
    while ahead:
        name = ahead.pop()
        if name in ("", "."):
            continue
        if name == "..":
            directory = directory.rpartition("/")[0]  # holds no links, so this is its parent
            continue
        yield directory or "/", name
        here = f"{directory}/{name}"
        try:
            target = os.readlink(here)
        except OSError as error:
            if error.errno != errno.EINVAL:  # what is not a link
                raise
            directory = here
            continue
        links += 1
        if links > _MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        ahead.extend(reversed(target.split("/")))
        if target.startswith("/"):
            directory = ""


def _unwatchable(directory: str, error: OSError) -> Exception:
    """What to raise for a watch that the kernel refused."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
        return error
    if error.errno == errno.ENOSPC:
        return Unwatchable(
            "watches", "no inotify watches left: raise fs.inotify.max_user_watches (sysctl)"
        )
    return Unwatchable(
        f"errno {error.errno}",
        f"directory {directory!r} cannot be watched ({error.strerror}); "
        "inotify needs the permission to read it",
    )
