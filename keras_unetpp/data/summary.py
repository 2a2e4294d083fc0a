"""A data folder at a glance: images, masks, classes with their shares, what was left out, what is odd."""

import math
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from numbers import Integral
from typing import Any

from keras_unetpp.data.advice import Seen, advice
from keras_unetpp.data.contents import LeftOut
from keras_unetpp.data.data_folder import FOLDERS, DataFolder, data_folder
from keras_unetpp.data.folders import Sample, check_samples, read_pair, scan
from keras_unetpp.data.images import image_size
from keras_unetpp.data.index import SPLITS
from keras_unetpp.data.pixels import Ranges
from keras_unetpp.data.survey import FEW, Ids, Look, Survey
from keras_unetpp.kit.errors import InputError, InputWarning, brief
from keras_unetpp.kit.progress import track
from keras_unetpp.kit.tables import table

MOST_PIXELS = 2**30
"""`describe_data` reads images of so many pixels together; of more, evenly spaced ones."""


@dataclass(frozen=True)
class DataSummary:
    """What data is; printing it shows tables.

    Attributes:
        source: the folder, or "samples".
        samples: all of them.
        looks: what was seen of those that were read whole.
        ids: pixels and masks of each id, by split.
        left_out: files that are not used, with the reason.
        notes: what is worth a warning, in whole sentences.
        ranges: of the images' values.
    """

    source: str
    samples: tuple[Sample, ...]
    looks: tuple[Look, ...]
    ids: dict[str, Ids]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]
    ranges: Ranges

    def tell(self) -> None:
        """Warn of what is odd, each once."""
        self.ranges.tell()
        for note in self.notes:
            warnings.warn(note, InputWarning, stacklevel=3)

    def __str__(self) -> str:
        parts = [self._counts(), self._images(), self._ids()]
        if self.left_out:
            parts.append("\n".join(["left out:", *(f"  {one}" for one in self.left_out)]))
        return "\n\n".join(part for part in parts if part)

    __repr__ = __str__

    def _counts(self) -> str:
        kinds, groups = (any(getattr(one, name) for one in self.samples) for name in ("kind", "group"))
        rows = []
        for split, kind in sorted({(one.split, one.kind) for one in self.samples}):
            own = [one for one in self.samples if (one.split, one.kind) == (split, kind)]
            row = [split, kind or "-", f"{len(own):,}", f"{len({one.group for one in own} - {''}):,}"]
            rows.append([cell for cell, shown in zip(row, (True, kinds, True, groups), strict=True) if shown])
        headings = ["split", *["kind"] * kinds, "images", *["groups"] * groups]
        return f"{len(self.samples):,} images with masks in {self.source}\n{table(headings, rows)}"

    def _images(self) -> str:
        if not self.looks:
            return ""
        sizes = sorted({one.size for one in self.looks})
        span = " to ".join(" x ".join(map(str, size)) for size in dict.fromkeys((sizes[0], sizes[-1])))
        lines = [f"sizes   {span}" + (f", {len(sizes)} different" if len(sizes) > 2 else "")]
        for kind, count in Counter(one.pixels for one in self.looks).most_common():
            own = [one for one in self.looks if one.pixels == kind]
            low, high = min(one.low for one in own), max(one.high for one in own)
            lines.append(f"images  {kind}, values {low:.6g}..{high:.6g} ({count:,})")
        for kind, count in Counter(one.mask for one in self.looks).most_common():
            lines.append(f"masks   {kind} ({count:,})")
        if len(self.looks) < len(self.samples):
            lines.append(f"        of {len(self.looks):,} images that were read; the headers of all others were")
        return "\n".join(lines)

    def _ids(self) -> str:
        every = sum((self.ids[split] for split in SPLITS), Ids())
        if not every.masks and not every.ignored:
            return ""
        if len(every.pixels) > FEW + 1:
            rows = [[split, f"{own.foreground / max(own.total, 1):.2%}", f"{len(own.pixels):,}"]
                    for split, own in self.ids.items()]  # fmt: skip
            text = table(["split", "foreground", "ids"], rows)
        else:
            rows = [[str(number), *(cell for split in SPLITS for cell in self._id(split, number))]
                    for number in sorted(every.pixels)]  # fmt: skip
            text = table(["id", *(word for split in SPLITS for word in (f"{split} pixels", "masks"))], rows)
        empty = sum(not one.foreground for one in self.looks)
        lines = [text, *([f"{empty:,} masks without foreground"] if empty else [])]
        if every.ignored:
            lines.append(f"{every.ignored / (every.ignored + every.total):.2%} of the pixels are left out")
        return "\n".join(lines)

    def _id(self, split: str, number: int) -> tuple[str, str]:
        own = self.ids[split]
        return f"{own.share(number):.2%}", f"{own.masks[number]:,}"


