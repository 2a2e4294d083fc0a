"""`log.csv`: read as it was written, and else refused by its line."""

import pytest

from keras_unetpp.kit.errors import InputError
from keras_unetpp.training.log import as_csv, read_log, rows_of

ROWS = [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25, "val_L1_iou": 0.75}]


def test_it_is_read_as_it_was_written(tmp_path):
    (tmp_path / "log.csv").write_text(as_csv(ROWS))
    assert read_log(tmp_path / "log.csv") == ROWS
    assert type(read_log(tmp_path / "log.csv")[0]["epoch"]) is int


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (b"", "must begin with the names of its columns, epoch among them"),
        (b"loss\n1\n", "must begin with the names"),
        (b"epoch,loss,loss\n1,2,3\n", "must begin with the names"),
        (b"epoch,loss\n1\n", "line 2: 1 cells for 2 columns"),
        (b"epoch,loss\n1,2,3\n", "line 2: 3 cells for 2 columns"),
        (b"epoch,loss\nx,2\n", "line 2: 'epoch' must be a number. Received: 'x'"),
        (b"epoch,loss\n1.5,2\n", "line 2: 'epoch' must be a number"),
        (b"epoch,loss\n99999999999,2\n", "line 2: 'epoch' must be a number"),
        (b"epoch,loss\n1,nan\n", "line 2: 'loss' must be a number. Received: 'nan'"),
        (b"epoch,loss\n1,1e999\n", "line 2: 'loss' must be a number"),
        (b"epoch,loss\n1,1\n1,1\n", "line 3: epochs must rise"),
        (b"epoch,loss\n0,1\n", "line 2: epochs must rise"),
        (b"epoch,loss\n,1\n", "line 2: epochs must rise"),
        (b'epoch,loss\n1,"2\n2,3\n', "is no CSV in UTF-8"),
        (b"epoch,l\xe9\n", "is no CSV in UTF-8"),
    ],
)
def test_what_is_broken_is_one_line(written, told):
    with pytest.raises(InputError, match=told) as caught:
        rows_of(written, "log.csv")
    assert str(caught.value).startswith("log.csv")


def test_a_log_that_is_gone(tmp_path):
    with pytest.raises(InputError, match=r"log\.csv is missing, without which the best epoch is not known"):
        read_log(tmp_path / "log.csv")
