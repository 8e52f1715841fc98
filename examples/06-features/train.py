"""Trains on a frozen training set: customers at times, what was known of them then, and whether they left."""

from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main(run):
    table = run.inputs["train"].read_parquet()
    X, y = table.drop(columns=["customer", "event_time", "churned"]), table["churned"]
    run.info(f"{len(X)} rows of {', '.join(X.columns)}")
    model = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())
    scores = cross_val_predict(model, X, y, cv=5, method="predict_proba")[:, 1]
    run.log_metric("roc_auc", roc_auc_score(y, scores))
    run.log_metric("rows", len(X))
    run.save_model(model.fit(X, y), X=X)
