"""What is written can be read: contrast by WCAG 2.2 (1.4.3: 4.5 to 1), from the style sheets."""

import re

import pytest

from rush_web.pages.layout import part

STYLE = part("style.css")
LIGHT, DARK = (
    dict(re.findall(r"--([a-z-]+): (#[0-9a-f]+)", block))
    for block in re.findall(r":root \{(.*?)\n *\}", STYLE, re.DOTALL)
)
CODE = "ink keyword string comment number name"
WRITTEN = {
    # on this: what is written there
    "paper": "ink soft accent",
    "card": f"soft accent {CODE}",
    "hover": "ink soft accent",
    "bad-paper": "ink bad",
    "mark": CODE,
}
BANNER = re.findall(r"(?:^|[ ;])(background|color): (#[0-9a-f]{3,8})\b", part("live.js"))


def luminance(colour):
    """The relative luminance of ``#rgb`` or ``#rrggbb``."""
    digits = colour[1:]
    if len(digits) == 3:
        digits = "".join(2 * digit for digit in digits)
    parts = (int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4))
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_measure():
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#fff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("ground", WRITTEN)
def test_text_on_its_ground(colours, ground):
    for ink in WRITTEN[ground].split():
        ratio = contrast(colours[ink], colours[ground])
        assert ratio >= 4.5, f"{ink} on {ground}: {ratio:.2f}"


def test_the_banner():
    ground = next(colour for name, colour in BANNER if name == "background")
    inks = [colour for name, colour in BANNER if name == "color"]
    assert len(inks) == 2
    assert min(contrast(ink, ground) for ink in inks) >= 4.5


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_the_focus_is_seen(colours):
    """WCAG 2.2, 1.4.11: 3 to 1 against what is around it."""
    assert ":focus-visible { outline: 3px solid var(--accent)" in STYLE
    assert "outline: none" not in STYLE
    for ground in ("paper", "card", "hover", "bad-paper"):
        assert contrast(colours["accent"], colours[ground]) >= 3


def test_every_colour_has_a_name():
    rules = re.sub(r":root \{.*?\n *\}", "", STYLE, flags=re.DOTALL)
    assert not re.findall(r"(?<![\w&])#[0-9a-f]{3,8}\b", rules)
    assert LIGHT.keys() == DARK.keys()
