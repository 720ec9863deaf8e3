"""Signing in at an MCP server."""

import pytest

from gateway_proxy.config.secrets import Secret
from gateway_proxy.proxy.mcp.sign_in import basic, bearer, header, no_sign_in


async def test_headers_of_each_way() -> None:
    assert await no_sign_in().headers() == {}
    assert await bearer(Secret("t")).headers() == {"Authorization": "Bearer t"}
    assert await basic("Aladdin", Secret("open sesame")).headers() == {
        "Authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    }
    assert await header("X-Key", Secret("k")).headers() == {"X-Key": "k"}
    assert not bearer(Secret("t")).forget("Bearer t")  # it will not get better
    with pytest.raises(ValueError, match="colon"):
        basic("a:b", Secret("p"))


def test_the_value_is_not_shown() -> None:
    assert "hush" not in repr(bearer(Secret("hush"))) and "hush" not in repr(header("X-Key", Secret("hush")))
