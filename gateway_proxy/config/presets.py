"""Known providers: for these names the dialect and base URL need not be written.

Promises base URLs as the vendors' SDKs take them: with the version for the OpenAI dialect, without it for
Anthropic and Gemini. Prices belong to `pricing`; `price_table_id` is only the vendor's id in genai-prices.
"""

from dataclasses import dataclass
from typing import Literal

Dialect = Literal["openai", "anthropic", "gemini", "azure"]


@dataclass(frozen=True)
class Preset:
    """`base_url` is None where each customer has an own one (Azure); `price_table_id` None where no table exists."""

    dialect: Dialect
    base_url: str | None
    price_table_id: str | None


def _openai(base_url: str, price_table_id: str | None = None) -> Preset:
    return Preset("openai", base_url, price_table_id)


PRESETS: dict[str, Preset] = {
    "anthropic": Preset("anthropic", "https://api.anthropic.com", "anthropic"),
    "azure": Preset("azure", None, "azure"),
    "gemini": Preset("gemini", "https://generativelanguage.googleapis.com", "google"),
    "google": Preset("gemini", "https://generativelanguage.googleapis.com", "google"),
    "openai": _openai("https://api.openai.com/v1", "openai"),
    "baseten": _openai("https://inference.baseten.co/v1", "baseten"),
    "cerebras": _openai("https://api.cerebras.ai/v1", "cerebras"),
    "cohere": _openai("https://api.cohere.ai/compatibility/v1", "cohere"),
    "deepinfra": _openai("https://api.deepinfra.com/v1/openai"),
    "deepseek": _openai("https://api.deepseek.com/v1", "deepseek"),
    "fireworks": _openai("https://api.fireworks.ai/inference/v1", "fireworks"),
    "groq": _openai("https://api.groq.com/openai/v1", "groq"),
    "huggingface": _openai("https://router.huggingface.co/v1"),
    "hyperbolic": _openai("https://api.hyperbolic.xyz/v1"),
    "lmstudio": _openai("http://127.0.0.1:1234/v1"),
    "minimax": _openai("https://api.minimax.io/v1", "minimax"),
    "mistral": _openai("https://api.mistral.ai/v1", "mistral"),
    "moonshotai": _openai("https://api.moonshot.ai/v1", "moonshotai"),
    "nebius": _openai("https://api.tokenfactory.nebius.com/v1"),
    "novita": _openai("https://api.novita.ai/openai/v1", "novita"),
    "nvidia": _openai("https://integrate.api.nvidia.com/v1"),
    "ollama": _openai("http://127.0.0.1:11434/v1"),
    "openrouter": _openai("https://openrouter.ai/api/v1", "openrouter"),
    "ovhcloud": _openai("https://oai.endpoints.kepler.ai.cloud.ovh.net/v1", "ovhcloud"),
    "perplexity": _openai("https://api.perplexity.ai", "perplexity"),
    "sambanova": _openai("https://api.sambanova.ai/v1"),
    "together": _openai("https://api.together.xyz/v1", "together"),
    "vllm": _openai("http://127.0.0.1:8000/v1"),
    "x-ai": _openai("https://api.x.ai/v1", "x-ai"),
    "zai": _openai("https://api.z.ai/api/paas/v4", "zai"),
    "zhipuai": _openai("https://open.bigmodel.cn/api/paas/v4", "zhipuai"),
}
