import orjson

from gateway_proxy.core.key import Key, McpScope
from gateway_proxy.storage.key_rows import COLUMNS, key_to_row, row_to_key, search_text

KEY = Key(
    id="key_1", name="Straße", organization="o", owner="ada", preview="gwk_AbCd…wxyz", allowed_models=()
)


def test_a_row_holds_only_what_differs_from_the_default() -> None:
    row = dict(zip(COLUMNS, key_to_row(KEY), strict=True))
    assert orjson.loads(row["policy_json"]) == {"allowed_models": []}
    assert row_to_key(key_to_row(KEY)) == KEY
    assert row_to_key((*key_to_row(KEY), "a further column")) == KEY


def test_an_empty_mcp_tool_list_is_not_a_missing_one() -> None:
    key = Key(id="k", name="n", organization="o", owner="a", mcp=McpScope(enabled=True, tools={"github": ()}))
    assert row_to_key(key_to_row(key)).mcp.tools == {"github": ()}


def test_the_search_text_is_folded_and_sorts_by_name_first() -> None:
    assert search_text("Straße", "gwk_AbCd") == "strasse\ngwk_abcd"
    assert search_text("ab", "z") < search_text("ab c", "a")
