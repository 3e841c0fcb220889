"""A file in a place where others may write is read if it is one, and nothing else that stands there is waited for."""

from pathlib import Path

import pytest

from stemma.base import digest
from stemma.base.log_tail import last_lines
from stemma.base.untrusted_files import Unusable, copy_plain, folder_below, read_plain
from tests.stemma.strays import STRAYS, file, hard_link, plant_outside

OTHERS = [stray for stray in STRAYS if stray not in (file, hard_link)]


@pytest.mark.parametrize("stray", OTHERS)
def test_what_is_no_file_is_not_read(tmp_path: Path, stray):
    place = tmp_path / "record.json"
    stray(place, plant_outside(tmp_path / "outside"))
    with pytest.raises(Unusable):
        read_plain(place, 1000)
    with pytest.raises(Unusable):
        digest.of_plain(place)
    with folder_below(tmp_path) as folder, pytest.raises(Unusable):
        copy_plain(place.name, folder, tmp_path / "copy", 1000)
    assert digest.read_json(place) is None
    assert digest.of_entry(None, str(place)) is None
    assert last_lines(place, 1) == []


def test_a_file_is_read_up_to_its_limit(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"12345")
    assert read_plain(tmp_path / "file", 5) == b"12345"
    with pytest.raises(Unusable, match="has 5 bytes, 4 at most were expected"):
        read_plain(tmp_path / "file", 4)
    assert read_plain(tmp_path / "none", 5) is None
    assert read_plain(tmp_path / "file/none", 5) is None
