"""Secrets in every place that people put them."""

from __future__ import annotations

import pytest

from runstone._doctor import masking
from runstone._doctor.model import OK, Line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at runstone://host:5051 now", "at runstone://host:5051 now"),
        ("postgresql://ada:pw@db/x", "postgresql://***@db/x"),
        ("postgresql://ada:p@ss/w:rd@db:5432/x", "postgresql://***@db:5432/x"),
        ("'s3+http://key:secret@127.0.0.1:9000/b'", "'s3+http://***@127.0.0.1:9000/b'"),
        ("sent Bearer abcdef123456 there", "sent Bearer *** there"),
        ("http://h/x?token=abc&page=2", "http://h/x?token=***&page=2"),
        ("http://h/x?X-Amz-Signature=abc", "http://h/x?X-Amz-Signature=***"),
        ("password=hunter2 host=db", "password=*** host=db"),
        ("key AKIAABCDEFGHIJKLMNOP", "key ***"),
        ("eyJhbGciOi.eyJzdWIiOi.c2lnbmF0", "***"),
    ],
)
def test_by_form(text: str, shown: str) -> None:
    assert masking.masked(text) == shown


def test_by_what_the_environment_calls_a_secret() -> None:
    secrets = masking.secrets_of(
        {
            "RUNSTONE_TOKEN": "open-sesame",
            "AWS_SECRET_ACCESS_KEY": "wJalrXUt",
            "RUNSTONE_DATABASE_URL": "postgresql://ada:p%40ss%20w:tail@db/x",
            "RUNSTONE_OBJECTS_URL": "s3+https://minio-key:other@host/bucket",
            "RUNSTONE_TOKEN_FILE": "/run/secrets/token",
            "TOKENIZERS_PARALLELISM": "false",
            "EMPTY_TOKEN": "",
            "HOME": "/home/ada",
        }
    )
    text = "open-sesame wJalrXUt p@ss w:tail p%40ss%20w minio-key other /run/secrets/token false"
    shown = "*** *** *** *** *** *** /run/secrets/token false"
    assert masking.masked(text, secrets) == shown
    assert masking.masked("/home/ada", secrets) == "/home/ada"


def test_a_password_that_is_a_word_of_ours_does_not_black_out_the_report() -> None:
    secrets = masking.secrets_of({"DB": "postgresql://ada:runstone@db/x"})
    assert masking.masked("runstone 0.1.0", secrets) == "runstone 0.1.0"
    assert masking.masked("postgresql://ada:runstone@db/x", secrets) == "postgresql://***@db/x"


def test_details_are_masked_by_their_names_too() -> None:
    details = {"password": "x", "count": 3, "none": None, "more": {"api_key": "y", "ok": True}}
    line = masking.masked_line(Line("n", OK, "s", "", details), [])
    assert line.details == {
        "password": "***",
        "count": 3,
        "none": None,
        "more": {"api_key": "***", "ok": True},
    }
