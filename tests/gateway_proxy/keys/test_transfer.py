"""Import and export: no secret in either direction, the same key for the same row, every mistake at once."""

import json
from dataclasses import replace

import pytest

from gateway_proxy.core.ids import is_id, new_id
from gateway_proxy.core.key import Key
from gateway_proxy.keys.draft import DraftError, apply_creation
from gateway_proxy.keys.secret import mint
from gateway_proxy.keys.transfer import derive_id, export_csv, export_json, parse_import
from gateway_proxy.keys.view import key_object
from tests.gateway_proxy.keys.test_draft import BLANK, FULL, NOW


def parse(text: str):
    return parse_import(text, "default", "local", NOW)


def mistakes(text: str) -> list[str]:
    with pytest.raises(DraftError) as caught:
        parse(text)
    return [error.path for error in caught.value.errors]


def keys() -> list[Key]:
    full = replace(apply_creation(BLANK, FULL, NOW), id=new_id("key"))
    return [
        full,
        replace(full, id=new_id("key"), name='=HYPERLINK("x","y")', allowed_models=(), expires_at=None),
        replace(full, id=new_id("key"), name="'quoted\", comma", metadata={}, inactive=True),
    ]


def shown(records):
    return [key_object(key, NOW) for key in records]


@pytest.mark.parametrize("export", [export_csv, lambda objects: json.dumps(export_json(objects))])
def test_an_export_can_be_imported(export) -> None:
    originals = keys()
    rows = parse(export(shown(originals)))
    assert [row.key_id for row in rows] == [key.id for key in originals]
    assert [row.inactive for row in rows] == [False, False, True]
    for row, original in zip(rows, originals, strict=True):
        blank = replace(BLANK, id=row.key_id)
        assert apply_creation(blank, row.draft, NOW) == replace(original, inactive=False)


def test_whole_key_objects_can_be_imported() -> None:
    [row] = parse(json.dumps([key_object(keys()[0], NOW)]))
    assert row.draft["name"] == "Production API"


def test_formulas_are_defused_in_csv() -> None:
    assert "\"'=HYPERLINK(" in export_csv(shown(keys()))


def test_ended_keys_are_marked_not_created_anew() -> None:
    [expired] = parse(export_csv(shown([replace(keys()[0], expires_at=NOW - 1)])))
    [revoked] = parse(export_csv(shown([replace(keys()[0], revoked_at=NOW - 1)])))
    assert (expired.ended, revoked.ended) == ("expired", "revoked")


def test_the_same_row_is_the_same_key() -> None:
    [by_name] = parse("name\nalpha\n")
    assert parse("owner,name\nlocal,alpha\n")[0].key_id == by_name.key_id
    assert parse("owner,name\nada@example.com,alpha\n")[0].key_id != by_name.key_id
    [by_external] = parse("external_id,name\n7,alpha\n")
    assert parse("external_id,name\n7,renamed\n")[0].key_id == by_external.key_id
    assert parse('[{"external_id":7,"name":"alpha"}]')[0].key_id == by_external.key_id
    assert by_external.key_id != by_name.key_id
    assert is_id(by_name.key_id, "key")


def test_derived_ids_keep_their_parts_apart() -> None:
    assert derive_id("a", "bc") != derive_id("ab", "c")


def test_every_mistake_is_named_with_its_line() -> None:
    text = 'name,requests_per_minute,allowed_models,colour\na,x,,\nb,5,"m*n",\n"c\nd",1,,\nd,1,,red\na,1\n'
    assert mistakes(text) == [
        "line 2: requests_per_minute",
        "line 7",
        "line 3: allowed_models[0]",
        "line 5: name",
        "line 6: colour",
    ]


def test_twins_in_one_file() -> None:
    assert mistakes("name\na\nb\na\n") == ["line 4"]


def test_secrets_are_refused_and_not_repeated() -> None:
    secret = mint("gwk")
    for text in (f"name,secret\na,{secret}\n", f"name,owner\na,{secret}\n", json.dumps([{"name": secret}])):
        with pytest.raises(DraftError, match="holds a secret") as caught:
            parse(text)
        assert secret not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "id\nx\n",
        "name,name\na,b\n",
        "[1]",
        "{}",
        '{"data":5}',
        "[",
        "[" * 100_000,
        'name\n"open\n',
        "name,id\na,x\n",
    ],
)
def test_files_that_are_nothing_of_the_kind(text: str) -> None:
    assert mistakes(text)


def test_an_empty_list_and_a_byte_order_mark() -> None:
    assert parse("[]") == []
    assert parse("\ufeffname\r\na\r\n\r\n")[0].draft == {"name": "a"}
