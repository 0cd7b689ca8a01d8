"""All pages of the manual: links lead somewhere, and what users of others are told is so."""

import argparse
import dataclasses
import re
import shutil
from xml.etree import ElementTree

import pytest

from manuals import Reader
from rush_http import Limits
from rush_web import config
from serving import REPOSITORY

PAGES = [
    REPOSITORY / "README.md",
    *sorted(REPOSITORY.glob("docs/*.md")),
    *sorted(REPOSITORY.glob("packages/*/README.md")),
    *sorted(REPOSITORY.glob("packages/*/docs/**/*.md")),
    *sorted(REPOSITORY.glob("packages/*/deploy/**/*.md")),
]
COMING_FROM = REPOSITORY / "packages/rush-web/docs/coming-from.md"
LINK = re.compile(r"\]\((?!https?://)([^)#\s]*)(?:#([^)\s]*))?\)")
PICTURE = re.compile(r"\bsrc(?:set)?=\"([^\"]+)\"")
CODE = re.compile(r"^```.*?^```|^    .*?$", re.DOTALL | re.MULTILINE)


def anchors(page):
    """The names of its headings, as they are made from their text."""
    for text in re.findall(r"^#+ (.*)$", CODE.sub("", page), re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_links_lead_somewhere(path):
    text = CODE.sub("", path.read_text())
    lost = [picture for picture in PICTURE.findall(text) if not (path.parent / picture).exists()]
    for target, anchor in LINK.findall(text):
        there = path.parent / target if target else path
        if not there.exists() or (anchor and anchor not in anchors(there.read_text())):
            lost.append(f"{target}#{anchor}")
    assert lost == []


def test_drawn_pictures_can_be_read():
    pictures = [*REPOSITORY.glob("docs/*.svg"), *REPOSITORY.glob("packages/*/docs/*.svg")]
    assert len(pictures) >= 2
    for picture in pictures:
        assert ElementTree.parse(picture).find("{http://www.w3.org/2000/svg}title") is not None


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_program_both_ways(tmp_path):
    pytest.importorskip("flask")
    with Reader(tmp_path) as reader:
        assert reader.follow(COMING_FROM.read_text()) == 10


def test_our_words_for_those_of_others_are_there():
    parser = argparse.ArgumentParser(add_help=False)
    config.add_arguments(parser)
    flags = {flag for action in parser._actions for flag in action.option_strings}
    flags |= {"--show-config", "--list"}
    ours = "".join(re.findall(r"^\|.*?\|(.*)\|$", COMING_FROM.read_text(), re.MULTILINE))
    assert set(re.findall(r"--[a-z][a-z-]+", ours)) - flags == set()
    limits = {field.name for field in dataclasses.fields(Limits)}
    assert set(re.findall(r"--limit (\w+)=", ours)) - limits == set()
