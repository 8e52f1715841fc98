"""docs/estimators.md names every estimator of the installed scikit-learn, and says what is still so of a sample."""

from __future__ import annotations

import pytest

from bench.estimators.cases import cases
from bench.estimators.table import PAGE, read
from bench.estimators.trial import attempt

CASES = {case.name: case for case in cases()}
SAMPLE = (
    "LogisticRegression", "Pipeline", "RFE", "LinearSVC", "DecisionTreeRegressor", "IsolationForest", "GaussianMixture", "DBSCAN",
    "OneHotEncoder", "TfidfVectorizer", "ColumnTransformer", "Nystroem", "KNeighborsClassifier",
)  # fmt: skip


def test_the_table_has_every_estimator_and_no_other() -> None:
    assert set(read(PAGE.read_text())) == set(CASES), "run python -m bench.estimators"


@pytest.mark.parametrize("name", SAMPLE)
def test_what_the_table_says_is_so(name: str) -> None:
    assert attempt(CASES[name]).result == read(PAGE.read_text())[name]
