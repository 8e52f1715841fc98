"""What the pages say, and what the service refuses."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from starlette.testclient import TestClient

from slipway.features import ingested, parse
from slipway.features.summary import Summary
from slipway.features.views import Views
from slipway.registry.registry import Registry
from slipway.storage.files import FileStore
from slipway.storage.memory import MemoryStore
from slipway.web.app import application
from slipway.web.settings import WebOptionInvalid, WebOptions
from tests.integration.web import feature_sample
from tests.integration.web.sample import NAME, Sample

MODEL = f"/models/{NAME}"


def page(client: TestClient, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status, answer.text
    return str(answer.text)


def test_models_with_what_they_are_used_for(client: TestClient) -> None:
    text = page(client, "/")
    for words in ("breast-cancer", "wine-quality", "churn", "champion <b>12</b>", "default/screening-app", "not deployed"):
        assert words in text
    assert "wine-quality" not in page(client, "/?q=cancer")
    assert "No model" in page(client, "/?q=zebra")


def test_a_model_with_versions_aliases_and_its_metrics_for_the_plot(client: TestClient) -> None:
    text = page(client, MODEL)
    assert '"roc_auc": [0.99' in text
    assert "approved after a look at the report" in text
    assert f"{MODEL}/versions/14" in text
    older = page(client, f"{MODEL}?before=3")
    assert '/versions/2">2</a>' in older
    assert f'<th scope="row"><a href="{MODEL}/versions/3"' not in older


def test_a_version_with_all_that_is_known_of_it(client: TestClient) -> None:
    text = page(client, f"{MODEL}/versions/12")
    facts = [
        "0.996808",
        "s3://data/breast-cancer/train.parquet",
        "455 rows",
        "lbfgs",
        "FP32",
        "roc.html",
        "train.log",
        "CycloneDX",
    ]
    for words in [*facts, "in-toto, SLSA v1", "@champion", "default/screening-app", "scikit-learn"]:
        assert words in text, words


def test_two_versions_side_by_side(client: TestClient) -> None:
    text = page(client, f"{MODEL}/compare?a=9&b=12")
    assert "roc_auc" in text
    assert re.search(r"\+0\.000\d+", text)
    assert "give two versions" in page(client, f"{MODEL}/compare?a=9", 404)


def test_search_and_its_mistakes(client: TestClient) -> None:
    found = page(client, "/search?q=metrics.roc_auc+%3E+0.9967")
    assert "default/breast-cancer:12" in found
    assert "default/breast-cancer:1<" not in found
    assert 'role="alert"' in page(client, "/search?q=metrics.roc_auc+%3E+%3E", 400)


def test_feature_views_with_rows_and_freshness(client: TestClient) -> None:
    text = page(client, "/features")
    for words in ("visits", "5 features", "newest event", "default/churn", "newest is 2"):
        assert words in text, words
    assert "No view" in page(client, "/features?q=zebra")


def test_a_view_with_its_ingestions_and_columns(client: TestClient) -> None:
    text = page(client, "/features/default/visits")
    for words in ("What users did on the site", "Freshness over time", "FeatureView default/visits", "30d"):
        assert words in text, words
    assert text.count('class="place"') == feature_sample.INGESTIONS
    assert "spent, double; histogram from" in text
    assert "country, string; most frequent: de, fr" in text
    assert "not a number and not a word" in text, "a list has no picture, and that is said"
    bad_day = page(client, "/features/default/visits?version=23")
    assert "table version 23" in bad_day
    missing = [float(found) for found in re.findall(r"([0-9.]+) % missing", bad_day)]
    assert 45 < max(missing) < 55, "half of the countries"
    assert 0 < max(float(found) for found in re.findall(r"([0-9.]+) % missing", text)) < 20


def test_a_snapshot_with_what_it_was_made_from(client: TestClient) -> None:
    assert client.get("/features/default/churn/snapshots").headers["location"] == "/features/default/churn/snapshots/2"
    text = page(client, "/features/default/churn/snapshots/2")
    for words in ("label: bought", "EntityTime", "/features/default/visits", "bought, bool; histogram", "/churn/snapshots/1"):
        assert words in text, words


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/features/default/nothing", "no feature view default/nothing"),
        ("/features/default/visit", "Did you mean default/visits"),
        ("/features/default/visits?version=999", "table version 999 is not among"),
        ("/features/default/churn/snapshots/9", "it has 1 to 2"),
        ("/features/default/churn/snapshots/x", "not the number of a snapshot"),
        ("/features/default/none/snapshots", "it has none"),
        ("/features/Default/visits", "lower-case"),
    ],
)
def test_what_is_not_in_the_feature_store_is_said_not_to_be(client: TestClient, path: str, words: str) -> None:
    assert words in page(client, path, 404)


def test_names_and_values_in_features_are_text_and_never_markup(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    store = FileStore(tmp_path)
    view = parse({**feature_sample.VIEW.to_dict(), "description": evil, "tags": {"x": evil}})
    revision = Views(store).apply("default", view, by=evil, writer="w", now=lambda: datetime.now(UTC))
    summary = Summary(view)
    rows = feature_sample.rows(1, datetime.now(UTC))
    place = rows.column_names.index("country")
    summary.add(rows.set_column(place, "country", pa.array([evil] * rows.num_rows)))
    ingested.record(store, summary.ingestion(revision, 1, datetime.now(UTC)))
    with TestClient(application(Registry(store), WebOptions())) as client:
        text = page(client, "/features/default/visits")
    assert evil not in text
    assert "&lt;script&gt;" in text


def test_what_is_deployed_where(client: TestClient) -> None:
    text = page(client, "/deployments")
    assert "ModelDeployment" in text
    assert f"{MODEL}/versions/9" in text


def test_an_alias_has_an_address_that_lasts(client: TestClient) -> None:
    answer = client.get(f"{MODEL}@champion")
    assert (answer.status_code, answer.headers["location"]) == (302, f"{MODEL}/versions/12")


@pytest.mark.parametrize(
    "path",
    [
        "/models/default/nothing",
        f"{MODEL}/versions/99",
        f"{MODEL}/versions/seven",
        f"{MODEL}/versions/12/raw/../../../etc/passwd",
        f"{MODEL}/versions/12/raw/model.onnx",
        f"{MODEL}/versions/12/reports/none.html",
        f"{MODEL}@winner",
        "/models/UPPER/x",
        "/nothing",
        "/static/../app.py",
    ],
)
def test_what_is_not_there_is_a_page_that_says_so(client: TestClient, path: str) -> None:
    assert "All models" in page(client, path, 404)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed(client: TestClient, method: str) -> None:
    assert client.request(method, MODEL).status_code == 405
    assert client.request(method, "/api/2.0/mlflow/registered-models/create").status_code == 403


def test_names_that_hold_markup_are_shown_as_text() -> None:
    sample = Sample(MemoryStore())
    evil = '<script>alert("x")</script>'
    sample.version("default/m", 1, params={evil: evil}, tags={"<b>": evil}, builder=evil, reason=evil, metrics={evil: 1.0})
    sample.registry.move_alias("default/m", "champion", 1, by=evil, reason=evil)
    with TestClient(application(sample.registry, WebOptions())) as client:
        for path in ("/", "/models/default/m", "/models/default/m/versions/1", "/search?q=" + evil):
            assert "<script>alert" not in client.get(path).text


def test_files_of_a_build_never_have_our_origin(client: TestClient) -> None:
    raw = client.get(f"{MODEL}/versions/12/raw/roc.html")
    assert raw.headers["content-security-policy"].startswith("sandbox allow-scripts; default-src 'none'")
    assert "allow-same-origin" not in raw.headers["content-security-policy"]
    saved = client.get(f"{MODEL}/versions/12/files/model.onnx")
    assert saved.headers["content-disposition"].startswith("attachment")
    for answer in (raw, saved, client.get("/")):
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_store_that_is_down_is_said_and_not_ready(tmp_path: Path) -> None:
    store = MemoryStore()

    def down(*_: object) -> None:
        from slipway.storage.port import Unavailable

        raise Unavailable("no route to the store")

    store.before = down
    with TestClient(application(Registry(store), WebOptions())) as client:
        assert "no route to the store" in page(client, "/", 503)
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200
        answer = client.get("/api/2.0/mlflow/registered-models/search")
        assert (answer.status_code, answer.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")


def test_a_version_of_a_newer_slipway_hides_no_other(tmp_path: Path) -> None:
    sample = Sample(FileStore(tmp_path))
    for number in (1, 2):
        sample.version("default/m", number)
    sample.version("default/n", 1)
    key = "models/default/m/versions/000000000002.json"
    sample.store.put(key, sample.store.get(key).data.replace(b'"schemaVersion":1', b'"schemaVersion":9'))
    with TestClient(application(Registry(sample.store), WebOptions())) as client:
        home = page(client, "/")
        assert "upgrade slipway" in home
        assert '<a href="/models/default/n">' in home
        model = page(client, "/models/default/m")
        assert '/versions/1">1</a>' in model
        assert "version 2: " in model
        assert "upgrade slipway" in model
        found = client.get("/api/2.0/mlflow/registered-models/search").json()
        assert [one["name"] for one in found["registered_models"]] == ["n"]
        versions = client.get("/api/2.0/mlflow/model-versions/search", params={"filter": "name='m'"}).json()
        assert [one["version"] for one in versions["model_versions"]] == ["1"]


def test_altered_bytes_are_not_handed_out(tmp_path: Path) -> None:
    sample = Sample(FileStore(tmp_path))
    record = sample.version("default/m", 1)
    sample.store.put(sample.registry.blobs.key(record.files[0].digest), b"altered")
    with TestClient(application(sample.registry, WebOptions())) as client:
        assert "corrupt" in page(client, "/models/default/m/versions/1/files/model.onnx", 500)
        answer = client.get("/api/2.0/mlflow-artifacts/artifacts/default/m/1/model.onnx")
        assert (answer.status_code, answer.json()["error_code"]) == (500, "INTERNAL_ERROR")


@pytest.mark.parametrize(
    ("given", "words"), [({"port": 70000}, "--port"), ({"public_url": "slipway.example.com"}, "--public-url")]
)
def test_wrong_options_are_named(given: dict[str, object], words: str) -> None:
    with pytest.raises(WebOptionInvalid, match=words):
        WebOptions(**given)  # type: ignore[arg-type]


def test_behind_a_proxy_artifacts_have_the_public_address(registry: Registry) -> None:
    options = WebOptions(public_url="https://ml.example.com/slipway/")
    with TestClient(application(registry, options)) as client:
        answer = client.get("/api/2.0/mlflow/model-versions/get-download-uri", params={"name": "breast-cancer", "version": "1"})
    uri = answer.json()["artifact_uri"]
    assert uri == "https://ml.example.com/slipway/api/2.0/mlflow-artifacts/artifacts/default/breast-cancer/1"
