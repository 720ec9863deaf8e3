"""Ordinary use of langchain-openai: invoke, async, streaming, tools, structured output, errors, retries. Prints JSON."""

import asyncio
import json
import os

import openai
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel


class City(BaseModel):
    """A city."""

    name: str
    people: int


@tool
def look_up(city: str) -> str:
    """Looks a city up."""
    return f"{city} is there"


async def main() -> None:
    chat = ChatOpenAI(model="chat", max_retries=0)
    whole = chat.invoke("hello")
    later = await chat.ainvoke("hello")
    parts = [part async for part in chat.astream("hello", stream_usage=True)]
    batch = chat.batch(["hello", "hello"])
    called = chat.bind_tools([look_up]).invoke("use the tool")
    answer = chat.invoke(["use the tool", called, look_up.invoke(called.tool_calls[0])])
    city = chat.with_structured_output(City, method="json_schema").invoke("hello")
    embedder = OpenAIEmbeddings(
        model="fake-embedding", check_embedding_ctx_length=False
    )  # would download a tokenizer
    vectors = embedder.embed_documents(["a", "b"])
    try:
        ChatOpenAI(model="nothing", max_retries=0).invoke("hello")
    except openai.NotFoundError as error:
        refused = error.code
    slowed = ChatOpenAI(
        model="chat", api_key=os.environ["SLOW_API_KEY"], max_retries=2
    )  # one request every half second
    retried = [slowed.invoke("hello") for _ in range(2)][-1]
    print(
        json.dumps(
            {
                "whole": whole.content,
                "tokens": whole.usage_metadata["output_tokens"],
                "later": later.content,
                "streamed": "".join(part.content for part in parts),
                "streamed_tokens": sum((part.usage_metadata or {}).get("output_tokens", 0) for part in parts),
                "batch": [one.content for one in batch],
                "tool": called.tool_calls[0]["name"],
                "answer": bool(answer.content or answer.tool_calls),
                "city": type(city).__name__,
                "vectors": len(vectors),
                "refused": refused,
                "retried": retried.content,
            }
        )
    )


asyncio.run(main())
