"""Forms on disk: read as in memory, gone with whoever holds them."""

from pathlib import Path

import pytest

from gateway_proxy.core.errors import Unavailable
from gateway_proxy.proxy.form_file import FormFile


async def test_the_map_outlives_the_file_and_no_name_is_left(tmp_path: Path) -> None:
    file = FormFile(tmp_path)
    await file.write(b"a" * 70_000)
    await file.write(b"end")
    held = file.map()
    file.close()
    assert len(held) == 70_003 and held[-4:] == b"aend" and held.find(b"end") == 70_000
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_takes_nothing(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        FormFile(tmp_path / "missing")
    assert caught.value.status == 503 and "missing" not in caught.value.public


async def test_a_full_disk(tmp_path: Path) -> None:
    file = FormFile(tmp_path)

    class Full:
        def write(self, data: memoryview) -> int:
            raise OSError(28, "No space left on device")

    whole, file._file = file._file, Full()  # type: ignore[assignment]
    with pytest.raises(Unavailable):
        await file.write(b"x")
    whole.close()
