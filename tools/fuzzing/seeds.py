"""Good files to begin with, small and of many kinds: pictures, tables, annotations, checkpoints."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

_RGB = np.random.default_rng(0).integers(0, 256, (13, 17, 3), np.uint8)
_GREY = _RGB[..., 0]
_IDS = (_GREY // 64).astype(np.uint8)
_TORCH = Path(__file__).parents[2] / "tests" / "weights" / "torch_files"


def png(folder: Path) -> None:
    """PNG of 1 to 16 bits, grey, colour, palette and alpha."""
    alpha = np.dstack([_RGB, _GREY])
    for name, array, mode in (
        ("rgb", _RGB, None),
        ("grey", _GREY, None),
        ("rgba", alpha, None),
        ("la", _GREY, "LA"),
        ("bits1", _GREY, "1"),
        ("bits16", _GREY.astype(np.uint16) * 257, None),
        ("palette", _RGB, "P"),
    ):
        image = Image.fromarray(array)
        (image.convert(mode) if mode else image).save(folder / f"{name}.png")
    for bits in (2, 4):
        Image.fromarray(_IDS).convert("P").save(folder / f"bits{bits}.png", bits=bits)
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(_RGB).save(folder / "turned.png", exif=exif)


def jpeg(folder: Path) -> None:
    """JPEG, also progressive, grey, of four channels and turned."""
    exif = Image.Exif()
    exif[274] = 6
    for name, mode, options in (
        ("rgb", "RGB", {"exif": exif}),
        ("grey", "L", {}),
        ("progressive", "RGB", {"progressive": True}),
        ("halved", "RGB", {"subsampling": 2}),
        ("restarts", "RGB", {"restart_marker_rows": 1}),
    ):
        Image.fromarray(_RGB).convert(mode).save(folder / f"{name}.jpg", quality=80, **options)


def bmp(folder: Path) -> None:
    """BMP of 1, 8 and 24 bits."""
    for mode in ("1", "L", "P", "RGB"):
        Image.fromarray(_RGB).convert(mode).save(folder / f"{mode}.bmp")


def webp(folder: Path) -> None:
    """WebP, lossless and not, with alpha and EXIF."""
    exif = Image.Exif()
    exif[274] = 6
    for name, mode, options in (
        ("lossless", "RGB", {"lossless": True}),
        ("lossy", "RGB", {"exif": exif}),
        ("alpha", "RGBA", {"lossless": True}),
    ):
        Image.fromarray(_RGB).convert(mode).save(folder / f"{name}.webp", **options)


def tiff(folder: Path) -> None:
    """TIFF of each compression, tiled, planar, of floating point, BigTIFF, and those of ImageJ, OME and GDAL."""
    for compression in (
        "zlib",
        "lzw",
        "packbits",
        "jpeg",
        "zstd",
        "lzma",
        "webp",
        "jpeg2000",
        "jpegxl",
        "lerc",
        "deflate",
    ):
        tifffile.imwrite(folder / f"{compression}.tif", _RGB, photometric="rgb", compression=compression)
    stack = np.stack([_GREY, _GREY, _GREY])
    for name, array, options in (
        ("rgb", _RGB, {"photometric": "rgb"}),
        ("grey", _GREY, {}),
        ("ids", _IDS.astype(np.int32), {}),
        ("big", _GREY, {"bigtiff": True}),
        ("bits16", _GREY.astype(np.uint16), {"byteorder": ">"}),
        ("float", _GREY.astype(np.float32), {"predictor": 3, "compression": "zlib"}),
        ("tiled", _GREY, {"tile": (16, 16)}),
        ("planar", _RGB.transpose(2, 0, 1), {"photometric": "rgb", "planarconfig": "separate"}),
        ("strips", _GREY, {"rowsperstrip": 4}),
        ("predicted", _RGB, {"photometric": "rgb", "predictor": 2, "compression": "lzw"}),
        ("bits1", _GREY > 99, {"photometric": "miniswhite"}),
        ("stack", stack, {"photometric": "minisblack"}),
        ("imagej", stack, {"imagej": True, "metadata": {"axes": "ZYX"}}),
        ("ome", stack, {"ome": True, "metadata": {"axes": "ZYX"}}),
        ("nodata", _GREY, {"extratags": [(42113, 2, 4, "200", True)]}),
        ("turned", _GREY, {"extratags": [(274, 3, 1, 6, True)]}),
    ):
        tifffile.imwrite(folder / f"{name}.tif", array, **options)
    Image.fromarray(_RGB).convert("P").save(folder / "palette.tif")
    for compression in ("group3", "group4"):
        Image.fromarray(_GREY).convert("1").save(folder / f"{compression}.tif", compression=compression)


def data(folder: Path, count: int = 4, side: int = 16) -> None:
    """A data folder of a few pictures and masks."""
    noise = np.random.default_rng(0)
    for number in range(count):
        mask = np.zeros((side, side), np.uint8)
        mask[2 + number : 9, 3:11] = 1
        image = np.clip(40 + 120 * mask[..., None] + noise.normal(0, 10, (side, side, 3)), 0, 255).astype(np.uint8)
        for name, array in (("images", image), ("masks", mask)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(folder / name / f"{number}.png")


def index(folder: Path) -> None:
    """Data folders whose index was written in several encodings and with several separators."""
    text = "file,split,kind,group\n" + "".join(
        f"{n}.png,{'train' if n else 'val'},dünn,patient {n}\n" for n in range(4)
    )
    for name, written, encoding in (
        ("utf-8", text, "utf-8"),
        ("excel", "sep=;\n" + text.replace(",", ";"), "utf-8-sig"),
        ("utf-16", text.replace(",", "\t"), "utf-16"),
        ("latin", text, "cp1252"),
        ("no-split", text.replace("split", "note").replace("train", "").replace("val", ""), "utf-8"),
    ):
        data(folder / name)
        (folder / name / "index.csv").write_bytes(written.encode(encoding))


def coco(folder: Path) -> None:
    """COCO with polygons, run lengths as numbers and as text."""
    outlines: tuple[Any, ...] = (
        [[1, 1, 6, 1, 6, 6.5, 1, 6]],
        {"size": [16, 16], "counts": [40, 16, 200]},
        {"size": [16, 16], "counts": "X1`0X6"},
        [],
    )
    described = {
        "images": [{"id": n, "file_name": f"{n}.png", "height": 16, "width": 16} for n in range(4)],
        "categories": [{"id": 3, "name": "cell"}, {"id": 7, "name": "nucleus"}],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 3 if n % 2 else 7, "area": 30.0, "iscrowd": 0, "segmentation": one}
            for n, one in enumerate(outlines)
        ],
    }
    data(folder / "set")
    (folder / "set" / "annotations.json").write_text(json.dumps(described))


def labelme(folder: Path) -> None:
    """LabelMe with each kind of shape."""
    data(folder / "set")
    shapes = [
        {"label": "cell", "points": [[1, 1], [9, 2], [5, 8.5]], "shape_type": "polygon", "group_id": None},
        {"label": "cell", "points": [[3, 3], [9, 9]], "shape_type": "rectangle", "group_id": 1},
        {"label": "nucleus", "points": [[8, 8], [11, 8]], "shape_type": "circle"},
        {"label": "__ignore__", "points": [[12, 12], [15, 12], [15, 15]]},
    ]
    for number in range(4):
        described = {
            "imagePath": f"{number}.png",
            "imageHeight": 16,
            "imageWidth": 16,
            "shapes": shapes[number:] + shapes[:number],
        }
        (folder / "set" / "images" / f"{number}.json").write_text(json.dumps(described))


def checkpoint(folder: Path) -> None:
    """State dicts in both of PyTorch's formats."""
    for path in _TORCH.glob("*.pt"):
        shutil.copyfile(path, folder / f"{path.stem}.pth")


def spec(folder: Path) -> None:
    """Specs of several structures."""
    from keras_unetpp.spec import Spec

    for name, one in (
        ("plain", Spec()),
        ("volume", Spec((16, 32, 32, 1), depth=2, width=4)),
        ("backbone", Spec(backbone="mobilenet_v2", depth=4)),
    ):
        (folder / f"{name}.json").write_text(one.to_json())
