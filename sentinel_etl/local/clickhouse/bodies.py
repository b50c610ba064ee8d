"""Bodies of requests and answers: compression as a stream, multipart forms, what a select streams."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import brotli
import lz4.frame
import zstandard
from python_multipart import FormParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, parse_options_header

from sentinel_etl.local.clickhouse.errors import Code, StatementFailed

__all__ = ["BodyDecoder", "BodyEncoder", "FormPart", "parse_multipart"]


# Bytes of compressed body given to a decompressor at a time, and of decoded body taken from it.
_SLICE = 8 * 1024
_PIECE = 1024 * 1024
# zstd has no bound on what it gives at once, so what it is given is bounded: a block of 4 bytes may
# stand for 128 KiB (RFC 8878, 3.1.1.2), 8 MiB in all.
_ZSTD_SLICE = 256
# A larger window need not be taken in a Content-Encoding (RFC 9659).
_ZSTD_WINDOW = 8 * 1024 * 1024

# http_zlib_compression_level's default in ClickHouse; the others are set to cost about the same.
_ZLIB_LEVEL = 3
_ZSTD_LEVEL = 1
_BROTLI_QUALITY = 1


class _Decompressor(Protocol):
    """What the four libraries have in common once wrapped."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Decode ``data`` to its end, or to the end of the frame, in pieces of a bounded size."""
        ...


class _ZlibDecompressor:
    def __init__(self, wbits: int) -> None:
        self._inner = zlib.decompressobj(wbits=wbits)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def pieces(self, data: bytes) -> Iterator[bytes]:
        piece = b""
        while data or len(piece) == _PIECE:
            piece = self._inner.decompress(data, _PIECE)
            data = self._inner.unconsumed_tail
            yield piece


class _ZstdDecompressor:
    def __init__(self) -> None:
        self._inner = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
        self.unused_data = b""

    @property
    def eof(self) -> bool:
        return self._inner.eof

    def pieces(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _ZSTD_SLICE):
            end = start + _ZSTD_SLICE
            yield self._inner.decompress(data[start:end])
            if self.eof:
                self.unused_data = self._inner.unused_data + data[end:]
                return


class _Lz4Decompressor:
    def __init__(self) -> None:
        self._inner = lz4.frame.LZ4FrameDecompressor()

    @property
    def eof(self) -> bool:
        return bool(self._inner.eof)

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data or b""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        yield self._inner.decompress(data, max_length=_PIECE)
        while not (self._inner.needs_input or self._inner.eof):
            yield self._inner.decompress(b"", max_length=_PIECE)


class _BrotliDecompressor:
    """Brotli has no frames to follow one another: its stream ends once."""

    unused_data = b""

    def __init__(self) -> None:
        self._inner = brotli.Decompressor()
        self.eof = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        # It takes in all that it is given, and may still hold some of what that stands for.
        piece = data
        while piece or not self._inner.can_accept_more_data():
            piece = self._inner.process(data, output_buffer_limit=_PIECE)
            data, self.eof = b"", self._inner.is_finished()
            yield piece
            if self.eof:
                return


def _new_decompressor(encoding: str) -> _Decompressor:
    match encoding:
        case "gzip" | "x-gzip":
            return _ZlibDecompressor(wbits=31)
        case "deflate":
            return _ZlibDecompressor(wbits=zlib.MAX_WBITS)
        case "zstd":
            return _ZstdDecompressor()
        case "lz4":
            return _Lz4Decompressor()
        case "br":
            return _BrotliDecompressor()
    raise StatementFailed(
        Code.NOT_IMPLEMENTED,
        f"Unknown compression method {encoding}: Content-Encoding may be gzip, zstd, lz4, deflate or br.",
    )


