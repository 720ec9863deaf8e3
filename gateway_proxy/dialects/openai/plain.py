"""Understands the operations that generate no text: embeddings, moderations, rerank, images and audio.

An operation without output tokens says so with a maximum of 0. Pictures and speech take no maximum but may be
billed in output tokens; their units carry what one picture, or one character, can come to at the very most.
"""

from typing import Any

from gateway_proxy.core.kept import Kept
from gateway_proxy.core.route import Route
from gateway_proxy.core.usage import Usage
from gateway_proxy.dialects import members as common
from gateway_proxy.dialects.multipart import MultipartForm
from gateway_proxy.dialects.openai.stored import find_named

LARGEST_IMAGES = 128
# The largest published figure is 6,240 for a picture in high quality, and 100 for each of 3 previews.
TOKENS_PER_IMAGE = 16_384
# About 20 tokens a second of sound, and speech of half a character a second is no longer speech.
TOKENS_PER_CHARACTER = 40
TOKENS_PER_SPEECH = 1024


def understand_embeddings(body: dict[str, Any], route: Route) -> None:
    """Strings or tokens in, vectors out."""
    route.max_output_tokens = 0
    _bound_input(body.get("input"), route)
    if body.get("messages") is not None:  # chat embeddings of self-hosted servers
        route.bound.opaque = True


def understand_moderations(body: dict[str, Any], route: Route) -> None:
    """Text or image parts in, verdicts out."""
    route.max_output_tokens = 0
    _bound_input(body.get("input"), route)


def understand_rerank(body: dict[str, Any], route: Route) -> None:
    """One query against documents: the query is read again with each of them."""
    route.max_output_tokens = 0
    query = common.read_text(body, "query")
    documents = common.read_list(body, "documents")
    if len(documents) > 1 and query is not None:
        route.bound.tokens += len(query.encode()) * (len(documents) - 1)
    route.bound.tokens += common.TOKENS_PER_MESSAGE * len(documents)
    if any(type(document) is not str for document in documents):
        route.bound.opaque = True
    # Billed per query over at most 100 documents, longer ones in pieces of at most 500 tokens.
    pieces = len(documents) + route.body_bytes // 500
    route.bound.units = Usage(searches=1 + pieces // 100)


def understand_images(body: dict[str, Any] | MultipartForm, route: Route) -> None:
    """A prompt, perhaps with pictures in, `n` pictures out."""
    if isinstance(body, MultipartForm):
        wanted = body.read_count("n", 1, LARGEST_IMAGES)
        route.stream = body.read_flag("stream")
        route.bound.opaque = True
    else:
        wanted = common.read_count(body, "n", 1, LARGEST_IMAGES)
        route.stream = common.read_flag(body, "stream")
        common.read_text(body, "prompt")
        if route.path != "/images/generations":
            route.bound.opaque = True
            named = [*find_named(body.get("images"), "images"), *find_named(body.get("mask"), "mask")]
            route.kept = Kept(named) if named else None
    route.choices = wanted or 1
    route.bound.units = Usage(images=route.choices, output=TOKENS_PER_IMAGE * route.choices)


def understand_speech(body: dict[str, Any], route: Route) -> None:
    """Text in, sound out."""
    text = body.get("input")
    if type(text) is not str:
        raise common.wrong_type("input", "a string")
    spoken = TOKENS_PER_CHARACTER * len(text) + TOKENS_PER_SPEECH
    route.bound.units = Usage(characters=len(text), output=spoken)
    route.stream = common.read_text(body, "stream_format") == "sse"


def understand_transcription(body: MultipartForm, route: Route) -> None:
    """Sound in, text out: how long the sound lasts is known only afterwards."""
    route.stream = body.read_flag("stream")
    route.bound.opaque = True
    route.bound.unbounded = "the duration of the audio is unknown beforehand"


def _bound_input(given: Any, route: Route) -> None:
    """Text, texts, tokens or lists of tokens; anything else is opaque."""
    if type(given) is list:
        kinds = set(map(type, given))
        if dict in kinds:
            route.bound.opaque = not all(_is_text(entry) for entry in given)
        elif not kinds <= {str, int} and kinds != {list}:
            raise common.wrong_type("input", "a string, a list of strings, or lists of tokens")
    elif type(given) is not str:
        raise common.wrong_type("input", "a string or a list")


def _is_text(entry: Any) -> bool:
    return type(entry) is str or (
        type(entry) is dict and entry.keys() == {"type", "text"} and entry["type"] == "text"
    )
