"""What a user should know before training on data that teaches nothing, or not what it seems to."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from keras_unetpp.data.contents import listed
from keras_unetpp.data.folders import Sample
from keras_unetpp.data.index import SPLITS
from keras_unetpp.data.survey import FEW, Ids, Look

NEARLY_ALL = 0.999
"""Share of foreground from which on nothing is left to learn."""
OFTEN = 0.3
"""Share of masks with ids unlike those of instances from which on they are taken for classes."""
RECURRING = 2.5
"""Masks in which an id of a class is found at least, on average; an instance has one."""
VOID = 255
"""What many data sets mark pixels with that do not count."""


class Seen(NamedTuple):
    """What advice is given by.

    Attributes:
        samples: all samples of the data.
        looks: what was seen of those that were read.
        ids: in the masks of each split.
        labels: "foreground" or "classes"; None if that is not decided.
        classes: of the network; None if that is not known.
        ignore_index: id of pixels that do not count.
    """

    samples: Sequence[Sample]
    looks: Sequence[Look]
    ids: dict[str, Ids]
    labels: str | None
    classes: int | None
    ignore_index: int | None

    @property
    def all_ids(self) -> Ids:
        """The ids of both splits."""
        return sum((self.ids[split] for split in SPLITS), Ids())

    @property
    def scope(self) -> str:
        """Words that say so if not all samples were read."""
        few, all_of_them = len(self.looks), len(self.samples)
        return "" if few == all_of_them else f" ({few} of {all_of_them} were looked at)"


def advice(seen: Seen) -> list[str]:
    """Everything worth a warning, in whole sentences."""
    return [text for check in CHECKS for text in check(seen)]


def _no_foreground(seen: Seen) -> Iterator[str]:
    for split in SPLITS:
        own = seen.ids[split]
        if own.masks and not own.foreground:
            part = own.ignored / (own.total + own.ignored)
            ignored = f", and {part:.1%} of all pixels are left out by ignore_index" if part else ""
            yield (
                f"No mask of {split} holds foreground: all pixels that count are 0{ignored}{seen.scope}. Nothing can be"
                f" {'learnt from' if split == 'train' else 'scored on'} them."
            )


def _no_background(seen: Seen) -> Iterator[str]:
    own = seen.all_ids
    if seen.labels != "classes" and own.foreground > NEARLY_ALL * own.total > 0:
        yield (
            f"{_all_or_share(own)} of the masks are foreground: they hold the ids {_few(own)}, and every id above 0"
            f" counts{seen.scope}. Make the background 0; or, for trimaps and other classes, use labels='classes'."
        )


def _all_or_share(own: Ids) -> str:
    return "All pixels" if own.foreground == own.total else f"{100 * own.foreground / own.total:.2f} % of the pixels"


def _few(own: Ids) -> str:
    numbers = sorted(own.pixels)
    return ", ".join(map(str, numbers[:6])) + (", .." if len(numbers) > 6 else "")


def _classes_taken_for_foreground(seen: Seen) -> Iterator[str]:
    own = seen.all_ids
    above = [number for number in own.pixels if number > 0]
    if seen.labels == "classes" or _grey(seen) or not 2 <= len(above) <= FEW:
        return
    drawn = [look for look in seen.looks if look.foreground]
    loose = sum(look.loose for look in drawn)
    if loose < max(2, OFTEN * len(drawn)) or sum(own.masks[number] for number in above) < RECURRING * len(above):
        return
    void = ""
    if VOID in above and max(number for number in above if number != VOID) < VOID // 2:
        void = f" If {VOID} marks pixels to leave out, set ignore_index={VOID}."
    rest = [number for number in own.pixels if not (void and number == VOID)]
    classes = "" if max(rest) < 2 else f" For classes build with classes={max(rest) + 1} and use labels='classes'."
    yield (
        f"Masks hold the ids {_few(own)}, which look like classes, but with one class every id above 0 counts as"
        f" foreground{seen.scope}.{void}{classes}"
    )


def _grey(seen: Seen) -> bool:
    """Whether masks are drawings of 0 and 255 with grey edges between."""
    own = seen.all_ids
    drawn = sum(look.foreground for look in seen.looks)
    return (
        max(own.pixels, default=0) == VOID
        and len(own.pixels) > 8
        and own.share(0) + own.share(VOID) > 0.8
        and own.share(VOID) > 0.01
        and own.masks[VOID] > drawn / 2
        and all(2 * own.pixels[number] < own.pixels[VOID] for number in own.pixels if 0 < number < VOID)
    )


def _grey_edges(seen: Seen) -> Iterator[str]:
    if seen.labels != "classes" and _grey(seen):
        yield (
            "Masks hold greys between 0 and 255, as those do that were smoothed or resized; every value above 0 counts"
            " as foreground, so edges grow. Make them 0 and 255 alone, for example by a threshold of 128."
        )


def _negative(seen: Seen) -> Iterator[str]:
    negative = sorted(number for number in seen.all_ids.pixels if number < 0)
    if negative and seen.labels != "classes":
        yield (
            f"Masks hold {negative[0]}, which counts as background. If it marks pixels to leave out, set"
            f" ignore_index={negative[0]}."
        )


def _beyond_classes(seen: Seen) -> Iterator[str]:
    own = seen.all_ids
    beyond = [] if seen.labels != "classes" else _beyond(seen, own)
    if not beyond:
        return
    limit = _limit(seen)
    ways_out = [
        f"If {number} marks pixels to leave out, set ignore_index={number}."
        for number in beyond
        if number in (-1, VOID)
    ]
    if own.pixels.keys() == {0, VOID}:
        ways_out = [
            f"If {VOID} is the foreground, save it as 1; if it marks pixels to leave out, set ignore_index={VOID}."
        ]
    known = [number for number in own.pixels if number not in (-1, VOID)]
    if min(known, default=0) == 1 and max(known) == limit:
        ways_out.append(f"Ids count from 0: subtract 1, or build with classes={limit + 1}.")
    elif max(known, default=0) >= limit:
        ways_out.append(f"Correct them, build with classes={max(known) + 1}, or leave pixels out by ignore_index.")
    few = ", ".join(map(str, beyond[:6])) + (", .." if len(beyond) > 6 else "")
    yield (
        f"Masks hold the ids {_few(own)}, of which {few} {'is' if len(beyond) == 1 else 'are'} none of {limit} classes,"
        f" 0 to {limit - 1}{seen.scope}. Training on them is an error. {' '.join(ways_out)}"
    )


def _limit(seen: Seen) -> int:
    """How many class ids there are."""
    return max(seen.classes or 2, 2)


def _beyond(seen: Seen, own: Ids) -> list[int]:
    """Ids that are none of the network's classes, if their number is known."""
    return [] if seen.classes is None else sorted(number for number in own.pixels if not 0 <= number < _limit(seen))


