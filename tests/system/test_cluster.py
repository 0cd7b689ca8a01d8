"""Two servers behind HAProxy under load: restarted, killed, cut off, frozen.

The configuration is the one that users are given.  GET may be asked twice, and HAProxy does so if
a server fails: none is lost, whatever happens.  POST may not: the client hears of those that are on
their way to a server that fails, one for each connection, and of no others.
"""

import contextlib
import os
import signal

import pytest

from cluster import HAPROXY, Cluster
from load import Load

GETS, POSTS = 12, 6

pytestmark = pytest.mark.skipif(not HAPROXY, reason="haproxy is not installed")


@contextlib.contextmanager
def load(cluster):
    """Constant load: one of GET, one of POST."""
    with (
        Load(cluster.front, GETS, "/who") as gets,
        Load(cluster.front, POSTS, "/who", method="POST", body=b"x") as posts,
    ):
        gets.wait_for_all()
        posts.wait_for_all()
        yield gets, posts
        gets.wait_for_all()
        posts.wait_for_all()
    assert not gets.failed
    assert not gets.lost


@pytest.fixture
def cluster(tmp_path):
    # A server that is silent is given up after a second.
    with Cluster(tmp_path, server="1s", check="500ms", connect="500ms") as cluster:
        yield cluster


def names(loaded):
    """Who has answered."""
    return {said.split()[0] for said in loaded.said}


def test_rolling_restart(cluster):
    with load(cluster) as (gets, posts):
        before = set(gets.said)
        for place in (0, 1):
            cluster.restart(place)
        gets.wait_for(lambda: len(names(gets)) == 2 and len(set(gets.said) - before) >= 2)
    assert not posts.failed
    assert not posts.lost
    assert names(posts) == {b"a", b"b"}


def only_those_on_their_way(posts, faults=1):
    """Nobody was refused; for each fault one request of each connection at most has no answer."""
    assert len(posts.failed) + len(posts.lost) <= faults * POSTS, (posts.failed, posts.lost)
    assert all(isinstance(one, bytes) for one in posts.failed), posts.failed
    assert {one.split()[1] for one in posts.failed} <= {b"502", b"503", b"504"}


def test_killed_server(cluster):
    with load(cluster) as (_, posts):
        cluster.servers[0].kill_group(signal.SIGKILL)
        cluster.wait_for_down(0)
        cluster.servers[0].end()
        cluster.start(0)
        cluster.servers[0].ready()
        cluster.wait_for_up(0)
    only_those_on_their_way(posts, faults=2)  # its workers die one after the other


def test_server_that_is_cut_off(cluster):
    if not cluster.hosts.separate:
        pytest.skip("there are no network namespaces here")
    with load(cluster) as (_, posts):
        cluster.hosts.cut(0)
        cluster.wait_for_down(0)
    only_those_on_their_way(posts)


def test_frozen_worker(cluster):
    with load(cluster) as (gets, posts):
        (frozen, *_) = cluster.servers[0].children()
        os.kill(frozen, signal.SIGSTOP)
        gets.wait_for_all()
        posts.wait_for_all()
        os.kill(frozen, signal.SIGCONT)
        cluster.wait_for_up(0)
    only_those_on_their_way(posts)
