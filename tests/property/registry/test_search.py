"""Whatever the index has and has not, search finds what a look at each record would find."""

from __future__ import annotations

from hashlib import sha256

from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.registry import Registry
from slipway.registry.columns import Segment, row_of
from slipway.registry.index import SEGMENTS
from slipway.registry.query import matching, parse
from slipway.registry.records import FileEntry, VersionDraft
from slipway.storage.memory import MemoryStore

FILE = FileEntry(path="m", digest="sha256:" + "0" * 64, size=1)
names = st.sampled_from(["a", "b", "C"])
values = st.one_of(st.integers(-3, 3), st.booleans(), st.sampled_from(["x", "2", "true"]), st.floats(-3, 3))
events = st.one_of(
    st.tuples(st.just("register"), st.sampled_from(["ns/a", "ns/b"]), st.dictionaries(names, values, max_size=3)),
    st.sampled_from([("index",), ("rebuild",), ("lose segment",)]),
)
fields = names.map(lambda name: f"params.{name}")
literals = st.sampled_from(["1", "-2.5", "true", "'x'", "'2'", "false"])
comparisons = st.one_of(
    st.builds("{} {} {}".format, fields, st.sampled_from(["=", "!=", "<", ">=", ">"]), literals),
    st.builds("{} is {}null".format, fields, st.sampled_from(["", "not "])),
    st.builds("{} in ({}, {})".format, fields, literals, literals),
    st.builds("version > {}".format, st.integers(0, 4)),
)
expressions = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("not {}".format, inner),
    ),
    max_leaves=5,
)


@given(history=st.lists(events, max_size=14), expression=expressions)
@settings(max_examples=150, deadline=None)
def test_search_finds_what_is_there(history: list[tuple[object, ...]], expression: str) -> None:
    store = MemoryStore()
    registry = Registry(store)
    records = []
    for number, event in enumerate(history):
        match event:
            case ("register", model, params):
                build = "sha256:" + sha256(str(number).encode()).hexdigest()
                draft = VersionDraft(model=str(model), build_id=build, reason="t", files=(FILE,), format="onnx", params=params)  # type: ignore[arg-type]
                records.append(registry.register(draft, check=False))
            case ("index",):
                registry.update_index()
            case ("rebuild",):
                registry.update_index(afresh=True)
            case _:
                for info in list(store.list(SEGMENTS))[:1]:
                    store.delete(info.key)
                registry = Registry(store)
    rows = Segment.of([row_of(record) for record in records])
    expected = {f"{records[n].model}:{records[n].version}" for n in matching(parse(expression), rows.column, rows.rows)}
    result = registry.search(expression, limit=1000)
    assert {hit.ref for hit in result.hits} == expected
    assert result.total == len(result.hits) == len(expected)
    for hit in result.hits:
        record = next(r for r in records if f"{r.model}:{r.version}" == hit.ref)
        assert (hit.params, hit.created_at, hit.digest) == (record.params, record.created_at, record.digest)