def _missing_classes(seen: Seen) -> Iterator[str]:
    own = seen.ids["train"]
    if seen.labels != "classes" or not own.masks or _beyond(seen, own):
        return
    missing = [number for number in range(_limit(seen)) if not own.pixels[number]]
    if len(own.pixels) == 1 and own.foreground:
        yield f"All masks of train hold one class alone, {_few(own)}{seen.scope}. There is nothing to tell apart."
    elif missing and own.foreground:
        which = ", ".join(map(str, missing))
        what = f"Class {which} has" if len(missing) == 1 else f"Classes {which} have"
        yield f"{what} no pixel in the masks of train{seen.scope}, so nothing of it can be learnt."


def _nothing_counts(seen: Seen) -> Iterator[str]:
    for split in SPLITS:
        own = seen.ids[split]
        if own.ignored and not own.total:
            yield f"All pixels of all masks of {split} are left out by ignore_index={seen.ignore_index}{seen.scope}."


def _leaks(seen: Seen) -> Iterator[str]:
    train, val = ({one.digest: one.name for one in seen.looks if one.split == split and one.digest} for split in SPLITS)
    same = train.keys() & val.keys()
    if same:
        pairs = listed(f"{val[one]} is {train[one]}" for one in same)
        yield (
            f"Images of val are in train as well, pixel by pixel: {len(same)} ({pairs}). So the scores of validation"
            " are too good. Keep copies in one split."
        )


def _names_in_both(seen: Seen) -> Iterator[str]:
    count = Counter(name for _, name in {(sample.split, sample.name) for sample in seen.samples})
    both = [name for name, number in count.items() if number > 1]
    if both:
        yield (
            f"Names are in train and in val: {len(both)} ({listed(both)}). If these are images of the same thing, the"
            " scores of validation are too good; if they are merely numbered alike, all is well."
        )


def _groups_in_both(seen: Seen) -> Iterator[str]:
    train, val = ({sample.group for sample in seen.samples if sample.split == split} - {""} for split in SPLITS)
    both = train & val
    if both:
        yield (
            f"Groups are in train and in val: {len(both)} of {len(train | val)} ({listed(both)}). So the scores of"
            " validation are too good. Keep a group in one split; an index.csv without the column split does so."
        )


CHECKS: tuple[Callable[[Seen], Iterator[str]], ...] = (
    _nothing_counts, _no_foreground, _no_background, _classes_taken_for_foreground, _grey_edges, _negative,
    _beyond_classes, _missing_classes, _leaks, _names_in_both, _groups_in_both,
)  # fmt: skip
