"""The folder for data is there and can be written, or its setting is named."""

from pathlib import Path

import pytest

from gateway_proxy.app.data_dir import ready_data_dir
from gateway_proxy.config import config_from_dict, load_config
from gateway_proxy.storage import StoreError


def test_it_is_made_and_nothing_is_left_in_it(tmp_path: Path) -> None:
    config = config_from_dict({"storage": {"data_dir": "deep/data"}}, tmp_path)
    ready_data_dir(config, writes=True)
    ready_data_dir(config, writes=True)
    assert list((tmp_path / "deep" / "data").iterdir()) == []


@pytest.mark.parametrize("below", ["", "/below"])
def test_a_file_in_its_place_is_told_with_the_settings_line(tmp_path: Path, below: str) -> None:
    (tmp_path / "taken").write_text("")
    file = tmp_path / "config.toml"
    file.write_text(f'[storage]\ndata_dir = "taken{below}"\n')
    with pytest.raises(StoreError) as refused:
        ready_data_dir(load_config(file), writes=False)
    text = str(refused.value)
    assert text.startswith(f"{file}:2: storage.data_dir: ") and f"{tmp_path / 'taken'} is a file" in text


def test_one_that_cannot_be_written_is_refused_where_it_is_written(tmp_path: Path, monkeypatch) -> None:
    config = config_from_dict({}, tmp_path)

    def deny(**options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", deny)
    ready_data_dir(config, writes=False)
    with pytest.raises(StoreError, match=r"storage\.data_dir: nothing can be written .*Permission denied"):
        ready_data_dir(config, writes=True)
