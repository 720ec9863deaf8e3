"""A gateway keeps its id."""

from pathlib import Path

import pytest

from gateway_proxy.core.ids import is_id
from gateway_proxy.keys.gateway_id import read_gateway_id


def test_the_id_is_made_once(tmp_path: Path) -> None:
    first = read_gateway_id(tmp_path)
    assert is_id(first, "gtw") and read_gateway_id(tmp_path) == first
    assert (tmp_path / "gateway-id").stat().st_mode & 0o777 == 0o600
    (tmp_path / "gateway-id").write_text("nonsense")
    with pytest.raises(ValueError, match="does not hold a gateway id"):
        read_gateway_id(tmp_path)