def summarize(survey: Survey, samples: Sequence[Sample], left_out: Iterable[LeftOut] = (), source: object = "samples",
              labels: str | None = None, classes: int | None = None) -> DataSummary:  # fmt: skip
    """The summary of what a survey saw.

    Args:
        survey: that was shown some or all of the samples.
        samples: all of the data.
        left_out: of the folder.
        source: where they come from.
        labels: "foreground" or "classes"; None or "auto": as follows from `classes`.
        classes: of the network; None if that is not known.
    """
    if labels in (None, "auto"):
        labels = None if classes is None else "classes" if classes > 1 else "foreground"
    looks = tuple(survey.looks[key] for key in sorted(survey.looks))
    named = tuple(one for one in left_out if one.names)
    loud = [str(one) for one in named if one.told]
    notes = advice(Seen(samples, looks, survey.ids, labels, classes, survey.ignore_index))
    if loud:
        notes.insert(0, f"Not all files of {source} are used. Left out: {'; '.join(loud)}.")
    return DataSummary(str(source), tuple(samples), looks, survey.ids, named, tuple(notes), survey.ranges)


def describe_data(data: Any, *, labels: str | None = None, classes: int | None = None, ignore_index: int | None = None,
                  ndim: int = 2, progress: bool = False, **options: Any) -> DataSummary:  # fmt: skip
    """What a data folder holds, before anything is trained; `tell()` of it warns of what is odd, as `fit` does.

    Reads images and masks whole, up to 2^30 pixels together; of more data, every so-manieth.

    Args:
        data: a folder as `read_folder` takes it, a `DataFolder`, or samples.
        labels: "foreground" or "classes", if that is decided.
        classes: of the network, if that is decided; more than one means `labels="classes"` unless said.
        ignore_index: id in masks of pixels that do not count.
        ndim: 2, or 3 for volumes.
        progress: show a progress bar.
        options: fields of `DataFolder`, by name.

    Raises:
        InputError: what `read_folder` raises, or an unreadable file.
    """
    data = data_folder(data, options)
    if options:
        raise TypeError(f"describe_data() got an unexpected keyword argument {next(iter(options))!r}")
    if ndim not in (2, 3):
        raise InputError(f"ndim must be 2, or 3 for volumes. Received: {brief(ndim)}.")
    if classes is not None and (not isinstance(classes, Integral) or classes < 1):
        raise InputError(f"classes must be a whole number of at least 1, or None. Received: {brief(classes)}.")
    samples, left_out, source = contents(data, ndim)
    survey = Survey(ignore_index)
    chosen = _bounded(samples, ndim)

    def read(sample: Sample) -> None:
        survey.look(sample, *read_pair(sample, None, ndim))

    with ThreadPoolExecutor(4) as pool:
        for _ in track(pool.map(read, chosen), "reading images", progress, len(chosen)):
            pass
    return summarize(survey, samples, left_out, source, labels, classes)


def contents(data: Any, ndim: int) -> tuple[list[Sample], tuple[LeftOut, ...], object]:
    """The samples of a folder or a sequence, what the folder leaves out, and where they come from."""
    if isinstance(data, FOLDERS):
        folder = data if isinstance(data, DataFolder) else DataFolder(data)
        return (*scan(folder, ndim), folder.root)
    return check_samples(data), (), "samples"


def _bounded(samples: Sequence[Sample], ndim: int) -> list[Sample]:
    pixels = sum(math.prod(image_size(sample.image, ndim)) for sample in samples)
    step = max(-(-pixels // MOST_PIXELS), 1)
    # Each split by itself, so that neither is passed over.
    return [one for split in SPLITS for one in [sample for sample in samples if sample.split == split][::step]]
