from tests.support.dashboard import PREFIX, Dashboard


async def test_what_fails_without_an_actor_shows_no_frame(dashboard: Dashboard) -> None:
    dashboard.actor = None
    page = await dashboard.get("/nothing-here")
    assert page.status == 404
    assert "Sign out" not in page.text
    assert "<nav" not in page.text


async def test_nobody_sees_a_page_without_having_signed_in(dashboard: Dashboard) -> None:
    dashboard.actor = None
    page = await dashboard.get("/configuration/api-keys?status=active")
    assert page.status == 303
    assert page.location == f"{PREFIX}/sign-in?next=%2Fdashboard%2Fconfiguration%2Fapi-keys%3Fstatus%3Dactive"


async def test_an_act_without_an_actor_leads_to_the_sign_in_page_alone(dashboard: Dashboard) -> None:
    dashboard.actor = None
    page = await dashboard.post("/configuration/api-keys/new", {"name": "x"})
    assert (page.status, page.location) == (303, f"{PREFIX}/sign-in")
