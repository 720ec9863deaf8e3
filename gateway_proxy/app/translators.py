"""Who is foreign to whom: per client dialect the providers that do not speak it, and the translator for each, if there is one."""

from collections.abc import Mapping

from gateway_proxy.core.dialect import Dialect
from gateway_proxy.core.translation import Translator
from gateway_proxy.dialects.anthropic.form import AnthropicForm
from gateway_proxy.dialects.gemini.form import GeminiForm
from gateway_proxy.dialects.neutral.form import ClientForm, ProviderForm
from gateway_proxy.dialects.openai.form import OpenAIForm
from gateway_proxy.dialects.translation import Translator as PairTranslator

_openai, _anthropic = OpenAIForm(), AnthropicForm()
_CLIENT_FORMS: dict[str, ClientForm] = {"openai": _openai, "azure": _openai, "anthropic": _anthropic}
_PROVIDER_FORMS: dict[str, ProviderForm] = {
    "openai": _openai,
    "azure": _openai,
    "anthropic": _anthropic,
    "gemini": GeminiForm(),
}


def find_foreign(
    clients: Mapping[str, Dialect], providers: Mapping[str, Dialect]
) -> dict[str, dict[str, Translator | None]]:
    """`clients`: the dialects by name; `providers`: the dialect that each provider is spoken to in."""
    return {
        name: {
            provider: _make_translator(client, spoken)
            for provider, spoken in providers.items()
            if name not in spoken.speaks
        }
        for name, client in clients.items()
    }


def _make_translator(client: Dialect, provider: Dialect) -> Translator | None:
    client_form, provider_form = _CLIENT_FORMS.get(client.name), _PROVIDER_FORMS.get(provider.name)
    if client_form is None or provider_form is None:
        return None
    return PairTranslator(client, client_form, provider, provider_form)
