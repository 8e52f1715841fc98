from __future__ import annotations

import bz2
import gzip
import lzma
import pickle
import zipfile
import zlib
from pathlib import Path

import joblib
import numpy as np
import pytest
import skops.io
from skl2onnx import to_onnx
from sklearn.linear_model import LinearRegression

from slipway.training.errors import FormatRefused
from slipway.training.formats import ONNX, SKOPS, sniff


@pytest.fixture(scope="module")
def estimator() -> LinearRegression:
    return LinearRegression().fit(np.eye(3), [1.0, 2.0, 3.0])


def test_an_onnx_file_is_known_whatever_it_is_called(tmp_path: Path, estimator: LinearRegression) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(to_onnx(estimator, np.eye(3, dtype=np.float32)).SerializeToString())
    assert sniff(path) == ONNX


def test_a_truncated_onnx_file_is_not_one(tmp_path: Path, estimator: LinearRegression) -> None:
    data = to_onnx(estimator, np.eye(3, dtype=np.float32)).SerializeToString()
    path = tmp_path / "model.onnx"
    path.write_bytes(data[: len(data) // 2])
    assert sniff(path) is None


def test_a_skops_file_is_known_whatever_it_is_called(tmp_path: Path, estimator: LinearRegression) -> None:
    path = tmp_path / "model.onnx"
    skops.io.dump(estimator, path)
    assert sniff(path) == SKOPS


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_of_any_protocol_is_refused(tmp_path: Path, estimator: LinearRegression, protocol: int) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(pickle.dumps(estimator, protocol=protocol))
    with pytest.raises(FormatRefused, match=r"model.onnx is a pickle.*save_model"):
        sniff(path)


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)])
def test_a_joblib_file_is_refused_however_it_is_compressed(tmp_path: Path, compress: object) -> None:
    path = tmp_path / "model.skops"
    joblib.dump(LinearRegression().fit(np.ones((5000, 3)) * np.arange(3), np.arange(5000)), path, compress=compress)
    with pytest.raises(FormatRefused, match="pickle"):
        sniff(path)


def test_a_pytorch_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps({}))
    with pytest.raises(FormatRefused, match="PyTorch"):
        sniff(path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello, world\n",
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"PAR1" + bytes(20) + b"PAR1",
        gzip.compress(b"a,b\n1,2\n", mtime=0),
        bz2.compress(b"a,b\n1,2\n"),
        lzma.compress(b"a,b\n1,2\n"),
        zlib.compress(b"a,b\n1,2\n"),
        b"\x1f\x8b broken",
        b"{}",
        bytes(4096),
    ],
)
def test_other_content_is_no_model_and_harmless(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    assert sniff(path) is None


def test_a_plain_zip_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert sniff(path) is None
