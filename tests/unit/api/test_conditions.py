from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.api import conditions
from slipway.api.conditions import AVAILABLE, READY, RECONCILING, STALLED, Condition, Status, find, merge

MORNING = datetime(2026, 11, 3, 8, 0, 0, 123456, tzinfo=UTC)
NOON = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)


def condition(kind: str, status: Status = "True", reason: str = "Building", message: str = "", generation: int = 1) -> Condition:
    return Condition(type=kind, status=status, reason=reason, message=message, observed_generation=generation)


def test_a_new_condition_begins_now_in_whole_seconds() -> None:
    (ready,) = merge([], [condition(READY)], MORNING)
    assert ready.last_transition_time == MORNING.replace(microsecond=0)


def test_the_transition_time_stays_when_only_reason_message_and_generation_change() -> None:
    old = merge([], [condition(READY, "False", "Building", "attempt 1", 1)], MORNING)
    (ready,) = merge(old, [condition(READY, "False", "Retrying", "attempt 2", 2)], NOON)
    assert ready.last_transition_time == MORNING.replace(microsecond=0)
    assert (ready.reason, ready.message, ready.observed_generation) == ("Retrying", "attempt 2", 2)


def test_the_transition_time_moves_when_the_status_changes() -> None:
    old = merge([], [condition(READY, "False")], MORNING)
    (ready,) = merge(old, [condition(READY, "True")], NOON)
    assert ready.last_transition_time == NOON


@pytest.mark.parametrize("kind", [RECONCILING, STALLED])
@pytest.mark.parametrize("status", ["False", "Unknown"])
def test_reconciling_and_stalled_are_left_out_unless_true(kind: str, status: Status) -> None:
    old = merge([], [condition(READY), condition(kind)], MORNING)
    assert [c.type for c in old] == [READY, kind]
    assert [c.type for c in merge(old, [condition(READY), condition(kind, status)], NOON)] == [READY]


def test_a_reconciling_that_comes_back_begins_anew() -> None:
    first = merge([], [condition(RECONCILING)], MORNING)
    gone = merge(first, [], NOON)
    assert gone == ()
    again = merge(gone, [condition(RECONCILING)], NOON)
    found = find(again, RECONCILING)
    assert found is not None
    assert found.last_transition_time == NOON


@given(st.permutations([READY, AVAILABLE, RECONCILING, STALLED]))
def test_the_order_does_not_depend_on_the_order_given(kinds: list[str]) -> None:
    merged = merge([], [condition(kind) for kind in kinds], NOON)
    assert [c.type for c in merged] == [READY, AVAILABLE, RECONCILING, STALLED]
    assert merge(merged, [condition(kind) for kind in reversed(kinds)], MORNING) == merged


def test_find_gives_none_for_a_type_that_is_not_there() -> None:
    assert find([condition(READY)], STALLED) is None


def test_every_reason_constant_is_documented_under_its_own_word() -> None:
    words = {
        name: value
        for name, value in vars(conditions).items()
        if name.isupper() and isinstance(value, str) and not name.startswith("_") and value not in conditions.TYPES
    }
    for name, word in words.items():
        if word in conditions.REASONS:
            entry = conditions.REASONS[word]
            assert entry.meaning.endswith("."), name
            assert entry.kinds <= {"ModelBuild", "AppBuild", "ModelDeployment", "FeatureView"}, name
        else:
            assert word in conditions.BUILD_REASONS, name
    assert set(conditions.REASONS) <= set(words.values())


def test_reasons_are_camel_case_words_that_fit_the_schema() -> None:
    for word in [*conditions.REASONS, *conditions.BUILD_REASONS]:
        assert word[0].isupper(), word
        assert word.isalnum(), word
        assert len(word) <= 64, word
