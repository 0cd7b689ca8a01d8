"""Files from disk, kept fresh in memory by inotify.

Reading a file again for each use is slow; keeping it in memory makes it stale.  This package keeps
files in memory and has the kernel say when they change, so that a hit touches no file system and
is still the current version.

The cache alone is a mapping from absolute path to `File`:

>>> import os, tempfile
>>> from rush_loader import AutoUpdatingCache, FileNotFound
>>> folder = tempfile.TemporaryDirectory()
>>> path = os.path.join(folder.name, "motd.txt")
>>> with open(path, "w") as motd:
...     _ = motd.write("Good morning!")

>>> cache = AutoUpdatingCache(max_bytes=64 << 20)
>>> file = cache.add(path)  # reads it, once
>>> file.content, file.size, file.content_type
(b'Good morning!', 13, 'text/plain; charset=utf-8')
>>> cache.get(path) is file  # a look-up, no system call
True

A `File` is one version and never changes.  When the file on disk does, a thread that reads inotify
puts another one in its place, and lets go of it when the file is deleted:

>>> os.unlink(path)
>>> import time
>>> deadline = time.monotonic() + 10
>>> while cache.get(path) is not None and time.monotonic() < deadline:
...     os.sched_yield()
>>> path in cache
False
>>> try:
...     cache.add(path)
... except FileNotFound as error:
...     print(error.strerror)
No such file or directory
>>> cache.close()

A `Loader` is for servers: it maps the path of a request to a file below its root, and never to one
outside of it, whatever names and symbolic links say.

>>> from rush_loader import Loader
>>> with open(os.path.join(folder.name, "index.html"), "w") as page:
...     _ = page.write("<h1>Hello</h1>")
>>> loader = Loader(folder.name)
>>> page = loader.load("/")
>>> page.content_type
'text/html; charset=utf-8'
>>> try:
...     loader.load("/../etc/passwd")
... except FileNotFound as error:
...     print(error.status)
404

What a server sends of it, `answer` says: conditions, ranges, content codings and HEAD are seen to,
and the head is ready.  Nothing is sent; that is for who has the connection.

>>> from rush_http import Headers
>>> reply = loader.answer("/", "GET", Headers((("if-none-match", page.etag),)))
>>> reply.status, reply.body
(304, b'')
>>> loader.close()
>>> folder.cleanup()

What is seen when: a save by rename, a deletion, a move and a swapped symbolic link at once; a file
written in place when its writer closes it, or has written nothing for 100 ms.  Changes that the
kernel does not report (through `mmap`, or another hard link) are seen with ``revalidate=seconds``
only.  Where nothing can be watched (a limit, a network file system), a file is compared with the
disk each time it is used, and the logger ``rush_loader`` says so once.

Threads and forks: a cache may be used by several threads.  No thread of it is alive during
`os.fork`; parent and child each start their own when they use it again.
"""

from .answers import Reply, answer
from .cache import AutoUpdatingCache
from .codings import TWINS, compressed
from .errands import OnChange
from .errors import FileNotFound, SlashMissing
from .file import File
from .listing import Item, Listing
from .loader import Answerer, Cache, Loader
from .mounts import Mounts
from .store import Stats

__all__ = [
    "TWINS",
    "Answerer",
    "AutoUpdatingCache",
    "Cache",
    "File",
    "FileNotFound",
    "Item",
    "Listing",
    "Loader",
    "Mounts",
    "OnChange",
    "Reply",
    "SlashMissing",
    "Stats",
    "answer",
    "compressed",
]
__version__ = "0.1.0"
