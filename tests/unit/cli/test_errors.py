from __future__ import annotations

import pytest
import typer

from slipway.api.common import InvalidResource
from slipway.cli.errors import MAX_LINE, CliError, ExitCode, explain
from slipway.kube import port as kube
from slipway.kube.config import NoClusterError
from slipway.registry import errors as registry
from slipway.storage import port as storage


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CliError("x"), ExitCode.FAILED),
        (CliError("x", ExitCode.NOT_FOUND), ExitCode.NOT_FOUND),
        (typer.BadParameter("x"), ExitCode.USAGE),
        (registry.UnknownModel("x"), ExitCode.NOT_FOUND),
        (registry.UnknownVersion("x"), ExitCode.NOT_FOUND),
        (registry.UnknownAlias("x"), ExitCode.NOT_FOUND),
        (registry.MissingBlob("x"), ExitCode.NOT_FOUND),
        (storage.NotFound("x"), ExitCode.NOT_FOUND),
        (registry.InvalidName("x"), ExitCode.USAGE),
        (registry.InvalidDigest("x"), ExitCode.USAGE),
        (storage.InvalidKey("x"), ExitCode.USAGE),
        (registry.LostRace("x"), ExitCode.LOST),
        (kube.Conflict("x"), ExitCode.LOST),
        (storage.Precondition("x"), ExitCode.LOST),
        (storage.OutcomeUnknown("x"), ExitCode.FAILED),
        (storage.Denied("x"), ExitCode.FAILED),
        (storage.NoBucket("x"), ExitCode.FAILED),
        (storage.Unavailable("x"), ExitCode.FAILED),
        (registry.CorruptBlob("x"), ExitCode.FAILED),
        (registry.NewerSchema("x"), ExitCode.FAILED),
        (kube.Unavailable("x"), ExitCode.FAILED),
        (kube.Rejected("x"), ExitCode.FAILED),
        (NoClusterError("x"), ExitCode.FAILED),
        (InvalidResource("x"), ExitCode.FAILED),
        (PermissionError(13, "Permission denied", "/etc/shadow"), ExitCode.FAILED),
        (ZeroDivisionError("x"), ExitCode.FAILED),
    ],
)
def test_every_error_has_its_exit_code_and_one_line(error: Exception, code: ExitCode) -> None:
    found, line = explain(error)
    assert found == code
    assert line.startswith("error: ")
    assert "\n" not in line


def test_files_are_named() -> None:
    assert explain(PermissionError(13, "Permission denied", "/x/model.onnx"))[1] == "error: /x/model.onnx: Permission denied"


def test_what_nobody_foresaw_says_how_to_see_more() -> None:
    assert explain(ZeroDivisionError("division by zero"))[1] == (
        "error: unexpected ZeroDivisionError: division by zero (add --debug for the traceback)"
    )


def test_a_package_that_is_not_installed_is_named_with_the_fix() -> None:
    line = explain(ModuleNotFoundError("No module named 'uvloop'", name="uvloop"))[1]
    assert "uvloop" in line
    assert "pip install 'slipway[" in line


def test_long_messages_of_several_lines_become_one_short_line() -> None:
    line = explain(CliError("a\n  b\x1b[31m " + "x" * 10_000))[1]
    assert line.startswith("error: a b\ufffd[31m x")
    assert len(line) <= MAX_LINE + len("error: ")


def test_a_kind_that_the_server_does_not_know_asks_for_slipway() -> None:
    assert "is Slipway installed" in explain(kube.Rejected("list ModelBuild: not found", code=404))[1]
    gone = kube.Rejected('namespaces "x" not found', code=404, namespace_gone=True)
    assert "is Slipway installed" not in explain(gone)[1]
