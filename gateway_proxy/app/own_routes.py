"""The paths of the data plane that the gateway answers itself."""

from gateway_proxy.core.limiter import Counters
from gateway_proxy.proxy.handler import DataPlane
from gateway_proxy.proxy.minting import MINT_PATH, TokenMint
from gateway_proxy.proxy.queries import Queries


def add_own_routes(plane: DataPlane, limiter: Counters, mint: TokenMint) -> None:
    """Models, the key's own state, and tokens from it."""
    queries = Queries(limiter)
    plane.queries = {
        "/v1/models": queries.list_models,
        "/v1beta/models": queries.list_models,
        "/v1/key": queries.show_key,
    }
    plane.prefix_queries = {"/v1/models/": queries.show_model, "/v1beta/models/": queries.show_model}
    plane.acts = {MINT_PATH: mint.mint}
