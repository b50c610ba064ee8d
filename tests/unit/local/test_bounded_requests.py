"""What a request may cost before it is refused: decoded bytes, and time to read texts made to be slow."""

from __future__ import annotations

import gc
import time
import zlib
from collections.abc import Callable
from contextlib import suppress

import brotli
import lz4.frame
import pytest
import zstandard
from starlette.datastructures import Headers

from sentinel_etl.local.clickhouse.bodies import BodyDecoder
from sentinel_etl.local.clickhouse.errors import Code, StatementFailed
from sentinel_etl.local.clickhouse.requests import check_credentials
from sentinel_etl.local.clickhouse.rights import reach_of
from sentinel_etl.local.clickhouse.sql_guard import Statement, kill_by_client_id, read_insert_head, read_statement

MIB = 1024 * 1024
REACH = reach_of(["file", "url"], frozenset())


def streamed(compressor: object, mebibytes: int) -> bytes:
    """Compress so many MiB of zeros."""
    step = getattr(compressor, "compress", None) or compressor.process  # type: ignore[attr-defined]
    end = getattr(compressor, "flush", None) if step.__name__ == "compress" else compressor.finish  # type: ignore[attr-defined]
    return b"".join(step(bytes(MIB)) for _ in range(mebibytes)) + end()  # type: ignore[misc]


BOMBS: dict[str, Callable[[int], bytes]] = {
    "gzip": lambda mebibytes: streamed(zlib.compressobj(9, wbits=31), mebibytes),
    "deflate": lambda mebibytes: streamed(zlib.compressobj(9), mebibytes),
    "zstd": lambda mebibytes: streamed(zstandard.ZstdCompressor(level=3).compressobj(), mebibytes),
    "lz4": lambda mebibytes: lz4.frame.compress(bytes(mebibytes * MIB), block_size=lz4.frame.BLOCKSIZE_MAX4MB),
    "br": lambda mebibytes: streamed(brotli.Compressor(quality=9, lgwin=24), mebibytes),
}


@pytest.mark.parametrize("encoding", BOMBS)
def test_a_body_is_decoded_in_pieces_of_a_bounded_size_and_whole(encoding: str) -> None:
    sizes = [len(piece) for piece in BodyDecoder(encoding).feed(BOMBS[encoding](100))]
    assert max(sizes) <= 8 * MIB
    assert sum(sizes) == 100 * MIB


@pytest.mark.parametrize("encoding", [name for name in BOMBS if name != "br"])
def test_frames_that_follow_one_another_are_decoded_to_the_last(encoding: str) -> None:
    frame = BOMBS[encoding](1)
    decoder = BodyDecoder(encoding)
    assert sum(len(piece) for _ in range(2) for piece in decoder.feed(frame * 3)) == 6 * MIB
    decoder.finish()


@pytest.mark.parametrize("size", [1, 7, 4096])
@pytest.mark.parametrize("encoding", BOMBS)
def test_a_body_is_the_same_however_it_is_cut(encoding: str, size: int) -> None:
    body = BOMBS[encoding](2)[:-20]
    body = body if size > 1 else body[:3000]
    whole = b"".join(BodyDecoder(encoding).feed(body))
    decoder = BodyDecoder(encoding)
    cut = (piece for at in range(0, len(body), size) for piece in decoder.feed(body[at : at + size]))
    assert b"".join(cut) == whole


def test_a_zstd_frame_whose_window_would_take_much_memory_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    body = streamed(zstandard.ZstdCompressor(compression_params=parameters).compressobj(), 200)
    with pytest.raises(StatementFailed, match="Cannot decompress the zstd body") as raised:
        list(BodyDecoder("zstd").feed(body))
    assert raised.value.code == Code.CANNOT_DECOMPRESS


# --- texts made to be slow ------------------------------------------------------------------------

SLOW_TEXTS = {
    "a quote that is not closed": "SELECT '" + "\\'" * 30_000,
    "doubled quotes, one too many": "SELECT " + "'" * 60_001,
    "quotes and other signs": "SELECT '" + "''a" * 20_000,
    "a name that is not closed": 'SELECT "' + '\\"' * 30_000,
    "a name in backquotes that is not closed": "SELECT `" + "``" * 30_000,
    "hexadecimal strings that are not closed": "SELECT " + "x'" * 30_001,
    "here-documents that are not closed": "SELECT " + "".join(f"${number}" for number in range(12_000)),
    "comments that are not closed": "SELECT " + "/*" * 30_000,
    "brackets": "SELECT " + "(" * 60_000,
    "blanks": "SELECT 1" + " " * 60_000 + "'",
    "dashes": "SELECT 1 " + "-- " * 20_000,
    "words of the guard": "CREATE TABLE t ENGINE = " + "ENGINE = MergeTree AS " * 3_000,
}


