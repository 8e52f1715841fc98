"""Writes files of days (``day-01.csv`` …) and uploads them, as a nightly export would. The same each time.

    python day.py --days 1-28 --out data --upload s3://data/parcels/

needs pandas and boto3, and the usual variables of AWS clients.
"""

import argparse
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pandas as pd


def write(folder, day):
    """The file of one day: 50 depots."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(day)
    size = np.random.default_rng(0).uniform(50, 500, 50)
    date = pd.Timestamp("2026-06-01") + pd.Timedelta(days=day - 1)
    weekday = date.weekday()
    parcels = size * (1.4 if weekday == 0 else 0.3 if weekday == 6 else 1.0) + random.normal(0, 10, 50)
    path = folder / f"day-{day:02d}.csv"
    pd.DataFrame({"depot_size": size.round(1), "weekday": weekday, "parcels": parcels.round()}).to_csv(path, index=False)
    return path


def upload(files, uri):
    """Puts `files` under the prefix `uri`."""
    import boto3
    from botocore.exceptions import ClientError

    target = urlsplit(uri)
    s3 = boto3.client("s3")
    try:
        s3.head_bucket(Bucket=target.netloc)
    except ClientError:
        s3.create_bucket(Bucket=target.netloc)
    for file in files:
        key = f"{target.path.strip('/')}/{file.name}"
        s3.put_object(Bucket=target.netloc, Key=key, Body=file.read_bytes())
        print(f"s3://{target.netloc}/{key} written")


def days(text):
    """``3`` or ``1-28`` as numbers."""
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=days, default=days("1-28"), help="one day, or some: 1-28")
    parser.add_argument("--out", type=Path, default=Path("data"), help="folder for the files")
    parser.add_argument("--upload", metavar="S3-URI", help="prefix in a bucket, such as s3://data/parcels/")
    given = parser.parse_args()
    written = [write(given.out, day) for day in given.days]
    if given.upload:
        upload(written, given.upload)
