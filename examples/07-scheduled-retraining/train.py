"""Trains a model of a depot's parcels on all days there are."""

import pandas as pd
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.metrics import r2_score
from sklearn.model_selection import cross_val_predict


def main(run):
    files = sorted(run.inputs["days"].path.rglob("day-*.csv"))
    table = pd.concat([pd.read_csv(file) for file in files], ignore_index=True)
    X, y = table.drop(columns=["parcels"]).astype("float32"), table["parcels"]
    run.info(f"{len(files)} days, {len(table)} rows")
    model = GradientBoostingRegressor(n_estimators=40, random_state=1)
    run.log_metric("r2", r2_score(y, cross_val_predict(model, X, y, cv=4)))
    run.log_metric("days", len(files))
    run.save_model(model.fit(X, y), X=X)
