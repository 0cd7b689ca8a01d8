"""The parts without I/O, and the walk of a path: tables."""

import os
import select

import pytest
from inotify_simple import INotify, flags

from rush_loader.changes import QUIET_SECONDS, Changes
from rush_loader.inotify import PromptINotify
from rush_loader.watches import Watches, walk

SOON, LATER = 1000.0, 1000.0 + QUIET_SECONDS

# Events about one path at the time 1000: about the file itself or its way; when it is due.
REPORTS = [
    ([(True, flags.MODIFY)], LATER),
    ([(True, flags.CLOSE_WRITE)], SOON),
    ([(True, flags.MODIFY), (True, flags.CLOSE_WRITE)], SOON),
    ([(True, flags.CLOSE_WRITE), (True, flags.MODIFY)], LATER),
    ([(True, flags.MOVED_TO)], SOON),
    ([(True, flags.MOVED_TO), (True, flags.MODIFY)], LATER),
    ([(True, flags.MODIFY), (True, flags.MOVED_TO)], SOON),
    ([(True, flags.CREATE)], SOON),
    ([(True, flags.ATTRIB)], SOON),
    ([(True, flags.MODIFY), (True, flags.ATTRIB)], LATER),
    ([(True, flags.ATTRIB), (True, flags.MODIFY)], LATER),
    ([(True, flags.CLOSE_WRITE), (True, flags.ATTRIB)], SOON),
    ([(False, flags.MOVED_TO)], SOON),
    ([(False, flags.ATTRIB)], SOON),
    ([(True, flags.MODIFY), (False, flags.MOVED_TO)], SOON),
    ([(False, flags.MOVED_TO), (True, flags.MODIFY)], SOON),
]


@pytest.mark.parametrize(("events", "due"), REPORTS)
def test_when_a_change_is_due(events, due):
    changes = Changes()
    for final, mask in events:
        changes.note("/x", final=final, mask=mask, now=1000.0)
    assert changes.is_due("/x", 1000.0) == (due == SOON)
    assert changes.pressing("/x") == (due == SOON)
    assert changes.seconds_left(1000.0) == pytest.approx(due - 1000.0)
    assert changes.due(LATER + 0.001) == ["/x"]
    assert changes.written("/x") == any(
        final and mask & (flags.MODIFY | flags.CLOSE_WRITE) for final, mask in events
    )
    changes.take("/x")
    assert len(changes) == 0
    assert changes.seconds_left(1000.0) is None


def test_every_write_begins_the_silence_anew():
    changes = Changes()
    for step in range(10):
        changes.note("/x", final=True, mask=flags.MODIFY, now=1000.0 + step * 0.09)
    assert changes.due(1000.9) == []
    assert changes.seconds_left(1000.81) == pytest.approx(QUIET_SECONDS)


def test_walk(tmp_path):
    os.makedirs(tmp_path / "a/b")
    (tmp_path / "a/b/file").write_text("")
    os.symlink("b", tmp_path / "a/link")
    os.symlink(tmp_path / "a", tmp_path / "absolute")
    os.symlink("loop", tmp_path / "loop")
    top = str(tmp_path)

    def below(path):
        return [
            (directory.removeprefix(top), name)
            for directory, name in walk(top + path)
            if directory.startswith(top)
        ]

    assert below("/a/b/file") == [("", "a"), ("/a", "b"), ("/a/b", "file")]
    assert below("//a/./b//file") == below("/a/b/file")
    assert below("/a/b/../b/file") == [("", "a"), ("/a", "b"), ("/a", "b"), ("/a/b", "file")]
    linked = [("", "a"), ("/a", "link"), ("/a", "b"), ("/a/b", "file")]
    assert below("/a/link/file") == linked
    assert [step for step in below("/absolute/link/file") if step != ("", "absolute")] == linked
    for path, error in [("/loop", OSError), ("/none", FileNotFoundError)]:
        with pytest.raises(error):
            below(path)
    with pytest.raises(NotADirectoryError):
        below("/a/b/file/x")
    assert list(walk("/")) == []


def test_a_watch_is_shared_and_given_back(write):
    one, two = write("a/one.txt"), write("a/two.txt")
    watches = Watches(INotify())
    try:
        watches.follow(one)
        count = len(watches)
        watches.follow(two)
        watches.follow(two)
        assert len(watches) == count
        watches.forget(one)
        assert len(watches) == count
        watches.forget(two)
        watches.forget(two)
        assert len(watches) == 0
        # Among what others have done on the way there meanwhile.
        ended = [event.wd for event in watches.read() if event.mask & flags.IGNORED]
        assert len(ended) == len(set(ended)) == count
    finally:
        watches.close()


def test_a_path_is_walked_again_when_it_leads_elsewhere_only(make_cache, write, save, tmp_path):
    walked = []

    class Counting(PromptINotify):
        def add_watch(self, path, mask):
            walked.append(path)
            return super().add_watch(path, mask)

    cache = make_cache(threaded=False, inotify=Counting)

    def seen(content):
        poller = select.poll()
        poller.register(cache.fileno(), select.POLLIN)
        walked.clear()
        while cache[path].content != content:
            assert poller.poll(20_000)
            cache.process_events()
        return content

    path, other = write("page.html", "0"), write("a/other.html", "3")
    cache.add(path)
    write("page.html", "1")
    assert seen(b"1")
    save(path, "2")
    assert seen(b"2")
    assert not walked
    os.symlink(other, tmp_path / "link")
    os.replace(tmp_path / "link", path)
    assert seen(b"3")
    assert str(tmp_path / "a") in walked
    write("a/other.html", "4")  # its directory is watched by now
    assert seen(b"4")
    save(path, "5")  # no link any more
    assert seen(b"5")
    write("page.html", "6")
    assert seen(b"6")


def test_all_that_was_reported_is_read_at_once(tmp_path):
    with PromptINotify() as inotify:
        assert inotify.read() == []
        inotify.add_watch(str(tmp_path), flags.CREATE)
        names = [f"{number:0200}" for number in range(300)]  # 66 KiB of events
        for name in names:
            (tmp_path / name).touch()
        assert [event.name for event in inotify.read()] == names
        assert inotify.read() == []


def test_the_watch_of_a_directory_that_is_deleted(write, tmp_path):
    path = write("a/one.txt")
    watches = Watches(INotify())
    try:
        watches.follow(path)
        os.unlink(path)
        os.rmdir(tmp_path / "a")
        write("a/one.txt")
        watches.follow(path)  # before it was told that the first one has gone
        concerned = [watches.concerned(event) for event in watches.read()]
        assert [(path, False)] in concerned  # its directory was created
        count = len(watches)
        (tmp_path / "a/one.txt").write_text("two")
        assert [(path, True)] in [watches.concerned(event) for event in watches.read()]
        watches.forget(path)
        assert len(watches) == 0 < count
    finally:
        watches.close()