class BodyDecoder:
    """Undoes a request's Content-Encoding piece by piece; frames may follow one another."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding.strip().lower()
        self._plain = self._encoding in ("", "identity")
        self._current: _Decompressor | None = None
        if not self._plain:
            self._current = _new_decompressor(self._encoding)
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decode ``data``, in pieces that a hostile body cannot make large.

        Raises:
            StatementFailed: CANNOT_DECOMPRESS.
        """
        if self._plain:
            yield data
            return
        for start in range(0, len(data), _SLICE):
            rest = data[start : start + _SLICE]
            while rest:
                if self._current is None or self._current.eof:
                    self._current = _new_decompressor(self._encoding)
                self._begun = True
                try:
                    yield from filter(None, self._current.pieces(rest))
                except (zlib.error, zstandard.ZstdError, brotli.error, RuntimeError, EOFError) as error:
                    raise StatementFailed(
                        Code.CANNOT_DECOMPRESS, f"Cannot decompress the {self._encoding} body: {error}."
                    ) from None
                rest = self._current.unused_data if self._current.eof else b""

    def finish(self) -> None:
        """Check that the body ended where its encoding ends.

        Raises:
            StatementFailed: CANNOT_DECOMPRESS for a body that breaks off.
        """
        if self._begun and self._current is not None and not self._current.eof:
            raise StatementFailed(
                Code.CANNOT_DECOMPRESS, f"Cannot decompress the {self._encoding} body: it breaks off."
            )


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class _BrotliCompressor:
    def __init__(self) -> None:
        self._inner = brotli.Compressor(quality=_BROTLI_QUALITY)

    def compress(self, data: bytes) -> bytes:
        # A flush per piece lets the client see rows before the end of a slow result.
        return bytes(self._inner.process(data)) + bytes(self._inner.flush())

    def flush(self) -> bytes:
        return bytes(self._inner.finish())


class _Lz4Compressor:
    def __init__(self) -> None:
        self._inner = lz4.frame.LZ4FrameCompressor()
        self._header: bytes = self._inner.begin()

    def compress(self, data: bytes) -> bytes:
        header, self._header = self._header, b""
        return header + bytes(self._inner.compress(data))

    def flush(self) -> bytes:
        return self._header + bytes(self._inner.flush())


class BodyEncoder:
    """Compresses an answer piece by piece; ``encoding`` is one that clients may accept."""

    def __init__(self, encoding: str) -> None:
        self._compressor = self._new(encoding)

    @staticmethod
    def _new(encoding: str) -> _Compressor:
        match encoding:
            case "gzip":
                return zlib.compressobj(_ZLIB_LEVEL, wbits=31)
            case "deflate":
                return zlib.compressobj(_ZLIB_LEVEL)
            case "zstd":
                return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compressobj()
            case "lz4":
                return _Lz4Compressor()
        return _BrotliCompressor()

    def feed(self, data: bytes) -> bytes:
        return self._compressor.compress(data)

    def finish(self) -> bytes:
        return self._compressor.flush()


@dataclass(frozen=True, slots=True)
class FormPart:
    """One part of a multipart form; ``is_file`` where the client named a file."""

    name: str
    content: bytes
    is_file: bool


def parse_multipart(content_type: str, body: bytes) -> list[FormPart]:
    """Split a ``multipart/form-data`` body, after RFC 7578: ClickHouse's external data and long
    query parameters come in it.

    As in ClickHouse's src/Server/HTTP/HTMLForm.cpp, a file is what has ``filename=``; ``filename*=``,
    which the RFC forbids in a form (section 4.2), is passed over.

    Raises:
        StatementFailed: BAD_ARGUMENTS where there is no boundary, where a part cannot be read or has
            no name, and where the last boundary is missing.
    """
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise StatementFailed(Code.BAD_ARGUMENTS, "A multipart body needs a boundary in its Content-Type.")
    parts: list[FormPart] = []
    complete = False

    def add_field(field: Field) -> None:
        parts.append(FormPart(_name_of(field), field.value or b"", is_file=False))

    def add_file(file: File) -> None:
        file.file_object.seek(0)
        parts.append(FormPart(_name_of(file), file.file_object.read(), is_file=True))

    def end() -> None:
        nonlocal complete
        complete = True

    # The body is in memory already, and bounded: no part of it goes through a file.
    in_memory = {"MAX_MEMORY_FILE_SIZE": len(body)}
    try:
        FormParser("multipart/form-data", add_field, add_file, end, boundary, config=in_memory).write(body)
    except FormParserError as error:
        raise StatementFailed(Code.BAD_ARGUMENTS, f"Cannot read the multipart body: {error}.") from None
    if not complete:
        raise StatementFailed(
            Code.BAD_ARGUMENTS, "Cannot read the multipart body: it breaks off before its last boundary."
        )
    return parts


def _name_of(part: Field | File) -> str:
    return (part.field_name or b"").decode("utf-8", "replace")
