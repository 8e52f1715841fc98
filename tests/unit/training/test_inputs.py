from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from slipway.training.inputs import Input, Inputs


def parquet(path: Path, values: list[int]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame({"a": values}).to_parquet(path)
    return path


def test_one_object_is_its_file(tmp_path: Path) -> None:
    file = parquet(tmp_path / "train" / "data.parquet", [1, 2])
    given = Input("train", tmp_path / "train")
    assert given.path == file
    assert given.files == (file,)
    assert list(given.read_parquet()["a"]) == [1, 2]


def test_several_objects_are_read_as_one_table_in_order_of_path(tmp_path: Path) -> None:
    parquet(tmp_path / "day=2" / "b.parquet", [3])
    parquet(tmp_path / "day=1" / "a.parquet", [1, 2])
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / "day=1" / ".a.parquet.crc").write_bytes(b"x")
    given = Input("train", tmp_path)
    table = given.read_parquet(columns=["a"])
    assert given.path == tmp_path
    assert list(table["a"]) == [1, 2, 3]
    assert list(table.index) == [0, 1, 2]


def test_csv_and_tab_separated_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "b.tsv").write_text("x\ty\n3\t4\n")
    assert Input("train", tmp_path).read_csv().to_dict("list") == {"x": [1, 3], "y": [2, 4]}


def test_a_file_without_an_ending_is_read_as_asked(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x\n1\n")
    assert list(Input("train", tmp_path).read_csv()["x"]) == [1]


def test_the_wrong_reader_names_what_is_there_and_the_right_one(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("x\n1\n")
    with pytest.raises(
        FileNotFoundError, match=r"input 'train' \(s3://b/data.csv\) has no Parquet file, but data.csv: use read_csv"
    ):
        Input("train", tmp_path, uri="s3://b/data.csv").read_parquet()


def test_an_unknown_input_names_the_nearest_one(tmp_path: Path) -> None:
    inputs = Inputs({"train": Input("train", tmp_path)})
    with pytest.raises(KeyError, match="did you mean 'train'"):
        inputs["trian"]
    assert "other" not in inputs
    assert len(inputs) == 1
