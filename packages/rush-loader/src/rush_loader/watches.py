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
Walked = dict[tuple[str, int], int]  # watches by directory and mask, from a walk just before


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
        # By watch, by name: the paths (or keys) that lead through it, and whether it is the file.
        self._paths: dict[int, dict[str, dict[str, bool]]] = {}
        self._steps: dict[str, set[Step]] = {}

    def fileno(self) -> int:
        """The descriptor that is readable when something was reported."""
        return self._inotify.fileno()

    def __len__(self) -> int:
        return len(self._paths)

    def __contains__(self, key: object) -> bool:
        return key in self._steps

    def close(self) -> None:
        """Give back the descriptor, and with it every watch."""
        with suppress(OSError):  # somebody closed every descriptor, to become a daemon
            self._inotify.close()
        self._paths.clear()
        self._steps.clear()

    def read(self) -> list[Event]:
        """What was reported and not read yet; does not wait."""
        return list(self._inotify.read(timeout=0))

    def follow(self, path: str, key: str | None = None, walked: Walked | None = None) -> bool:
        """Watch every name that `path` leads through now, and no others for it any more.

        Returns whether these are others than before.

        With a `key`, by which it is known from then on, it may lead nowhere: it is watched as far
        as it leads, and for what may come.

        Paths that share directories and are followed one right after the other, without `read` in
        between, can share `walked`: what changes meanwhile is reported for all of them later.

        Raises `FileNotFound` if it leads nowhere, and `Unwatchable`; it is then forgotten.
        """
        awaited = key is not None
        walked = {} if walked is None else walked
        key = path if key is None else key
        old = self._steps.get(key, set())
        new: set[Step] = set()
        self._steps[key] = new
        try:
            self._walk(path, key, new, walked, awaited)
        except BaseException as error:
            new |= old
            self.forget(key)
            if isinstance(error, OSError):
                raise absent(path, error) from error
            raise
        for step in old - new:
            self._release(key, step)
        return old != new

    def forget(self, key: str) -> None:
        """Watch nothing for this path or key any more."""
        for step in self._steps.pop(key, ()):
            self._release(key, step)

    def concerned(self, event: Event) -> list[tuple[str, bool]]:
        """The paths or keys that `event` is about, and whether it is about the file itself."""
        if event.mask & flags.IGNORED:  # the kernel removed this watch, with its directory
            names = self._paths.pop(event.wd, {})
        else:
            names = self._paths.get(event.wd, {})
        if event.name:
            return list(names.get(event.name, {}).items())
        return [(path, False) for paths in names.values() for path in paths]

    def _walk(self, path: str, key: str, steps: set[Step], walked: Walked, awaited: bool) -> None:
        last = None
        try:
            for last in walk(path):
                steps.add(self._add(key, *last, _NAMES, walked))
        except (FileNotFoundError, NotADirectoryError):
            if not awaited:
                raise
        if last is not None:
            watch, name = self._add(key, *last, _CONTENT, walked)
            self._paths[watch][name][key] = True

    def _add(self, key: str, directory: str, name: str, mask: int, walked: Walked) -> Step:
        watch = walked.get((directory, mask), -1)
        if watch not in self._paths:
            watch = walked[directory, mask] = self._watch(directory, mask)
        self._paths[watch].setdefault(name, {}).setdefault(key, False)
        return watch, name

    def _watch(self, directory: str, mask: int) -> int:
        try:
            watch = self._inotify.add_watch(directory, mask)
        except OSError as error:
            raise _unwatchable(directory, error) from error
        except ValueError as error:  # a signal handler has forked, in the middle of this
            raise Unwatchable("closed", "closed meanwhile", lasting=False) from error
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

    def _release(self, key: str, step: Step) -> None:
        watch, name = step
        names = self._paths.get(watch)
        if names is None:
            return  # the kernel removed it
        keys = names.get(name, {})
        keys.pop(key, None)
        if not keys:
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
