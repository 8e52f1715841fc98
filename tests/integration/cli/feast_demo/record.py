"""How the files beside this were made, by Feast 0.67: ``feast init -t local demo``, ``feast apply``, then this with Feast's
Python in ``demo/feature_repo``. What Feast answers is kept, to hold ours against it."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from feast import FeatureStore

stats = pd.read_parquet("data/driver_stats.parquet")
drivers = stats.iloc[5::29][["driver_id", "event_timestamp"]].drop_duplicates().reset_index(drop=True)
drivers["event_timestamp"] += pd.to_timedelta(drivers.index * 7 % 50, unit="min")
drivers["trip_completed"] = drivers.index % 3 == 0
drivers.to_parquet("drivers.parquet")
features = [f"driver_hourly_stats:{name}" for name in ("conv_rate", "acc_rate", "avg_daily_trips")]
made = FeatureStore(".").get_historical_features(entity_df=drivers, features=features).to_df()
answers = made.sort_values(["driver_id", "event_timestamp"]).astype({"event_timestamp": str})
Path("feast_answers.json").write_text(json.dumps(answers.to_dict("records"), indent=1))
