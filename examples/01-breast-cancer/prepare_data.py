"""Writes scikit-learn's breast-cancer data as Parquet: 455 rows to train on, 114 held out; and uploads them.

    python prepare_data.py --out data --upload s3://data/breast-cancer/

needs scikit-learn, pandas, pyarrow and boto3, and the usual variables of AWS clients for another store than AWS
(AWS_ENDPOINT_URL_S3, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION).
"""

import argparse
import hashlib
from pathlib import Path
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import ClientError
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split


def write(folder):
    """The two files in `folder`; the same bytes each time."""
    folder.mkdir(parents=True, exist_ok=True)
    table = load_breast_cancer(as_frame=True).frame
    train, held_out = train_test_split(table, test_size=114, random_state=7, stratify=table["target"])
    files = {"train.parquet": train, "heldout.parquet": held_out}
    for name, part in files.items():
        part.reset_index(drop=True).to_parquet(folder / name)
    return [folder / name for name in files]


def upload(files, uri):
    """Puts `files` under the prefix `uri`. A file that is there already stays as it is."""
    target = urlsplit(uri)
    bucket, prefix = target.netloc, target.path.strip("/")
    s3 = boto3.client("s3")
    if missing(s3.head_bucket, Bucket=bucket):
        s3.create_bucket(Bucket=bucket)
    for file in files:
        key = f"{prefix}/{file.name}" if prefix else file.name
        if not missing(s3.head_object, Bucket=bucket, Key=key, IfMatch=md5(file)):
            print(f"s3://{bucket}/{key} is up to date")
            continue
        s3.put_object(Bucket=bucket, Key=key, Body=file.read_bytes())
        print(f"s3://{bucket}/{key} written, {file.stat().st_size:,} bytes")


def md5(file):
    """The ETag that S3 gives a file that is put in one piece."""
    return f'"{hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()}"'


def missing(ask, **what):
    """Whether the store says that it has no such thing, or has it with other content."""
    try:
        ask(**what)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] in (404, 412):
            return True
        raise
    return False


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("data"), help="folder for the two files")
    parser.add_argument("--upload", metavar="S3-URI", help="prefix in a bucket, such as s3://data/breast-cancer/")
    given = parser.parse_args()
    written = write(given.out)
    if given.upload:
        upload(written, given.upload)
