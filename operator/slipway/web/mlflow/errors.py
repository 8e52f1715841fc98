"""Errors as MLflow's clients know them."""

from __future__ import annotations


class MlflowError(Exception):
    """`code` is a word of MLflow's error codes, `status` its HTTP status."""

    def __init__(self, code: str, status: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def not_there(message: str) -> MlflowError:
    return MlflowError("RESOURCE_DOES_NOT_EXIST", 404, message)


def invalid(message: str) -> MlflowError:
    return MlflowError("INVALID_PARAMETER_VALUE", 400, message)
