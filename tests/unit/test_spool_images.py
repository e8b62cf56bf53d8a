"""Which local files a Markdown text shows."""

import signal

import pytest

from agent.spool.images import local_images

HANGING_SECONDS = 20


@pytest.mark.parametrize(
    ("text", "images"),
    [
        ("See ![the beam](plot.png).", [("plot.png", "the beam")]),
        ('![](plot.png "Run 12")', [("plot.png", "Run 12")]),
        ('![alt](plot.png "title")', [("plot.png", "alt")]),
        ("![](plot.png)", [("plot.png", None)]),
        ("![a](./figs/plot.png)", [("figs/plot.png", "a")]),
        ("![a](<my plot (2).png>)", [("my plot (2).png", "a")]),
        ("![a](my%20plot.png)", [("my plot.png", "a")]),
        (r"![a\]b](plot\_1.png)", [("plot_1.png", "a]b")]),
        ("![a [b] c](plot(1).png)", [("plot(1).png", "a [b] c")]),
        ("[![a](small.png)](https://example.org)", [("small.png", "a")]),
        ("![a\nb](plot.png\n'title')", [("plot.png", "a b")]),
        ("![a][p]\n\n[P]: plot.png 'title'\n", [("plot.png", "a")]),
        ("![p][] and ![q]\n\n[p]: <p 1.png>\n[q]: q.png (why)", [("p 1.png", "p"), ("q.png", "q")]),
        ("![][p]\n\n[p]: plot.png 'the first'\n[p]: other.png", [("plot.png", "the first")]),
        ('<img src="plot.png" alt="a &amp; b">', [("plot.png", "a & b")]),
        ("<IMG width=4 SRC='plot.png' title='t'/>", [("plot.png", "t")]),
        ("<img data-src=other.png src=plot.png>", [("plot.png", None)]),
        ("![](b.png) <img src='a.png'> ![late](b.png)", [("b.png", "late"), ("a.png", None)]),
        ("![é](größe.svg)", [("größe.svg", "é")]),
        ("![](gr%C3%B6%C3%9Fe.svg)", [("größe.svg", None)]),
        ("![](%ff.png)", [("%ff.png", None)]),
        ("odd ` tick\n\n![a](plot.png) ` tick", [("plot.png", "a")]),
    ],
)
def test_what_is_shown_is_found(text: str, images: list[tuple[str, str | None]]) -> None:
    assert local_images(text) == images


@pytest.mark.parametrize(
    "text",
    [
        "![a](https://example.org/plot.png)",
        "![a](data:image/png;base64,AAAA)",
        "![a](FILE:plot.png)",
        "![a](C:\\plots\\plot.png)",
        "![a](/etc/plot.png)",
        "![a](//host/plot.png)",
        "![a](../plot.png)",
        "![a](figs/%2e%2e/plot.png)",
        "![a](%2Fetc/plot.png)",
        "![a](plot%00.png)",
        "![a](#here)",
        "![a]()",
        "![a](figs/)",
        "![a][nothing] ![nothing]",
        "[a](plot.png)",
        r"\![a](plot.png)",
        "`![a](plot.png)` and ``x ` ![a](plot.png)``",
        "```\n![a](plot.png)\n```",
        "~~~ md\n![a](plot.png)\n```\n![b](plot.png)\n",
        "<!-- ![a](plot.png)\n\n<img src='plot.png'> -->",
        "<!-- never ended ![a](plot.png)",
        "<image src='plot.png'>",
    ],
)
def test_what_is_elsewhere_or_code_stays_text(text: str) -> None:
    assert local_images(text) == []


@pytest.mark.parametrize(
    "piece",
    [
        "![",
        "![a](b ",
        "![[a]",
        '![a](b "',
        "`",
        "``` `",
        "<img ",
        "<!--",
        "[a]: b '",
        "![a](b(",
        "\\",
    ],
)
def test_no_text_hangs_the_agent(piece: str) -> None:
    def hangs(*_: object) -> None:
        raise AssertionError("it takes more than in proportion to the text")

    # In proportion it takes a tenth of a second; by the square of the length, many minutes.
    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(HANGING_SECONDS)
    try:
        local_images(piece * 100_000)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
