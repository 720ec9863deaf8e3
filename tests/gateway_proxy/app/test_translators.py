"""Who is translated for whom."""

from gateway_proxy.app.runtimes import make_dialects
from gateway_proxy.app.translators import find_foreign


def test_foreign_providers_and_those_that_cannot_be_told() -> None:
    dialects = make_dialects()
    foreign = find_foreign(dialects, dialects)  # one provider of each dialect, named like it
    assert {name: sorted(providers) for name, providers in foreign.items()} == {
        "openai": ["anthropic", "gemini"],
        "azure": ["anthropic", "gemini"],
        "anthropic": ["azure", "gemini", "openai"],
        "gemini": ["anthropic", "azure", "openai"],
    }
    told = {(client, name) for client, others in foreign.items() for name, found in others.items() if found}
    assert told == {
        ("openai", "anthropic"),
        ("azure", "anthropic"),
        ("anthropic", "openai"),
        ("anthropic", "azure"),
        ("openai", "gemini"),
        ("azure", "gemini"),
        ("anthropic", "gemini"),
    }
