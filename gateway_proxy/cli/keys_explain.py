"""`keys explain`: what each rule would say to a request of a key."""

from typing import Any

import click

from gateway_proxy.cli.local import json_option, run_async
from gateway_proxy.cli.lookup import find_key
from gateway_proxy.cli.output import print_json, print_table
from gateway_proxy.cli.target import Target, open_api, target_options


@click.command()
@click.argument("key", metavar="ID|NAME")
@target_options
@json_option
@click.option("--model", required=True, metavar="M", help="The model that the request names.")
@click.option("--ip", metavar="ADDRESS", help="The client's address; without it the network is not judged.")
@click.option("--provider", metavar="P", help="Only the model's target at this provider.")
@click.option("--endpoint", metavar="E", help="chat (default), messages, embeddings, …")
@click.option("--mcp-tool", metavar="SERVER/TOOL", help="Judge a call of this MCP tool too.")
def explain(key: str, target: Target, as_json: bool, **question: str | None) -> None:
    """Tell what each rule would say to a request of the key. Nothing is taken from its limits."""

    async def work() -> dict[str, Any]:
        async with open_api(target) as api:
            found = await find_key(api, key)
            document = {name: value for name, value in question.items() if value is not None}
            told: dict[str, Any] = await api.send("POST", f"/keys/{found['id']}/explain", document)
            return told

    told = run_async(work())
    if as_json:
        print_json(told)
        return
    rows = [(v["rule"], v["verdict"], v["code"] or "-", v["detail"]) for v in told["verdicts"]]
    print_table(("RULE", "VERDICT", "CODE", "DETAIL"), rows)
    first = next((v["code"] for v in told["verdicts"] if v["verdict"] == "deny"), "")
    print("\nThe request would pass." if told["allowed"] else f"\nThe request would be refused: {first}.")
    if not target.url:
        print(
            "Requests and tokens per minute of a running gateway are known to itself alone: ask it with --url."
        )
