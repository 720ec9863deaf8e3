"""Ordinary use of instructor: a model as the answer, sync, async and streamed, and an error. Prints JSON."""

import asyncio
import json

import instructor
import openai
from pydantic import BaseModel


class City(BaseModel):
    """A city."""

    name: str
    people: int


MESSAGES = [{"role": "user", "content": "use the tool"}]


async def main() -> None:
    client = instructor.from_openai(openai.OpenAI(max_retries=0))
    by_tool = client.chat.completions.create(model="chat", messages=MESSAGES, response_model=City)
    strict = instructor.from_openai(openai.OpenAI(max_retries=0), mode=instructor.Mode.JSON_SCHEMA)
    by_schema, raw = strict.chat.completions.create_with_completion(
        model="chat", messages=[{"role": "user", "content": "hello"}], response_model=City
    )
    later = await instructor.from_openai(openai.AsyncOpenAI(max_retries=0)).chat.completions.create(
        model="chat", messages=MESSAGES, response_model=City
    )
    partial = list(
        client.chat.completions.create_partial(model="chat", messages=MESSAGES, response_model=City)
    )
    try:
        client.chat.completions.create(model="nothing", messages=MESSAGES, response_model=City, max_retries=1)
    except Exception as error:
        refused = "model_not_found" in str(error)
    print(
        json.dumps(
            {
                "by_tool": type(by_tool).__name__,
                "by_schema": type(by_schema).__name__,
                "tokens": raw.usage.completion_tokens > 0,
                "later": type(later).__name__,
                "partial": isinstance(partial[-1].people, int),
                "refused": refused,
            }
        )
    )


asyncio.run(main())
