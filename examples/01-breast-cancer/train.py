"""Trains a classifier of breast tumours from 30 measurements of a cell's nucleus."""

import html

from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main(run):
    table = run.inputs["train"].read_parquet()
    X, y = table.drop(columns=["target"]), table["target"]
    C, seed = run.params["C"], run.params["seed"]
    run.info(f"{len(X)} rows, {X.shape[1]} features, C={C}")

    model = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=1000))
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    scores = cross_val_predict(model, X, y, cv=folds, method="predict_proba")[:, 1]
    run.log_metric("roc_auc", roc_auc_score(y, scores))
    run.log_metric("accuracy", ((scores > 0.5) == y).mean())

    model.fit(X, y)
    run.log_report("report.html", report(model, X.columns, *roc_curve(y, scores)[:2], run.metrics))
    run.save_model(model, X=X)


def report(model, columns, false_positive, true_positive, metrics):
    """One page with the ROC curve and the heaviest coefficients, without anything loaded from elsewhere."""
    curve = " ".join(f"{300 * x:.1f},{300 - 300 * y:.1f}" for x, y in zip(false_positive, true_positive, strict=True))
    weights = sorted(zip(model[-1].coef_[0], columns, strict=True), key=lambda pair: -abs(pair[0]))[:10]
    rows = "".join(f"<tr><td>{html.escape(name)}</td><td>{weight:+.3f}</td></tr>" for weight, name in weights)
    facts = "".join(f"<li>{html.escape(name)}: {value:.4f}</li>" for name, value in metrics.items())
    return f"""<!doctype html><meta charset="utf-8"><title>breast-cancer</title>
<style>body {{ font: 15px system-ui; margin: 2em }} td {{ padding: .1em 1em .1em 0 }}</style>
<h1>breast-cancer</h1><ul>{facts}</ul>
<h2>ROC, five-fold cross-validation</h2>
<svg viewBox="-5 -5 310 310" width="320"><rect width="300" height="300" fill="none" stroke="#999"/>
<path d="M0 300 300 0" stroke="#ccc"/><polyline points="{curve}" fill="none" stroke="#06c" stroke-width="2"/></svg>
<h2>Heaviest coefficients, per standard deviation</h2><table>{rows}</table>
"""
