from dashboard.timezones import list_timezones


def test_places_with_utc_first() -> None:
    zones = list_timezones()
    assert zones[0] == "UTC"
    assert {"Europe/Berlin", "America/New_York", "Asia/Tokyo"} <= set(zones)
    assert not any(name.startswith(("Etc/", "SystemV/", "posix/")) or name == "localtime" for name in zones)