# Read in one pass each takes a tenth of a second; read once for each of its signs, minutes.
CPU_SECONDS = 5


def cpu_seconds(call: Callable[[], object]) -> float:
    """Measure a call without the garbage of other tests: a collection walks through all that the process holds."""
    gc.disable()
    began = time.thread_time()
    try:
        with suppress(StatementFailed):
            call()
        return time.thread_time() - began
    finally:
        gc.enable()


@pytest.mark.parametrize("name", SLOW_TEXTS)
def test_a_statement_of_60_kb_is_read_in_one_pass(name: str) -> None:
    text = SLOW_TEXTS[name]
    assert cpu_seconds(lambda: read_statement(text, REACH)) < CPU_SECONDS
    assert cpu_seconds(lambda: read_insert_head(f"INSERT INTO t {text}", False, REACH)) < CPU_SECONDS
    assert cpu_seconds(lambda: read_insert_head(f"INSERT INTO t {text}", True, REACH)) < CPU_SECONDS


@pytest.mark.parametrize("text", ["SELECT 'a", "SELECT 'a''", 'SELECT "a', "SELECT `a``", "SELECT x'a", "SELECT 'a\\'"])
def test_a_quote_that_is_not_closed_is_a_syntax_error(text: str) -> None:
    with pytest.raises(StatementFailed, match="a quote is not closed") as raised:
        read_statement(f"SELECT {text}", REACH)
    assert raised.value.code == Code.SYNTAX_ERROR


@pytest.mark.parametrize(
    "text", ["SELECT 'it''s'", "SELECT 'a\\'b'", "SELECT ''", "SELECT ''''", "SELECT $a$'$a$", "SELECT `a```"]
)
def test_a_quote_that_is_closed_is_read_to_its_end(text: str) -> None:
    assert read_statement(f"SELECT {text} FORMAT CSV", REACH).format == "CSV"


def test_an_insert_whose_text_ends_within_a_quote_waits_for_more() -> None:
    begun = "INSERT INTO t SELECT 'FORMAT TSV "
    assert read_insert_head(begun, False, REACH) is None
    head = read_insert_head("INSERT INTO `t` FORMAT TSV\nit's", False, REACH)
    assert head is not None
    assert head.format == "TSV"


def test_a_failure_whose_text_is_all_blanks_is_rendered_at_once() -> None:
    error = RuntimeError(f"Code: 395. DB::Exception: {' ' * 100_000}x{' ' * 100_000}(version 26.9.2.1)")
    assert cpu_seconds(lambda: StatementFailed.raised_by_engine(error).rendered("26.9")) < CPU_SECONDS
    assert str(StatementFailed.raised_by_engine(RuntimeError("Code: 1. DB::Exception: a. (version 26.9)"))) == "a."


def test_a_kill_that_names_the_query_many_times_is_rewritten_at_once() -> None:
    text = "KILL QUERY WHERE " + "query_id = 'a' OR " * 20_000 + "query_id = 'b'"
    statement = Statement(text, "kill", len(text), None, False)
    assert cpu_seconds(lambda: kill_by_client_id(statement)) < CPU_SECONDS
    assert "query_id" not in kill_by_client_id(statement).text
    assert kill_by_client_id(statement).text.endswith("Settings['log_comment'] = 'b'")


# --- before the password --------------------------------------------------------------------------

LONG_URLS = {
    "many parameters": b"a&" * 500_000,
    "one long parameter": b"query=" + b"%41" * 333_000,
    "many users": b"user=a&" * 140_000,
    "many passwords": b"password=%41&" * 75_000,
}


@pytest.mark.parametrize("name", LONG_URLS)
@pytest.mark.parametrize("given", [{}, {"x-clickhouse-user": "officer", "x-clickhouse-key": "guess"}], ids=["no", "a"])
def test_a_long_url_costs_nothing_before_the_password_is_right(name: str, given: dict[str, str]) -> None:
    def check() -> None:
        check_credentials(Headers(given), LONG_URLS[name], "officer", "word")

    assert min(cpu_seconds(check) for _ in range(3)) < 0.15
    with pytest.raises(StatementFailed) as raised:
        check()
    assert raised.value.code == Code.AUTHENTICATION_FAILED


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(b"user=officer&password=a+b%26%C3%A9", id="escaped"),
        pytest.param(b"query=SELECT+1&password=a+b%26%c3%a9&user=officer", id="behind others"),
        pytest.param(b"user=mallory&user=officer&password=guess&password=a+b%26%C3%A9", id="the last one counts"),
    ],
)
def test_name_and_password_are_read_from_the_url_as_before(query: bytes) -> None:
    check_credentials(Headers({}), query, "officer", "a b&é")
