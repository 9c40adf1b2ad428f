"""What service and queue helper say to each other."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.wire.queuehelper import (
    LONGEST_PIECE,
    LONGEST_SAID,
    MOST_IDS,
    Answer,
    BadAnswer,
    BadQuestion,
    End,
    Question,
    parse_question,
    render_end,
    render_piece,
    render_question,
)


@pytest.mark.parametrize(
    "question",
    [
        Question("list", "/etc/postfix"),
        Question("hold", "/etc/postfix", ("4F5C64474F", "4jXCTn2m28zJmm6")),
        Question("headers", "exim", ("1tAbCd-0001Ab-2C",)),
        Question("delete", "/etc/postfix", tuple(f"{n:010X}" for n in range(MOST_IDS))),
    ],
)
def test_a_question_arrives(question: Question) -> None:
    assert parse_question(render_question(question)) == question


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"[" * 50_000,
        b'{"do": "list"}',
        *(
            json.dumps(asked).encode()
            for asked in (
                {"do": "exec", "instance": "/etc/postfix", "ids": []},
                {"do": ["list"], "instance": "/etc/postfix", "ids": []},
                {"do": "list", "instance": ["/etc/postfix"], "ids": []},
                {"do": "list", "instance": "/etc/postfix", "ids": "ABCDEF"},
                {"do": "list", "instance": "/etc/postfix", "ids": ["ABCDEF"]},
                {"do": "delete", "instance": "/etc/postfix", "ids": []},
                {"do": "delete", "instance": "/etc/postfix", "ids": ["-dALLxx"]},
                {"do": "delete", "instance": "/etc/postfix", "ids": ["ALL"]},
                {"do": "delete", "instance": "/etc/postfix", "ids": ["ABCDEF\n"]},
                {"do": "delete", "instance": "/etc/postfix", "ids": ["../../x"]},
                {"do": "delete", "instance": "/etc/postfix", "ids": [5]},
                {"do": "delete", "instance": "/etc/postfix", "ids": ["ABCDEF"] * (MOST_IDS + 1)},
            )
        ),
    ],
)
def test_no_other_question_is_understood(line: bytes) -> None:
    with pytest.raises(BadQuestion):
        parse_question(line)


@given(st.lists(st.binary(min_size=1, max_size=50)), st.text(max_size=50), st.integers(1, 20))
def test_an_answer_arrives_in_any_pieces(pieces: list[bytes], said: str, step: int) -> None:
    answer, found = Answer(), b""
    data = b"".join(map(render_piece, pieces)) + render_end(End(False, said, True))
    for start in range(0, len(data), step):
        found += answer.feed(data[start : start + step])
    assert found == b"".join(pieces) and answer.end == End(False, said, True)


def test_a_long_complaint_is_cut() -> None:
    answer = Answer()
    answer.feed(render_end(End(False, "x" * 100_000)))
    assert answer.end is not None and len(answer.end.said) == LONGEST_SAID + 1


@pytest.mark.parametrize(
    "data",
    [
        b"sudo: a password is required\n",
        b"-1\nx",
        b"9999999\n",
        b"0\n{}\n",
        b"0\n[]\n",
        b"0\n" + b"x" * 100_000,
    ],
)
def test_whatever_else_answers_is_no_helper(data: bytes) -> None:
    with pytest.raises(BadAnswer):
        Answer().feed(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_taken_or_refused(data: bytes) -> None:
    answer = Answer()
    try:
        assert len(answer.feed(data)) <= len(data)
    except BadAnswer:
        pass
    assert len(answer._buffer) <= LONGEST_PIECE
    try:
        parse_question(data)
    except BadQuestion:
        pass
