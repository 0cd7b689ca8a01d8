"""Which file systems tell inotify of every change; asked of the kernel with ``statfs(2)``.

A list of those that do, not of those that do not: what is not known here is checked with every
use, which is slower, never wrong.  On NFS, CIFS, 9p, Ceph and FUSE (virtiofs and the bind mounts
of Docker Desktop too) another machine or a daemon changes files behind this kernel's back; proc
and sysfs make theirs up as they are read.

overlayfs reports what is written through it, but not what is written to its layers underneath: so
it counts as one that tells if none of its layers is in sight, as in a container, where nobody can
get at them.  Its layers are those that `/proc/self/mountinfo` names.
"""

import ctypes
import errno
import os
import re

_REPORTING = frozenset(
    {
        0x0000EF53,  # ext2, ext3, ext4
        0x58465342,  # xfs
        0x9123683E,  # btrfs
        0x01021994,  # tmpfs
        0x858458F6,  # ramfs
        0xF2F52010,  # f2fs
        0x2FC12FC1,  # zfs
        0xCA451A4E,  # bcachefs
        0x00004D44,  # vfat
        0x2011BAB0,  # exfat
        0x7366746E,  # ntfs3
        0x73717368,  # squashfs
        0xE0F5E1E2,  # erofs
        0x00009660,  # iso9660
        0x15013346,  # udf
        0x3153464A,  # jfs
        0x00003434,  # nilfs2
        0x24051905,  # ubifs
        0x000072B6,  # jffs2
        0x28CD3D45,  # cramfs
    }
)

_OVERLAY = 0x794C7630

_NAMES = {
    _OVERLAY: "overlay, whose layers can be written to",
    0x00006969: "nfs",
    0x01021997: "9p",
    0x65735546: "fuse",
    0xFF534D42: "cifs",
    0xFE534D42: "smb2",
    0x00C36400: "ceph",
    0x00009FA0: "proc",
    0x62656572: "sysfs",
}

# The first field of struct statfs, on every architecture and libc; s390x alone made it 32 bits.
_FTYPE = ctypes.c_uint if os.uname().machine == "s390x" else ctypes.c_long
_STATFS_BYTES = 512  # larger than the struct is anywhere (120 on x86-64)

_libc = ctypes.CDLL(None, use_errno=True)


def silent(directory: str) -> str | None:
    """The name of the file system of `directory` if it may change things unreported, else `None`.

    Raises `OSError` if there is no such directory.
    """
    magic = _magic(directory)
    if magic in _REPORTING:
        return None
    if magic == _OVERLAY and not _layers_in_sight(os.stat(directory).st_dev):
        return None
    return _NAMES.get(magic, f"type {magic:#x}")


def _magic(directory: str) -> int:
    buffer = ctypes.create_string_buffer(_STATFS_BYTES)
    while _libc.statfs(os.fsencode(directory), buffer) != 0:
        error = ctypes.get_errno()
        if error != errno.EINTR:
            raise OSError(error, os.strerror(error), directory)
    return int(_FTYPE.from_buffer(buffer).value) & 0xFFFFFFFF


def _layers_in_sight(device: int) -> bool:
    """Whether the layers of this mounted overlayfs, or one of them, can be reached by path."""
    with open("/proc/self/mountinfo") as mounts:
        return any(
            os.path.isdir(layer)
            for line in mounts
            if f" {os.major(device)}:{os.minor(device)} " in line
            for layer in layers(line)
        )


def layers(mount: str) -> list[str]:
    """The directories that a line of mountinfo names as layers: see proc_pid_mountinfo(5)."""
    found = []
    for option in mount.rstrip("\n").rpartition(" ")[2].split(","):
        name, _, value = option.partition("=")
        if name in ("upperdir", "lowerdir", "lowerdir+"):
            # Odd characters as octal numbers; then, between colons, colons after a backslash.
            value = re.sub(r"\\([0-7]{3})", _character, value)
            found += [layer.replace("\\:", ":") for layer in re.split(r"(?<!\\):+", value)]
    return found


def _character(octal: re.Match[str]) -> str:
    return chr(int(octal[1], 8))
