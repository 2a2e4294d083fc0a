import re

import pytest

from keras_unetpp.data.index import read_index, write_index
from keras_unetpp.kit.errors import InputError

TEXT = "file,split,kind\na.png,train,x\nb.png,val,\n"
ROWS = [{"file": "a.png", "split": "train", "kind": "x"}, {"file": "b.png", "split": "val", "kind": ""}]


def rows(path, data):
    path.write_bytes(data)
    return [row.cells for row in read_index(path).rows]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "index.csv"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_separators_and_line_ends(path, encoding, separator, end):
    assert rows(path, TEXT.replace(",", separator).replace("\n", end).encode(encoding)) == ROWS


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_names_with_accents(path, encoding):
    assert rows(path, "file,split\nGröße.png,val\n".encode(encoding)) == [{"file": "Größe.png", "split": "val"}]


@pytest.mark.parametrize(
    "text",
    [
        'file,split,kind\n"a.png","train","x"\n"b.png","val",""\n',
        '"file";"split";"kind"\r\n"a.png";"train";"x"\r\n"b.png";"val";""\r\n',
        "sep=;\nfile;split;kind\na.png;train;x\nb.png;val;\n",
        " File , SPLIT ,Kind\n a.png , train,x\n\n,,\nb.png,val\n",
        "\n\nfile,split,kind,,\na.png,train,x,,\nb.png,val,,,\n",
    ],
)
def test_what_spreadsheets_write(path, text):
    found = [
        {**{"kind": ""}, **{name: cell for name, cell in row.items() if name}} for row in rows(path, text.encode())
    ]
    assert found == ROWS


def test_a_separator_within_quotes(path):
    assert rows(path, b'file,split\n"a,b.png",train\n') == [{"file": "a,b.png", "split": "train"}]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"needs the column file, and any of split, kind and group\. Received: none\."),
        (b"name,part\na.png,train\n", r"needs the column file, and any of .*\. Received: 'name', 'part'\."),
        (
            b"file,group,part\na.png,g,Train\nb.png,h,test\n",
            "has no column split, but part holds test, train: name it",
        ),
        (b"file,split,split\na.png,train,val\n", "has the column split twice"),
        (
            b"file,split\na.png,train,extra,cells\n",
            r"line 2: 4 cells for 2 columns\. Quote cells that hold the sep",
        ),
        (b'file,split\n"a.png,train\nb.png,val\n', r"line 3: unexpected end of data\. Save it as CSV"),
        (b"file,split\n" + b"a" * 200_000 + b",val\n", r"line 2: field larger than field limit .*\. Save it as CSV"),
        (b'sep="\nfile"split\n', 'names " as its separator'),
        (b"sep=e\nfile,split\n", "names e as its separator"),
        (b"file,split\na\0b\0c.png,train\n", r"is no text that can be read\. Save it as CSV in UTF-8"),
        (bytes(range(256)) * 9, "is no text that can be read"),
        (b"\xff\xfea", "is no text that can be read"),
        (b"\x89PNG\r\n\x1a\n\x81\x8d", "is no text that can be read"),
    ],
)
def test_what_is_no_index_is_one_line_that_names_the_file(path, data, message):
    with pytest.raises(InputError, match=rf"^{re.escape(str(path))}.*{message}"):
        rows(path, data)


def test_an_index_both_ways(path):
    write_index(path, ("file", "split", "kind"), ROWS)
    assert rows(path, path.read_bytes()) == ROWS
    assert path.read_text(encoding="utf-8") == TEXT


def test_an_index_that_is_too_long_is_not_read(path):
    with open(path, "wb") as file:
        file.truncate(2**26 + 1)
    with pytest.raises(InputError, match=r"index\.csv must have at most 67,108,864 bytes\. Received: more\."):
        read_index(path)
