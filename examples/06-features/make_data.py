"""Made-up customers, their visits and accounts, and whether they left: ``visits.parquet``, ``account.parquet``, ``labels.parquet``,
and a week later ``visits-next.parquet`` and ``labels-next.parquet``. The same each time, but for the date of
``visits-today.parquet``: what a model is asked by today.

    python make_data.py --out data
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

CUSTOMERS = 600
WEEKS = pd.date_range("2026-05-04", periods=13, freq="7D", tz="UTC")
DAY = pd.Timedelta(days=1)


def write(folder):
    """The six files in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(6)
    activity = random.gamma(4.0, 5.0, CUSTOMERS)
    fee = random.choice([9.0, 19.0, 49.0], CUSTOMERS)
    weeks = [visits(random, activity, week) for week in WEEKS]
    asked = [labels(random, activity, fee, week + 2 * DAY) for week in WEEKS[4:]]
    left = pd.concat(asked).query("churned == 1")
    opened = WEEKS[0] - 100 * DAY
    customers = np.arange(CUSTOMERS)
    account = pd.concat(
        [
            pd.DataFrame({"customer": customers, "valid_from": opened, "booked": opened, "fee": fee, "refund": 0.0}),
            # dated to the day before the customer left, and booked long after
            pd.DataFrame(
                {
                    "customer": left["customer"],
                    "valid_from": left["event_time"] - DAY,
                    "booked": left["event_time"] + 10 * DAY,
                    "fee": fee[left["customer"]],
                    "refund": fee[left["customer"]] / 2,
                }
            ),
        ]
    ).drop_duplicates(["customer", "valid_from"])
    files = {
        "visits": pd.concat(weeks[:-1]),
        "account": account,
        "labels": pd.concat(asked[:-1]),
        "visits-next": weeks[-1],
        "labels-next": pd.concat(asked),
        "visits-today": visits(random, activity, pd.Timestamp.now(tz="UTC").floor("D") - DAY),
    }
    for name, table in files.items():
        table.reset_index(drop=True).to_parquet(folder / f"{name}.parquet")


def visits(random, activity, week):
    """One week of visits; a tenth of the customers did not come. Rows are written the night after."""
    there = random.random(CUSTOMERS) < 0.9
    pages = random.poisson(activity)[there]
    minutes = pages * random.uniform(0.5, 2.0, there.sum())
    return pd.DataFrame(
        {"customer": np.flatnonzero(there), "week": week, "written": week + DAY, "pages": pages, "minutes": minutes}
    )


def labels(random, activity, fee, time):
    """A sixth of the customers, and whether they left: rather the quiet ones and those who pay much."""
    chosen = np.sort(random.choice(CUSTOMERS, CUSTOMERS // 6, replace=False))
    chance = 1 / (1 + np.exp(0.25 * activity[chosen] - 0.04 * fee[chosen] - 2.2))
    return pd.DataFrame(
        {"customer": chosen, "event_time": time, "churned": (random.random(len(chosen)) < chance).astype("int64")}
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("data"), help="folder for the files")
    write(parser.parse_args().out)
