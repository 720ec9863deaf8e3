"""The judge of recorded histories: what it must find, and what proves nothing."""

from pathlib import Path

from tests.rig.history import Change, History, Request

OFF = Change("a", False, 1.0, 1.1)
ON = Change("a", True, 2.0, 2.1)


def request(sent_at: float, status: int, key: str = "a") -> Request:
    return Request(key, 0, sent_at, sent_at + 0.01, status)


def test_the_last_request_under_the_former_state_counts_from_the_answer() -> None:
    history = History(
        [request(1.2, 200), request(1.3, 200), request(1.4, 401), request(2.15, 401)], [ON, OFF]
    )
    assert [round(lag, 3) for lag in history.find_lags()] == [0.2, 0.05]
    assert history.count_looks() == [3, 1]


def test_what_was_sent_before_the_answer_or_ended_after_the_next_change_proves_nothing() -> None:
    history = History(
        [request(1.05, 200), request(1.995, 200), request(1.5, 200, "b"), request(1.5, 503), request(1.6, 0)],
        [OFF, ON],
    )
    assert history.find_lags() == [0.0, 0.0]


def test_a_history_comes_back_from_its_file(tmp_path: Path) -> None:
    history = History([request(1.2, 401)], [OFF])
    history.write(tmp_path / "history")
    assert History.read(tmp_path / "history") == history
