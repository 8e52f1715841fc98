from __future__ import annotations

from pathlib import Path

import pytest

from slipway.images import contract
from slipway.images.requirements import RequirementsInvalid, explained, gather
from slipway.images.runtime import Runtime

RUNTIME = Runtime("3.11.2", "linux/amd64", "2.36", ("numpy==2.3.4",))


def write(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_txt", ".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_lines_of_spec_and_file_are_joined(tmp_path: Path) -> None:
    text = "\ufeff# comment\nsix  # why\n\n-r more/extra.txt\npandas[parquet] == 2.3.* ; python_version >= '3.10'\r\ntiny==1 \\\n  --hash=sha256:aa\n"
    source = write(tmp_path, requirements_txt=text, more__extra_txt="-r ../requirements.txt\n--requirement=deep/x.txt\nsix\n")
    write(source, more__deep__x_txt="deep\n")
    assert gather([" attrs ", ""], source) == (
        "attrs",
        "deep",
        "pandas[parquet] == 2.3.* ; python_version >= '3.10'",
        "six",
        "tiny==1 --hash=sha256:aa",
    )


def test_none_is_none(tmp_path: Path) -> None:
    assert gather([], tmp_path) == ()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--index-url https://example.com", "option --index-url"),
        ("-e .", "option -e"),
        ("--find-links=wheels", "option --find-links"),
        ("-r ../other.txt", "leads out"),
        ("-r /etc/passwd", "leads out"),
        ("-r missing.txt", "no such file"),
        ("./local", "is a path"),
        ("../local", "is a path"),
        ("/abs/x.whl", "is a path"),
        ("x @ file:///etc", "is a path"),
        ("file:///etc", "is a path"),
        ("x-1.0-py3-none-any.whl", "is a path"),
        ("git+https://ann:pw@example.com/x", "version control"),
        ("x @ hg+https://example.com/x", "version control"),
    ],
)
def test_what_is_not_taken_is_named_with_its_line(line: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(RequirementsInvalid, match=words) as caught:
        gather([], write(tmp_path, requirements_txt=f"six\n{line}\n"))
    assert "requirements.txt line 2" in str(caught.value) or "missing.txt" in str(caught.value)
    assert "pw" not in str(caught.value)


def test_an_item_of_spec_is_named_by_its_place(tmp_path: Path) -> None:
    with pytest.raises(RequirementsInvalid, match=r"requirements\[1\]"):
        gather(["six", "./x"], tmp_path)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("error: Couldn't parse requirement in `r.in` at position 0", contract.REQUIREMENTS_INVALID),
        ("No solution found when resolving dependencies: there is no version of six==99", contract.REQUIREMENTS_UNSATISFIABLE),
        ("No solution found: winonly==1.0 has no wheels with a matching platform tag", contract.WHEEL_MISSING),
        ("No solution found: all versions of x have no usable wheels", contract.WHEEL_MISSING),
        ("Request failed after 3 retries: Failed to fetch: https://index.example.com", contract.INDEX_UNAVAILABLE),
        ("no answer from the package index within 5 s", contract.INDEX_UNAVAILABLE),
        ("something else", contract.BUILD_FAILED),
    ],
)
def test_the_resolvers_words_have_a_reason(words: str, reason: str) -> None:
    error = explained(words, RUNTIME)
    assert error.reason == reason
    assert words in str(error)
