"""Marks what is known not to work yet."""

from __future__ import annotations

import pytest

KNOWN_GAPS = (
    "test_histogram_boosting_is_kept_one_way_or_the_other",
    "test_an_estimator_becomes_onnx_that_answers_as_it_does[calibrated]",
    "test_an_estimator_becomes_onnx_that_answers_as_it_does[linear_svc]",
    "test_an_estimator_becomes_onnx_that_answers_as_it_does[voting]",
    "test_a_gaussian_process_is_kept_exactly_or_not_as_onnx",
    "test_columns_picked_by_name_from_a_table_of_numbers_become_onnx_too",
    "test_the_same_model_has_the_same_bytes[False-estimator1]",
)
"""Estimators that are refused today although they should be kept. Strict: one that is mended has to leave this list."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.name in KNOWN_GAPS:
            item.add_marker(pytest.mark.xfail(strict=True, reason="conversion of this estimator is not there yet"))
