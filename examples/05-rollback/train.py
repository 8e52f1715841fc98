"""Iris-like toy data: a logistic regression over as many columns as the parameter says."""

import numpy as np
from sklearn.linear_model import LogisticRegression


def main(run):
    columns = int(run.params.get("columns", 3))
    rows = np.random.default_rng(7).normal(size=(300, columns)).astype("float32")
    labels = (rows.sum(axis=1) > 0).astype(int)
    estimator = LogisticRegression(C=float(run.params.get("C", 1.0))).fit(rows, labels)
    run.log_metric("accuracy", estimator.score(rows, labels))
    run.save_model(estimator, X=rows)
