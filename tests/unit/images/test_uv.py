from __future__ import annotations

import pytest

from slipway.images.uv import LONGEST, shortened

TWO_CAUSES = """\
warning: Requirements file `base.txt` does not contain any dependencies
Resolved 1 package in 5ms
\x1b[31merror\x1b[39m: Request failed after 3 retries in 7.3s
  cause: Failed to fetch: https://ann:pass-word@index.example.com/simple/six/
  cause: tcp connect error
"""


def test_the_resolvers_words_become_one_sentence_without_secrets_and_noise() -> None:
    words = shortened(TWO_CAUSES)
    assert words == (
        "Request failed after 3 retries in 7.3s: Failed to fetch: https://***@index.example.com/simple/six/: tcp connect error"
    )


@pytest.mark.parametrize("text", ["", "warning: nothing\n", "x" * 10_000, "a\n" * 5000])
def test_they_are_never_too_long(text: str) -> None:
    assert len(shortened(text)) <= LONGEST
