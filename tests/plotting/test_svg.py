"""The SVG is XML that any viewer reads: one element for each thing, its words as text."""

from xml.etree import ElementTree

import pytest

from keras_unetpp.plotting.layout import lay_out
from keras_unetpp.plotting.shapes import Group, Picture, Text
from keras_unetpp.plotting.svg import render
from keras_unetpp.spec import SKIPS, Spec, nodes

NAMES = {"s": "http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("topology", SKIPS)
def test_nodes_and_their_texts(topology):
    spec = Spec(topology=topology, depth=3, width=8)
    root = ElementTree.fromstring(render(picture := lay_out(spec)))
    found = root.findall("s:g[@class='node used']", NAMES)
    assert [one.get("data-name") for one in found] == [node.name for node in nodes(topology, 3)]
    for node, one in zip(nodes(topology, 3), found, strict=True):
        words = [text.text for text in one.findall("s:text", NAMES)]
        assert words == ["X", f"{node.row},{node.column}", str(8 * 2**node.row)]
        assert one.findtext("s:title", "", NAMES).startswith(f"{node.name}: {words[-1]} channels; reads ")
    assert root.get("viewBox") == f"0 0 {picture.width} {picture.height}"
    assert root.findtext("s:title", "", NAMES) == f"{topology} of depth 3"
    assert f"{len(found)} nodes" in root.findtext("s:desc", "", NAMES)


def test_what_is_grey_is_told_too():
    root = ElementTree.fromstring(render(lay_out(Spec(depth=2), 1)))
    assert [one.get("data-name") for one in root.findall("s:g[@class='node unused']", NAMES)] == [
        *("x_2_0", "x_1_1", "x_0_2")
    ]
    told = root.findtext("s:desc", "", NAMES)
    assert told.endswith("Grey, since L1 does not need them: x_2_0, x_1_1, x_0_2, L2.")


def test_words_are_escaped():
    picture = Picture(10, 10, "a < b", '"&"', (Group("x", '">', True, "<b>", (Text(1, 2, "<&>", 3, "#000000"),)),))
    root = ElementTree.fromstring(render(picture))
    assert root.findtext("s:title", "", NAMES) == "a < b"
    assert root.find("s:g", NAMES).get("data-name") == '">'
    assert root.findtext("s:g/s:text", "", NAMES) == "<&>"


def test_nothing_is_read_from_elsewhere():
    text = render(lay_out(Spec(backbone="efficientnet_lite0"), 1)).decode()
    assert text.count("http") == 1
    assert "href" not in text
    assert "url(" not in text
