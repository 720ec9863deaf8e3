import pytest

from tests.support.dashboard import Dashboard


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"theme=dark&back=\xff", "application/x-www-form-urlencoded"),
        (b"theme=dark", "application/x-www-form-urlencoded; charset=unheard-of"),
        (b"theme=dark", "multipart/form-data; boundary=x"),
        (b"theme=dark", "multipart/form-data"),
    ],
)
async def test_what_is_no_form_is_a_page_that_says_so(dashboard: Dashboard, data: bytes, kind: str) -> None:
    page = await dashboard.post("/theme", data, headers={"Content-Type": kind})
    assert page.status == 400
    assert "could not be understood" in page.text
