from tests.support.dashboard import Dashboard


async def test_the_page_calls_its_own_origin_and_nothing_else(dashboard: Dashboard) -> None:
    page = await dashboard.get("/playground")
    origin = str(dashboard.client.make_url("/")).rstrip("/")
    assert f'data-playground="{origin}/v1"' in page.text
    assert "needs JavaScript" in page.text
    assert "cors_origins" not in page.text
    assert "connect-src 'self';" in page.response.headers["Content-Security-Policy"]


async def test_a_data_plane_of_another_origin_is_named_and_how_to_allow_it(dashboard: Dashboard) -> None:
    dashboard.admin.find_data_origin = lambda host: f"http://{host}:9999"
    page = await dashboard.get("/playground")
    assert 'data-playground="http://127.0.0.1:9999/v1"' in page.text
    origin = str(dashboard.client.make_url("/")).rstrip("/")
    assert f"cors_origins = [&#34;{origin}&#34;]" in page.text or f'cors_origins = ["{origin}"]' in page.text
    assert "connect-src 'self' http://127.0.0.1:9999;" in page.response.headers["Content-Security-Policy"]
