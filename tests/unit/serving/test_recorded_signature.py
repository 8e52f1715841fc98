"""What the record says of a model's inputs and outputs is held against the file before the model serves."""

from __future__ import annotations

import pytest

from slipway.serving.errors import StartError
from slipway.serving.formats.known import completed
from slipway.serving.signature import Signature, Tensor

OWN = Signature((Tensor("X", "FP32", (-1, 30)),), (Tensor("label", "INT64", (-1,)), Tensor("probabilities", "FP32", (-1, 2))))


@pytest.mark.parametrize(
    "said",
    [
        Signature((), ()),
        Signature((Tensor("X", "FP32", (-1, 30)),), (Tensor("label", "INT64", (-1,)),)),
        Signature((Tensor("X", "FP32", (-1, -1)),), ()),
        Signature((Tensor("X", "FP32", (16, 30)),), ()),
    ],
)
def test_what_agrees_is_served_as_the_file_says(said: Signature) -> None:
    assert completed(OWN, said).inputs == OWN.inputs
    assert completed(OWN, said).outputs == OWN.outputs


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (Signature((Tensor("features", "FP32", (-1, 30)),), ()), "input 'features', the model file has X"),
        (Signature((Tensor("X", "FP64", (-1, 30)),), ()), r"'X' is FP64 \[-1, 30\], in the model file it is FP32 \[-1, 30\]"),
        (Signature((Tensor("X", "FP32", (-1, 13)),), ()), r"in the model file it is FP32 \[-1, 30\]"),
        (Signature((Tensor("X", "FP32", (-1,)),), ()), "register it again"),
        (Signature((), (Tensor("score", "FP32", (-1,)),)), "output 'score', the model file has label, probabilities"),
        (Signature((), (Tensor("probabilities", "FP32", (-1, 3)),)), "output 'probabilities'"),
    ],
)
def test_what_contradicts_the_file_is_refused_and_named(said: Signature, words: str) -> None:
    with pytest.raises(StartError, match=words):
        completed(OWN, said)


def test_a_file_that_does_not_say_takes_what_is_recorded_of_columns() -> None:
    open_own = Signature((Tensor("X", "FP64", (-1, -1)),), ())
    assert completed(open_own, Signature((), (Tensor("y", "FP64", (-1,)),), ("a", "b"))).columns == ("a", "b")
