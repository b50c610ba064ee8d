"""Multipart forms, as clients send them and as no client should."""

from __future__ import annotations

import httpx
import pytest

from sentinel_etl.local.clickhouse.bodies import FormPart, parse_multipart
from sentinel_etl.local.clickhouse.errors import Code, StatementFailed

FORM = "multipart/form-data; boundary=cut"


def form_of(*parts: tuple[str, bytes], end: bytes = b"--cut--\r\n") -> bytes:
    """Put a form together from each part's header lines and content."""
    return b"".join(b"--cut\r\n%b\r\n\r\n%b\r\n" % (head.encode(), content) for head, content in parts) + end


def test_fields_and_files_come_as_an_ordinary_client_sends_them() -> None:
    content = b"1\t\r\n--cu\r\n\x00\xff" * 100_000  # over a megabyte, which the library would put into a file
    request = httpx.Request(
        "POST", "http://h/", data={"param_a": "नमस्ते", "empty": ""}, files={"ids": ("ids.tsv", content, "text/plain")}
    )
    assert parse_multipart(request.headers["Content-Type"], request.read()) == [
        FormPart("param_a", "नमस्ते".encode(), is_file=False),
        FormPart("empty", b"", is_file=False),
        FormPart("ids", content, is_file=True),
    ]


@pytest.mark.parametrize(
    ("disposition", "name", "is_file"),
    [
        pytest.param('name="ids"; filename="a.csv"', "ids", True, id="file"),
        pytest.param('name="ids"; filename=""', "ids", True, id="file without a name of its own"),
        pytest.param('NAME="ids"; FileName="a.csv"', "ids", True, id="capitals"),
        pytest.param("name=ids; filename=a.csv", "ids", True, id="no quotes"),
        pytest.param('filename="a.csv"; name="ids"', "ids", True, id="file's name first"),
        pytest.param(r'name="a\"b\\c"', 'a"b\\c', False, id="escaped quotes"),
        pytest.param(r'name="a\"; filename=\"b"', 'a"; filename="b', False, id="a file's name inside a name"),
        pytest.param('name="a;b"', "a;b", False, id="semicolon"),
        pytest.param('name="patrouille_nächte"', "patrouille_nächte", False, id="beyond ASCII"),
        pytest.param("name=\"ids\"; filename*=utf-8''a.csv", "ids", False, id="filename*= makes no file"),
        pytest.param(
            'name="ids"; filename="a.csv"; filename*=utf-8\'\'b.csv', "ids", True, id="filename*= beside filename="
        ),
    ],
)
def test_a_part_s_name_and_kind_are_read(disposition: str, name: str, is_file: bool) -> None:
    body = form_of((f"Content-Disposition: form-data; {disposition}", b"1"))
    assert parse_multipart(FORM, body) == [FormPart(name, b"1", is_file)]


def test_a_boundary_may_be_quoted_and_text_after_the_last_one_is_passed_over() -> None:
    body = form_of(('Content-Disposition: form-data; name="a"', b"1")) + b"epilogue"
    assert parse_multipart('multipart/form-data; charset=utf-8; boundary="cut"', body) == [FormPart("a", b"1", False)]


A = 'Content-Disposition: form-data; name="a"'


@pytest.mark.parametrize(
    ("content_type", "body", "sentence"),
    [
        pytest.param(
            "multipart/form-data",
            form_of((A, b"1")),
            "A multipart body needs a boundary in its Content-Type.",
            id="none",
        ),
        pytest.param(
            "multipart/form-data; boundary=",
            form_of((A, b"1")),
            "A multipart body needs a boundary in its Content-Type.",
            id="empty boundary",
        ),
        pytest.param(
            f"multipart/form-data; boundary={'x' * 300}", form_of((A, b"1")), "Boundary length 300", id="long boundary"
        ),
        pytest.param("multipart/form-data; boundary=other", form_of((A, b"1")), "Cannot read", id="another boundary"),
        pytest.param(FORM, b"", "it breaks off before its last boundary.", id="no body"),
        pytest.param(FORM, form_of((A, b"1"), end=b""), "it breaks off before its last boundary.", id="no end"),
        pytest.param(FORM, form_of((A, b"1"))[:-5], "it breaks off before its last boundary.", id="half an end"),
        pytest.param(FORM, form_of((A, b"1"))[:30], "it breaks off before its last boundary.", id="half a header"),
        pytest.param(FORM, form_of((f"{A}{'x' * 1_000_000}", b"1")), "Maximum header size exceeded", id="huge header"),
        pytest.param(
            FORM, form_of((A + "\r\nX-More: 1" * 1000, b"1")), "Maximum header count exceeded", id="many headers"
        ),
        pytest.param(FORM, form_of(("Content-Disposition: form-data", b"1")), "Field name not found", id="no name"),
        pytest.param(FORM, form_of(("Content-Type: text/plain", b"1")), "Field name not found", id="no disposition"),
        pytest.param(FORM, form_of(("no colon", b"1")), "Found invalid character", id="no header"),
    ],
)
def test_a_form_that_cannot_be_read_is_refused_in_a_sentence(content_type: str, body: bytes, sentence: str) -> None:
    with pytest.raises(StatementFailed) as raised:
        parse_multipart(content_type, body)
    assert raised.value.code == Code.BAD_ARGUMENTS
    assert sentence in str(raised.value)
    assert len(str(raised.value)) < 200
    assert str(raised.value).endswith(".")
