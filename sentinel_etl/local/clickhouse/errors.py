"""ClickHouse's errors as its HTTP interface shows them: code, name, text, HTTP status."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Self

from sentinel_etl.errors import SentinelError

__all__ = ["Code", "StatementFailed"]


class Code(IntEnum):
    """The codes that this project raises by itself, or that have an HTTP status of their own.

    Numbers as ``errorCodeToName()`` of ClickHouse 26.9 gives them.
    """

    CANNOT_PARSE_TEXT = 6
    THERE_IS_NO_COLUMN = 8
    DUPLICATE_COLUMN = 15
    CANNOT_PARSE_ESCAPE_SEQUENCE = 25
    CANNOT_PARSE_QUOTED_STRING = 26
    CANNOT_PARSE_INPUT_ASSERTION_FAILED = 27
    BAD_ARGUMENTS = 36
    UNKNOWN_ELEMENT_IN_AST = 37
    CANNOT_PARSE_DATE = 38
    CANNOT_PARSE_DATETIME = 41
    ILLEGAL_COLUMN = 44
    UNKNOWN_FUNCTION = 46
    UNKNOWN_IDENTIFIER = 47
    NOT_IMPLEMENTED = 48
    UNKNOWN_TYPE = 50
    TYPE_MISMATCH = 53
    UNKNOWN_STORAGE = 56
    UNKNOWN_TABLE = 60
    SYNTAX_ERROR = 62
    UNKNOWN_AGGREGATE_FUNCTION = 63
    CANNOT_PARSE_NUMBER = 72
    UNKNOWN_FORMAT = 73
    CANNOT_OPEN_FILE = 76
    UNKNOWN_TYPE_OF_QUERY = 78
    UNKNOWN_DATABASE = 81
    UNKNOWN_SETTING = 115
    INCORRECT_DATA = 117
    UNKNOWN_TYPE_OF_AST_NODE = 123
    UNKNOWN_DIRECTION_OF_SORTING = 152
    TIMEOUT_EXCEEDED = 159
    READONLY = 164
    TOO_DEEP_AST = 167
    TOO_BIG_AST = 168
    UNKNOWN_USER = 192
    WRONG_PASSWORD = 193
    REQUIRED_PASSWORD = 194
    SOCKET_TIMEOUT = 209
    QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING = 216
    UNEXPECTED_AST_STRUCTURE = 223
    QUERY_IS_TOO_LARGE = 229
    CANNOT_DECOMPRESS = 271
    VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE = 321
    UNKNOWN_DATABASE_ENGINE = 336
    SESSION_NOT_FOUND = 372
    SESSION_IS_LOCKED = 373
    INVALID_SESSION_TIMEOUT = 374
    CANNOT_PARSE_UUID = 376
    HTTP_LENGTH_REQUIRED = 381
    CANNOT_COMPILE_REGEXP = 427
    CANNOT_SCHEDULE_TASK = 439
    CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING = 441
    ACCESS_DENIED = 497
    UNKNOWN_ROLE = 511
    SET_NON_GRANTED_ROLE = 512
    AUTHENTICATION_FAILED = 516
    CANNOT_PARSE_IPV4 = 675
    CANNOT_PARSE_IPV6 = 676
    UNSUPPORTED_MEDIA_TYPE = 779
    STD_EXCEPTION = 1001


# src/Server/HTTP/exceptionCodeToHTTPStatus.cpp of ClickHouse; a code without an entry is a 500.
_BAD_REQUEST = (
    "CANNOT_PARSE_TEXT CANNOT_PARSE_ESCAPE_SEQUENCE CANNOT_PARSE_QUOTED_STRING CANNOT_PARSE_DATE "
    "CANNOT_PARSE_DATETIME CANNOT_PARSE_NUMBER CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING CANNOT_PARSE_IPV4 "
    "CANNOT_PARSE_IPV6 CANNOT_PARSE_UUID CANNOT_PARSE_INPUT_ASSERTION_FAILED CANNOT_COMPILE_REGEXP "
    "BAD_ARGUMENTS DUPLICATE_COLUMN ILLEGAL_COLUMN THERE_IS_NO_COLUMN UNKNOWN_ELEMENT_IN_AST "
    "UNKNOWN_TYPE_OF_AST_NODE TOO_DEEP_AST TOO_BIG_AST UNEXPECTED_AST_STRUCTURE SYNTAX_ERROR "
    "INCORRECT_DATA TYPE_MISMATCH VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE"
)
_NOT_FOUND = (
    "UNKNOWN_TABLE UNKNOWN_FUNCTION UNKNOWN_IDENTIFIER UNKNOWN_TYPE UNKNOWN_STORAGE UNKNOWN_DATABASE "
    "UNKNOWN_SETTING UNKNOWN_DIRECTION_OF_SORTING UNKNOWN_AGGREGATE_FUNCTION UNKNOWN_FORMAT "
    "UNKNOWN_DATABASE_ENGINE UNKNOWN_TYPE_OF_QUERY UNKNOWN_ROLE"
)
_STATUSES: dict[int, int] = {
    **{Code[name]: 400 for name in _BAD_REQUEST.split()},
    Code.REQUIRED_PASSWORD: 401,
    Code.UNKNOWN_USER: 403,
    Code.WRONG_PASSWORD: 403,
    Code.AUTHENTICATION_FAILED: 403,
    Code.SET_NON_GRANTED_ROLE: 403,
    Code.ACCESS_DENIED: 403,
    **{Code[name]: 404 for name in _NOT_FOUND.split()},
    Code.TIMEOUT_EXCEEDED: 408,
    Code.HTTP_LENGTH_REQUIRED: 411,
    Code.QUERY_IS_TOO_LARGE: 413,
    Code.UNSUPPORTED_MEDIA_TYPE: 415,
    Code.NOT_IMPLEMENTED: 501,
    Code.SOCKET_TIMEOUT: 503,
    Code.CANNOT_OPEN_FILE: 503,
    Code.CANNOT_SCHEDULE_TASK: 503,
}

_CODE_PREFIX = re.compile(r"Code: (\d+)\. DB::(?:Errno)?Exception: ")
# How the engine tells what the kernel has refused: errno 13 is EACCES.
_REFUSED_BY_KERNEL = "errno: 13, strerror: Permission denied"
# What the endpoint has put behind a client's statement; where a parser stumbles over it, the statement has ended.
_OWN_CLAUSE = re.compile(r"(?:(?:INTO OUTFILE|FROM INFILE)\s+)?'[^']*/(?:pipes|fd/\d+)/[0-9a-f]{32}'(?: APPEND)?")
_OWN_FILE = re.compile(r"\(in file/uri [^()\s]*/[0-9a-f]{32}\)")
_OWN_WORD = re.compile(r"\((?:INTO|OUTFILE|FROM|INFILE)\)(?=(?: \(line \d+, col \d+\))?: end of query)")
_VERSION_SUFFIX = re.compile(r"\(version [^()]*+\)\Z")


class StatementFailed(SentinelError):
    """A statement that the engine, or the endpoint on its behalf, refuses.

    ``code`` is ClickHouse's; ``str()`` is the engine's sentence, ending in the code's name.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = int(code)

    @classmethod
    def raised_by_engine(cls, error: Exception) -> Self:
        """Read the code out of chdb's exception, which carries ClickHouse's text and nothing else."""
        text = _VERSION_SUFFIX.sub("", str(error).rstrip()).rstrip()
        text = _OWN_WORD.sub("(end of query)", _OWN_CLAUSE.sub("end of query", text))
        text = _OWN_FILE.sub("(in the data)", text)
        # chdb puts its own words before ClickHouse's text, and a setting's error names itself twice.
        while prefix := _CODE_PREFIX.search(text):
            code, text = int(prefix.group(1)), text[prefix.end() :]
            if not _CODE_PREFIX.match(text):
                return cls(Code.ACCESS_DENIED if _REFUSED_BY_KERNEL in text else code, text)
        return cls(Code.STD_EXCEPTION, text)

    @property
    def http_status(self) -> int:
        return _STATUSES.get(self.code, 500)

    def rendered(self, version: str) -> str:
        """Render the text of the answer, as ``getExceptionMessage`` of ClickHouse does."""
        sentence = str(self)
        if not re.search(r"\([A-Z0-9_]+\)$", sentence) and self.code in Code.__members__.values():
            sentence = f"{sentence} ({Code(self.code).name})"
        return f"Code: {self.code}. DB::Exception: {sentence} (version {version})\n"
