import re
from pathlib import Path

import pytest

from dashboard.assets import Assets
from tests.support.dashboard import PREFIX, Dashboard


def test_an_address_follows_the_content(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("one")
    before = Assets(tmp_path, "/d").url("a.css")
    (tmp_path / "a.css").write_text("two")
    after = Assets(tmp_path, "/d").url("a.css")
    assert re.fullmatch(r"/d/static/a\.[0-9a-f]{12}\.css", before)
    assert before != after


def test_a_missing_file_is_a_mistake_of_the_template(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        Assets(tmp_path, "/d").url("none.css")


async def test_files_are_sent_to_everybody_and_kept_for_ever(dashboard: Dashboard) -> None:
    text = (await dashboard.get("/nothing-here")).text
    dashboard.actor = None
    addresses = re.findall(rf'(?:src|href)="{PREFIX}(/static/[^"]+)"', text)
    assert len(addresses) >= 4
    for address in addresses:
        page = await dashboard.get(address)
        assert page.status == 200
        assert page.response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert page.response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("ending", "content_type"),
    [(".css", "text/css"), (".js", "text/javascript"), (".svg", "image/svg+xml")],
)
async def test_files_have_their_type(dashboard: Dashboard, ending: str, content_type: str) -> None:
    text = (await dashboard.get("/nothing-here")).text
    address = re.findall(rf'"{PREFIX}(/static/[^"]+{re.escape(ending)})"', text)[0]
    assert (await dashboard.get(address)).response.content_type == content_type


async def test_an_older_version_is_gone(dashboard: Dashboard) -> None:
    assert (await dashboard.get("/static/frame.000000000000.css")).status == 404
    assert (await dashboard.get("/static/../app.py")).status == 404
