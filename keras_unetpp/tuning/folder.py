"""The folder of a search: what lies where in it, and how a search makes it its own."""

from pathlib import Path

from keras_unetpp.files import NUMBER, adopt, check_free, inside, knows, make_ready
from keras_unetpp.kit.errors import InputError
from keras_unetpp.tuning.oracle import PROJECT
from keras_unetpp.tuning.outcome import OUTCOME, WEIGHTS
from keras_unetpp.tuning.result import FILE

SPACE, LATENCY_FILE, TRIALS, RESULT = "space.json", "latency.json", "trials", "result"
TABLE, PICTURE = "pareto.txt", "pareto.png"

_OF_A_TRIAL = ("run.json", "log.csv", "last.keras", "best.keras", OUTCOME, WEIGHTS)


def trial_folder(root: Path, trial: object) -> Path:
    """The folder of a trial, whose id came out of a file."""
    return inside(root, f"{TRIALS}/{trial}", f"{TRIALS}/{NUMBER}")


def claim(root: Path, overwrite: bool) -> None:
    """See to it that a search in a folder replaces nothing of others, before it works anything out.

    Raises:
        InputError: a part of it lies elsewhere by a link; files are in the way that are not ours; or there are trials
            of a search that cannot go on.
        OSError: the folder cannot be written.
    """
    for name in (SPACE, LATENCY_FILE, PROJECT, TRIALS, RESULT, f"{PROJECT}/oracle.json"):
        inside(root, name)
    make_ready(root / SPACE)
    if (root / SPACE).is_file():
        return
    left = [*root.glob(f"{PROJECT}/oracle.json"), *root.glob(f"{PROJECT}/*/trial.json"),
            *(path for name in _OF_A_TRIAL for path in root.glob(f"{TRIALS}/*/{name}"))]  # fmt: skip
    if left:
        raise InputError(
            f"{root} holds {left[0].relative_to(root)}, as of a search, but no {SPACE} that says of which. Put that"
            " back, or choose another folder."
        )
    check_free([root / SPACE, root / LATENCY_FILE, *_of_the_result(root)], overwrite)


def take_over(root: Path, overwrite: bool) -> None:
    """Make what lies in the folder of a search that goes on our own, if it is of version 0.1.0.

    Raises:
        InputError: files were changed, or put in the place of ours.
    """
    if not knows(root, [SPACE]):
        weights = root / RESULT / "weights"
        adopt(weights, [path.name for path in weights.glob("*.safetensors")])
        adopt(root / RESULT, (FILE, TABLE, PICTURE))
        adopt(root, [SPACE, LATENCY_FILE])
    adopt(root, [SPACE], anew=True)
    adopt(root / PROJECT, ["oracle.json"], anew=True)
    for path in root.glob(f"{PROJECT}/trial_*/trial.json"):
        adopt(path.parent, [path.name], anew=True)
    check_free(_of_the_result(root), overwrite)


def _of_the_result(root: Path) -> list[Path]:
    folder = root / RESULT
    return [folder / FILE, folder / TABLE, folder / PICTURE, *folder.glob("weights/*.safetensors")]
