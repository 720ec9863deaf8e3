"""multipart: strict reading, clean writing."""

import mmap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.dialects.multipart import MAX_PARTS, MultipartForm, Part, parse_form, write_form

TYPE = 'multipart/form-data; boundary="xYz"'
MODEL = b'--xYz\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
FILE = (
    b'--xYz\r\nContent-Disposition: form-data; name="file"; filename="a b.wav"\r\n'
    b"Content-Type: audio/wav\r\n\r\nRIFF\r\n\x00\xff\r\n"
)
END = b"--xYz--\r\n"


def refusal(body: bytes, content_type: str = TYPE) -> BadExchange:
    with pytest.raises(BadExchange) as caught:
        parse_form(body, content_type)
    assert (caught.value.status, caught.value.code) == (400, "invalid_type")
    return caught.value


def test_reads_fields_and_files() -> None:
    form = parse_form(MODEL + FILE + END, TYPE)
    assert form.parts == (
        Part("model", b"whisper-1"),
        Part("file", b"RIFF\r\n\x00\xff", "a b.wav", "audio/wav"),
    )
    assert form.read_text("model") == "whisper-1"
    assert form.read_text("absent") is None
    assert form.text_bytes() == 9


def test_writes_with_the_models_name_and_a_boundary_of_its_own() -> None:
    form = parse_form(MODEL + FILE + END, TYPE)
    body, content_type = write_form(form, {"model": "other"})
    again = parse_form(body, content_type)
    assert b"xYz" not in body
    assert again.read_text("model") == "other"
    assert again.parts[1] == form.parts[1]
    assert form.read_text("model") == "whisper-1"


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/mixed; boundary=xYz",
        f"multipart/form-data; boundary={'a' * 71}",
        "multipart/form-data; boundary=xYz; boundary=other",
        'multipart/form-data; boundary="x\r\nY"',
        "multipart/form-data boundary=xYz",
    ],
)
def test_refuses_content_types_without_a_usable_boundary(content_type: str) -> None:
    refusal(MODEL + END, content_type)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        END,
        MODEL,
        MODEL + b"--xYz",
        b"preamble\r\n" + MODEL + END,
        MODEL + END + b"epilogue",
        MODEL + MODEL + END,
        MODEL + MODEL.replace(b'"model"', b'"Model"') + END,
        MODEL.replace(b"form-data", b"attachment") + END,
        MODEL.replace(b'name="model"', b'name="mo del"') + END,
        MODEL.replace(b'name="model"', b"name=model; name=x") + END,
        MODEL.replace(b'name="model"', b'name="model') + END,
        MODEL.replace(b'; name="model"', b"") + END,
        MODEL.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n") + END,
        MODEL.replace(b"\r\n\r\n", b"\r\nno colon\r\n\r\n") + END,
        MODEL.replace(b"\r\n\r\n", b"\r\nX: a\nY: b\r\n\r\n") + END,
        MODEL.replace(b"\r\n\r\n", b"\r\nX: " + b"a" * 5000 + b"\r\n\r\n") + END,
        MODEL.replace(b"\r\n\r\n", b"\r\nX: \xff\r\n\r\n") + END,
        MODEL.replace(b"\r\n\r\n", b"\r\nContent-Type: a/b\r\nContent-Type: c/d\r\n\r\n") + END,
        MODEL.replace(b"\r\n\r\n", b"\r\nContent-Type: what is this\r\n\r\n") + END,
        FILE.replace(b'filename="a b.wav"', b"filename*=UTF-8''a.wav") + END,
        FILE.replace(b"a b.wav", b"a\x00b") + END,
        b"".join(MODEL.replace(b'"model"', b'"f%d"' % n) for n in range(MAX_PARTS + 1)) + END,
    ],
)
def test_refuses_what_could_be_read_differently(body: bytes) -> None:
    refusal(body)


def test_as_many_parts_as_allowed() -> None:
    body = b"".join(MODEL.replace(b'"model"', b'"f%d"' % n) for n in range(MAX_PARTS)) + END
    assert len(parse_form(body, TYPE).parts) == MAX_PARTS


def test_names_of_lists_may_repeat() -> None:
    part = MODEL.replace(b'"model"', b'"image[]"')
    assert len(parse_form(part + part + END, TYPE).parts) == 2


def test_quotes_in_a_file_name_cannot_leave_it() -> None:
    form = parse_form(FILE.replace(b"a b.wav", rb"a\"; name=\"model") + END, TYPE)
    body, content_type = write_form(form, {})
    assert [part.name for part in parse_form(body, content_type).parts] == ["file"]


def test_file_names_of_all_scripts_pass() -> None:
    name = "Bildschirmfoto 9.41\u202fPM 漢字.wav"  # as macOS writes it
    form = parse_form(FILE.replace(b"a b.wav", name.encode()) + END, TYPE)
    assert parse_form(*write_form(form, {})).parts[0].filename == name


def test_reads_typed_fields() -> None:
    form = MultipartForm((Part("n", b"3"), Part("stream", b"true"), Part("x", b"\xff"), Part("f", b"", "f")))
    assert form.read_count("n", 1, 10) == 3
    assert form.read_count("absent", 1, 10) is None
    assert form.read_flag("stream")
    assert not form.read_flag("absent")
    for read in (
        lambda: form.read_count("n", 4, 10),
        lambda: form.read_count("stream", 1, 10),
        lambda: form.read_flag("n"),
        lambda: form.read_text("x"),
        lambda: form.read_text("f"),
    ):
        with pytest.raises(BadExchange):
            read()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=5))
def test_what_is_written_reads_the_same(values: list[bytes]) -> None:
    form = MultipartForm(tuple(Part(f"f{at}", value, f"{at}.bin") for at, value in enumerate(values)))
    assert parse_form(*write_form(form, {})) == form


def test_files_of_a_mapped_form_stay_where_they_are() -> None:
    body = MODEL.replace(b"model", b"prompt") + FILE + MODEL + END  # the model stands last
    with mmap.mmap(-1, len(body)) as held:
        held.write(body)
        form = parse_form(held, TYPE)
        assert form.read_text("model") == "whisper-1" and form.text_bytes() == 18
        assert type(form.parts[1].value) is memoryview and form.parts[1].value == b"RIFF\r\n\x00\xff"
        written, content_type = write_form(form, {"model": "other"})
        assert isinstance(written, list) and any(piece is form.parts[1].value for piece in written)
        again = parse_form(b"".join(written), content_type)
        assert again.read_text("model") == "other" and again.parts[1].value == form.parts[1].value
        del form, written


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_a_mapped_form_is_read_as_one_in_memory(noise: bytes, whole: bool) -> None:
    body = MODEL + FILE[:-2] + noise + b"\r\n" + (END if whole else b"--xYz")
    held = mmap.mmap(-1, len(body))
    held.write(body)
    try:
        expected = parse_form(body, TYPE)
    except BadExchange as error:
        with pytest.raises(BadExchange) as caught:
            parse_form(held, TYPE)
        assert str(caught.value) == str(error)
    else:
        assert [bytes(part.value) for part in parse_form(held, TYPE).parts] == [
            p.value for p in expected.parts
        ]
