"""The exception that commands raise on purpose."""

from gateway_proxy.cli.refusal import Refusal


def test_it_carries_one_clear_line_and_exit_code_one() -> None:
    refusal = Refusal("there is no key key_1")
    assert (refusal.exit_code, refusal.message, str(refusal)) == (
        1,
        "there is no key key_1",
        "there is no key key_1",
    )
