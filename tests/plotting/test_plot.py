"""`plot`: of a Spec without Keras, of a model by its Spec; files are written with care."""

import subprocess
import sys
from pathlib import Path

import draw_designs
import keras
import pytest
from PIL import Image

from keras_unetpp import InputError, Spec, build, plot, prune

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"


def test_a_spec_needs_neither_keras_nor_pillow():
    code = (
        "import sys, keras_unetpp as kup; kup.plot(kup.Spec(backbone='resnet50'), level=1).svg\n"
        "print([name for name in ('tensorflow', 'keras', 'numpy', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_model_is_drawn_by_its_spec():
    model = build((32, 32, 3), depth=2, width=4)
    assert plot(model).svg == plot(model.spec).svg
    small = prune(model, 1)
    assert plot(small).picture.title == "unet++ of depth 1"
    with pytest.raises(InputError, match=r"This network has heads for level 1\. Received: 2\."):
        plot(small, level=2)


def test_what_is_no_network():
    for other in ("unet++", None, 3):
        with pytest.raises(InputError, match=r"plot draws a Spec or a model\. Received: "):
            plot(other)
    image = keras.Input((8, 8, 1))
    with pytest.raises(InputError, match="no model of keras_unetpp"):
        plot(keras.Model(image, keras.layers.Conv2D(1, 1)(image)))
    nameless = keras.Model(image, keras.layers.Conv2D(1, 1, name="x_0_0_conv1")(image))
    with pytest.raises(InputError, match="has no Spec to draw"):
        plot(nameless)


def test_files(tmp_path):
    drawing = plot(Spec(depth=1), tmp_path / "new" / "a.SVG")
    assert (tmp_path / "new" / "a.SVG").read_text(encoding="utf-8") == drawing.svg == drawing._repr_svg_()
    drawing.save(tmp_path / "a.png")
    width, height = drawing.picture.width, drawing.picture.height
    assert Image.open(tmp_path / "a.png").size == (2 * width, 2 * height)
    assert repr(drawing) == "<Drawing: unet++ of depth 1>"


def test_files_of_others_stay(tmp_path):
    path = tmp_path / "mine.svg"
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match=r"mine\.svg"):
        plot(Spec(depth=1), path)
    assert path.read_text(encoding="utf-8") == "mine"
    plot(Spec(depth=1), path, overwrite=True)
    plot(Spec(depth=2), path)
    assert "depth 2" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["a.pdf", "a", "svg"])
def test_other_endings(tmp_path, name):
    with pytest.raises(InputError, match=rf"A picture's file must end in \.svg or \.png\. Received: .*{name}\."):
        plot(Spec(depth=1), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_the_pictures_of_the_docs_are_those_that_are_drawn_now():
    there = {path.name: path.read_text(encoding="utf-8") for path in PICTURES.glob("*.svg")}
    assert there == draw_designs.drawn()
    assert max(map(len, there.values())) < 20_000
