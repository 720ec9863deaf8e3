"""References are read, values stay hidden."""

import base64
import os
import pickle
from pathlib import Path

import pytest

from gateway_proxy.config.secrets import (
    MAX_SECRET_BYTES,
    Secret,
    SecretReference,
    check_header_secret,
    check_webhook_secret,
    parse_reference,
)


def test_a_secret_shows_only_on_reveal() -> None:
    secret = Secret("canary")
    assert secret.reveal() == "canary"
    assert repr(secret) == str(secret) == f"{secret}" == "Secret(***)"
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_secrets_compare_by_value() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("ä")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


def test_a_file_is_relative_to_the_folder(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("canary\n")
    reference = parse_reference("file:key", tmp_path)
    assert reference.path == tmp_path / "key"
    assert reference.read({}).reveal() == "canary"


def test_a_variable_comes_from_the_environment(tmp_path: Path) -> None:
    reference = parse_reference("env:KEY", tmp_path)
    assert reference == SecretReference("env", "KEY")
    assert reference.path is None
    assert reference.read({"KEY": " canary "}).reveal() == "canary"


@pytest.mark.parametrize(
    "text", ["canary", "env:canary-1", "env:", "file:", "file:canary\0", "", 5, None, "ENV:X"]
)
def test_what_is_no_reference_is_refused_without_repeating_it(text: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"write .*(env:NAME|file:PATH)") as caught:
        parse_reference(text, tmp_path)
    assert "canary" not in str(caught.value)


def test_unusable_places_are_named_but_not_their_content(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "two").write_text("canary\ncanary")
    (tmp_path / "bytes").write_bytes(b"canary\xff")
    (tmp_path / "large").write_bytes(b"canary" * MAX_SECRET_BYTES)
    os.mkfifo(tmp_path / "pipe")
    for name, problem in {
        "missing": "does not exist",
        "empty": "is empty",
        "two": "line breaks",
        "bytes": "not UTF-8",
        "large": "larger",
        "pipe": "not a regular file",
        ".": "not a regular file",
        "two/below": "cannot be read",
    }.items():
        with pytest.raises(ValueError, match=problem) as caught:
            parse_reference(f"file:{name}", tmp_path).read({})
        assert str(tmp_path) in str(caught.value)
        assert "canary" not in str(caught.value)
    with pytest.raises(ValueError, match="KEY is not set"):
        SecretReference("env", "KEY").read({})
    with pytest.raises(ValueError, match="KEY is empty"):
        SecretReference("env", "KEY").read({"KEY": ""})


@pytest.mark.parametrize(("size", "valid"), [(23, False), (24, True), (64, True), (65, False)])
def test_webhook_secrets_have_24_to_64_bytes(size: int, valid: bool) -> None:
    secret = Secret("whsec_" + base64.b64encode(b"x" * size).decode())
    if valid:
        check_webhook_secret(secret)
    else:
        with pytest.raises(ValueError, match="24 to 64"):
            check_webhook_secret(secret)


@pytest.mark.parametrize("value", [base64.b64encode(b"x" * 32).decode(), "whsec_!!!", "whsec_ä"])
def test_other_webhook_secrets_are_refused(value: str) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        check_webhook_secret(Secret(value))


def test_header_secrets_are_visible_ascii() -> None:
    check_header_secret(Secret("sk-1_~"))
    for value in ("a b", "é"):
        with pytest.raises(ValueError, match="header"):
            check_header_secret(Secret(value))
