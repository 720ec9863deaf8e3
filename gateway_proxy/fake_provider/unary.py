"""The answers that are not text generation: embeddings, moderations, images, speech, transcriptions, rerank."""

import base64
import functools
import struct
import zlib
from typing import Any

import orjson

from gateway_proxy.fake_provider.job import Job
from gateway_proxy.fake_provider.reply import Reply
from gateway_proxy.fake_provider.usage import (
    Count,
    embeddings_usage,
    forge_usage,
    images_usage,
    transcription_usage,
)

DEFAULT_DIMENSIONS = 1536
SPEECH_BYTES_PER_TOKEN = 100
AUDIO_BYTES_PER_SECOND = 16_000
_CATEGORIES = [
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
]


class EmbeddingsReply(Reply):
    """One vector an input; floats, or base64 of little-endian 32-bit floats as the SDKs ask by default."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        job.pieces, job.reasoning, job.choices = [], 0, 1

    def body(self, count: Count) -> bytes:
        dimensions = self.job.body.get("dimensions")
        size = dimensions if isinstance(dimensions, int) and 0 < dimensions <= 65536 else DEFAULT_DIMENSIONS
        vector: Any = (
            _vector_base64(size) if self.job.body.get("encoding_format") == "base64" else _vector(size)
        )
        data = [
            {"object": "embedding", "index": index, "embedding": vector}
            for index in range(_inputs(self.job.body))
        ]
        return _dump(
            self.job, {"object": "list", "model": self.job.model, "data": data}, embeddings_usage(count)
        )


class ModerationsReply(Reply):
    """Nothing is ever flagged, nothing is billed."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        job.pieces, job.reasoning, job.choices, job.prompt_tokens, job.cached_tokens = [], 0, 1, 0, 0

    def body(self, count: Count) -> bytes:
        result = {
            "flagged": False,
            "categories": dict.fromkeys(_CATEGORIES, False),
            "category_scores": dict.fromkeys(_CATEGORIES, 0.001),
            "category_applied_input_types": {name: ["text"] for name in _CATEGORIES},
        }
        model = self.job.model or "omni-moderation-latest"
        results = [result] * _inputs(self.job.body)
        return orjson.dumps({"id": "modr-" + self.job.id, "model": model, "results": results})


class ImagesReply(Reply):
    """A one-pixel PNG for each of `n`."""

    def body(self, count: Count) -> bytes:
        image = {"b64_json": _tiny_png()}
        answer = {"created": self.created, "data": [image] * self.job.choices, "output_format": "png"}
        return _dump(self.job, answer, images_usage(count))

    def units(self) -> dict[str, int]:
        return {"images": self.job.choices}


class SpeechReply(Reply):
    """100 bytes of sound a token; there is no room for usage in it."""

    content_type = "audio/mpeg"

    def body(self, count: Count) -> bytes:
        return b"\xff" * (SPEECH_BYTES_PER_TOKEN * count.completion)

    def units(self) -> dict[str, int]:
        return {"characters": len(str(self.job.body.get("input", "")))}


class TranscriptionReply(Reply):
    """Text of the file; usage in seconds for a model named whisper…, else in tokens."""

    def body(self, count: Count) -> bytes:
        text = "".join(self.job.pieces).strip()
        if self.job.body.get("response_format") in ("text", "srt", "vtt"):
            self.content_type = "text/plain; charset=utf-8"
            return text.encode() + b"\n"
        usage: dict[str, Any] = transcription_usage(count)
        if self.job.model.startswith("whisper"):
            usage = {"type": "duration", "seconds": self.units()["seconds"]}
        return _dump(self.job, {"text": text}, usage)

    def units(self) -> dict[str, int]:
        size = sum(len(data) for data in self.job.files.values())
        return {"seconds": max(1, size // AUDIO_BYTES_PER_SECOND)}


class RerankReply(Reply):
    """Documents come back in their order, each less relevant than the one before."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        job.pieces, job.reasoning, job.choices = [], 0, 1

    def body(self, count: Count) -> bytes:
        documents = self.job.body.get("documents")
        documents = documents if isinstance(documents, list) else []
        top = self.job.body.get("top_n")
        kept = documents[:top] if isinstance(top, int) and top > 0 else documents
        results: list[dict[str, Any]] = []
        for index, document in enumerate(kept):
            results.append({"index": index, "relevance_score": 1 / (index + 1)})
            if self.job.body.get("return_documents") is True:
                results[-1]["document"] = {"text": document} if isinstance(document, str) else document
        meta = {"billed_units": {"search_units": 1}}
        answer = {"id": "rerank-" + self.job.id, "model": self.job.model, "results": results, "meta": meta}
        return _dump(self.job, answer, embeddings_usage(count))

    def units(self) -> dict[str, int]:
        return {"searches": 1}


def _dump(job: Job, answer: dict[str, Any], usage: dict[str, Any]) -> bytes:
    forged = forge_usage(usage, job.behaviour.mode)
    return orjson.dumps(answer if forged is None else {**answer, "usage": forged})


def _inputs(body: dict[str, Any]) -> int:
    """How many inputs: one, unless it is a list of texts, of token lists or of parts."""
    given = body.get("input")
    if isinstance(given, list) and given and not isinstance(given[0], int):
        return len(given)
    return 1


@functools.cache
def _vector(size: int) -> list[float]:
    return [((index * 37) % 101 - 50) / 64 for index in range(size)]


@functools.cache
def _vector_base64(size: int) -> str:
    return base64.b64encode(struct.pack(f"<{size}f", *_vector(size))).decode()


@functools.cache
def _tiny_png() -> str:
    def block(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\x00\x00")
    png = b"\x89PNG\r\n\x1a\n" + block(b"IHDR", header) + block(b"IDAT", pixels) + block(b"IEND", b"")
    return base64.b64encode(png).decode()
