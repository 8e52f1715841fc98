"""What cannot be is refused by the API server, in words that name the field and the rule."""

import json

import pytest

from tests.integration.api import resources as r
from tests.integration.api.server import Server

HEX = r.HEX
GIT = r.git
BAD: dict[str, tuple[r.Manifest, list[str]]] = {
    # ModelBuild
    "two sources at once": (
        r.model_build(source={"configMap": {"name": "a"}, "s3": {"uri": "s3://a/b"}}),
        ["spec.source", "exactly one of configMap, s3, git, image"],
    ),
    "no source": (r.model_build(source={}), ["spec.source", "exactly one of configMap, s3, git, image"]),
    "source forgotten": (
        {**r.model_build(), "spec": {"trainer": {"entrypoint": "a:b"}}},
        ["spec.source", "Required value"],
    ),
    "spec forgotten": ({k: v for k, v in r.model_build().items() if k != "spec"}, ["spec", "Required value"]),
    "source.image without an image": (
        r.model_build(source={"image": {}}, trainer={"command": ["train"]}),
        ["spec", "trainer.image: required with source.image"],
    ),
    "source.image with an empty image": (
        r.model_build(source={"image": {}}, trainer={"command": ["train"], "image": ""}),
        ["trainer.image: required with source.image"],
    ),
    "nothing to run": (r.trainer(params={"a": 1}), ["spec.trainer", "give an entrypoint"]),
    "entrypoint and command": (r.trainer(entrypoint="a:b", command=["x"]), ["spec.trainer", "entrypoint or command, not both"]),
    "entrypoint and args": (r.trainer(entrypoint="a:b", args=["x"]), ["spec.trainer", "by params"]),
    "entrypoint without a colon": (r.trainer(entrypoint="train-main"), ["spec.trainer.entrypoint", "train:main"]),
    "entrypoint as a file": (r.trainer(entrypoint="train.py:main()"), ["spec.trainer.entrypoint", "module:attribute"]),
    "entrypoint of a path": (r.trainer(entrypoint="src/train:main"), ["spec.trainer.entrypoint", "module:attribute"]),
    "image with a space": (r.trainer(entrypoint="a:b", image="train :1"), ["spec.trainer.image", "white space"]),
    "memory in megabytes": (
        r.trainer(entrypoint="a:b", resources={"limits": {"memory": "512MB"}}),
        ["spec.trainer.resources.limits", "not a quantity", "512Mi"],
    ),
    "params as a list": (r.trainer(entrypoint="a:b", params=["C=1"]), ["spec.trainer.params"]),
    "a gate without a metric": (r.gate(min=0.9), ["spec.evaluation.gates[0].metric", "Required value"]),
    "a gate without a bound": (r.gate(metric="auc"), ["spec.evaluation.gates[0]", "exactly one of min, max, noWorseThan"]),
    "a gate with two bounds": (r.gate(metric="auc", min=0, max=1), ["gates[0]", "exactly one of min, max, noWorseThan"]),
    "tolerance without a comparison": (r.gate(metric="auc", min=0, tolerance=1), ["gates[0]", "tolerance goes with noWorseThan"]),
    "negative tolerance": (r.gate(metric="a", noWorseThan="champion", tolerance=-1), ["tolerance", "greater than or equal to 0"]),
    "direction without a comparison": (r.gate(metric="auc", max=0, lowerIsBetter=True), ["lowerIsBetter goes with noWorseThan"]),
    "a gate against a version": (r.gate(metric="auc", noWorseThan="7"), ["noWorseThan", "look like a version"]),
    "a bound as text": (r.gate(metric="auc", min="0.9"), ["spec.evaluation.gates[0].min", "numeric"]),
    "a metric with a space": (r.gate(metric="roc auc", min=0), ["spec.evaluation.gates[0].metric", "letters, digits"]),
    "onMissing misspelt": (
        r.model_build(evaluation={"gates": [{"metric": "a", "min": 0}], "onMissing": "ignore"}),
        ["spec.evaluation.onMissing", '"Fail", "Ignore"'],
    ),
    "a cron of four fields": (r.model_build(schedule={"cron": "0 3 * *"}), ["spec.schedule.cron", "five fields"]),
    "a cron of seconds": (r.model_build(schedule={"cron": "0 0 3 * * *"}), ["spec.schedule.cron", "five fields"]),
    "a schedule without a time": (
        r.model_build(schedule={"timeZone": "Europe/Berlin"}),
        ["spec.schedule.cron", "Required value"],
    ),
    "a zone that is a path": (
        r.model_build(schedule={"cron": "@daily", "timeZone": "../etc/passwd"}),
        ["spec.schedule.timeZone", "Europe/Berlin"],
    ),
    "a policy of CronJob's": (
        r.model_build(schedule={"cron": "@daily", "concurrencyPolicy": "Allow"}),
        ["concurrencyPolicy", '"Forbid", "Replace"'],
    ),
    "a debounce below zero": (r.model_build(triggers={"debounceSeconds": -1}), ["spec.triggers.debounceSeconds"]),
    "an alias like v7": (r.model_build(promotion={"alias": "v7"}), ["spec.promotion.alias", "look like a version"]),
    "an alias like 7": (r.model_build(promotion={"alias": "7"}), ["spec.promotion.alias", "look like a version"]),
    "an alias in capitals": (r.model_build(promotion={"alias": "Champion"}), ["spec.promotion.alias", "lower-case"]),
    "the alias latest": (r.model_build(promotion={"alias": "latest"}), ["spec.promotion.alias", "choose another"]),
    "an alias of 64 characters": (r.model_build(promotion={"alias": "a" * 64}), ["spec.promotion.alias", "63"]),
    "promotion without an alias": (r.model_build(promotion={"approval": "Manual"}), ["spec.promotion.alias", "Required value"]),
    "approval misspelt": (r.model_build(promotion={"alias": "a", "approval": "manual"}), ["approval", '"Automatic", "Manual"']),
    "a model of another namespace": (r.model_build(model="other/cancer"), ["spec.model", "own namespace only"]),
    "a model in capitals": (r.model_build(model="Cancer"), ["spec.model", "lower-case"]),
    "an input without s3://": (
        r.model_build(inputs=[{"name": "a", "s3": {"uri": "data/train.parquet"}}]),
        ["spec.inputs[0].s3.uri", "s3://bucket/key"],
    ),
    "a bucket alone": (r.model_build(source={"s3": {"uri": "s3://code"}}), ["spec.source.s3.uri", "s3://bucket/prefix/"]),
    "an https URL for s3": (
        r.model_build(source={"s3": {"uri": "https://s3.example.com/b/k"}}),
        ["spec.source.s3.uri", "s3://bucket/key"],
    ),
    "an input's name that climbs": (
        r.model_build(inputs=[{"name": "../etc", "s3": {"uri": "s3://a/b"}}]),
        ["spec.inputs[0].name", "letters, digits"],
    ),
    "an input of two kinds": (
        r.model_build(inputs=[{"name": "a", "s3": {"uri": "s3://a/b"}, "featureView": {"name": "v"}}]),
        ["spec.inputs[0]", "exactly one of s3, featureView, featureSnapshot"],
    ),
    "an input of no kind": (r.model_build(inputs=[{"name": "a"}]), ["exactly one of s3, featureView, featureSnapshot"]),
    "an asOf without a zone": (
        r.model_build(inputs=[{"name": "a", "featureView": {"name": "v", "asOf": "2026-11-01T00:00:00"}}]),
        ["spec.inputs[0].featureView.asOf", "2026-11-01T00:00:00Z, Latest, or EntityTime"],
    ),
    "EntityTime without entities": (
        r.model_build(inputs=[{"name": "a", "featureView": {"name": "v", "asOf": "EntityTime"}}]),
        ["spec.inputs[0].featureView", "need entities"],
    ),
    "several views without entities": (
        r.model_build(inputs=[{"name": "a", "featureView": {"names": ["v", "w"]}}]),
        ["spec.inputs[0].featureView", "need entities"],
    ),
    "a view's name in capitals": (
        r.model_build(inputs=[{"name": "a", "featureView": {"name": "Visits"}}]),
        ["spec.inputs[0].featureView.name", "visits:pages"],
    ),
    "33 inputs": (
        r.model_build(inputs=[{"name": f"i{n}", "s3": {"uri": "s3://a/b"}} for n in range(33)]),
        ["spec.inputs", "32"],
    ),
    "git by scp syntax": (GIT(url="git@example.com:a/b.git"), ["spec.source.git.url", "ssh://git@host/path"]),
    "git from the operator's own disk": (GIT(url="file:///etc"), ["spec.source.git.url", "https://"]),
    "a password in the URL": (GIT(url="https://me:secret@example.com/a.git"), ["spec.source.git.url", "leave the password out"]),
    "a ref that is an option": (GIT(ref="--upload-pack=x"), ["spec.source.git.ref", "branch, a tag or a commit"]),
    "a path that climbs": (GIT(path="a/../../b"), ["spec.source.git.path", "inside the repository"]),
    "an absolute path": (GIT(path="/etc"), ["spec.source.git.path", "inside the repository"]),
    "no time at all": (r.model_build(deadlineSeconds=0), ["spec.deadlineSeconds", "greater than or equal to 1"]),
    "a deadline as text": (r.model_build(deadlineSeconds="1h"), ["spec.deadlineSeconds", "numeric"]),
    "eleven retries": (r.model_build(retry={"limit": 11}), ["spec.retry.limit", "less than or equal to 10"]),
    "negative back-off": (r.model_build(retry={"backoffSeconds": -1}), ["spec.retry.backoffSeconds", "greater than or equal"]),
    "a name of 51 characters": (r.model_build("a" * 51), ["metadata.name", "at most 50 characters"]),
    "a name with a dot": (r.model_build("a.b"), ["metadata.name", "no dots"]),
    # AppBuild
    "two app sources": (
        r.app_build(source={"configMap": {"name": "a"}, "git": {"url": "https://e.com/a"}}),
        ["spec.source", "exactly one of configMap, s3, git"],
    ),
    "an image without a registry": (r.app_build(output={"repository": "ml/api"}), ["spec.output.repository", "registry's host"]),
    "a repository with a tag": (
        r.app_build(output={"repository": "registry.example.com/ml/api:1"}),
        ["spec.output.repository", "without tag or digest"],
    ),
    "a repository in capitals": (
        r.app_build(output={"repository": "registry.example.com/ML/api"}),
        ["spec.output.repository", "lower-case"],
    ),
    "a repository with a scheme": (
        r.app_build(output={"repository": "https://registry.example.com/ml"}),
        ["spec.output.repository", "registry's host"],
    ),
    "no repository": (r.app_build(output={}), ["spec.output.repository", "Required value"]),
    "a base without a registry": (
        r.app_build(base={"image": "python:3.12"}),
        ["spec.base.image", "docker.io/library/python:3.12"],
    ),
    "a base with half a digest": (
        r.app_build(base={"image": f"docker.io/library/python@sha256:{HEX[:-1]}"}),
        ["spec.base.image", "64 characters"],
    ),
    "an option among requirements": (r.app_build(requirements=["--index-url=x"]), ["spec.requirements[0]", "only packages"]),
    "two packages in one line": (r.app_build(requirements=["a\nb"]), ["spec.requirements[0]", "one package"]),
    "an app entrypoint without a class": (r.app_build(entrypoint="app"), ["spec.entrypoint", "app:Service"]),
    # ModelDeployment
    "alias and version": (
        r.model_deployment(model={"name": "m", "alias": "champion", "version": 7}),
        ["spec.model", "exactly one of alias, version"],
    ),
    "neither alias nor version": (r.model_deployment(model={"name": "m"}), ["spec.model", "exactly one of alias, version"]),
    "version as an alias": (r.model_deployment(model={"name": "m", "alias": "v7"}), ["spec.model.alias", "look like a version"]),
    "version 0": (r.model_deployment(model={"name": "m", "version": 0}), ["spec.model.version", "greater than or equal to 1"]),
    "a reference in the name": (
        r.model_deployment(model={"name": "m@champion", "version": 7}),
        ["spec.model.name", "NAMESPACE/NAME"],
    ),
    "a name of three parts": (r.model_deployment(model={"name": "a/b/c", "version": 7}), ["spec.model.name", "NAMESPACE/NAME"]),
    "app and image": (
        r.model_deployment(app={"name": "a", "image": f"r.example.com/a@sha256:{HEX}"}),
        ["spec.app", "exactly one of name, image"],
    ),
    "app without anything": (r.model_deployment(app={}), ["spec.app", "exactly one of name, image"]),
    "an app image by tag": (r.model_deployment(app={"image": "r.example.com/a:1"}), ["spec.app.image", "by digest"]),
    "a digest of the wrong length": (
        r.model_deployment(app={"image": f"r.example.com/a@sha256:{HEX}0"}),
        ["spec.app.image", "64 characters"],
    ),
    "an app image without a registry": (
        r.model_deployment(app={"image": f"a@sha256:{HEX}"}),
        ["spec.app.image", "registry's host"],
    ),
    "negative replicas": (r.model_deployment(replicas=-1), ["spec.replicas", "greater than or equal to 0"]),
    "replicas as text": (r.model_deployment(replicas="two"), ["spec.replicas", "numeric"]),
    "a password in the open": (
        r.model_deployment(onlineStore={"url": "redis://:secret@redis:6379/0"}),
        ["spec.onlineStore.url", "put a URL with a password into a Secret"],
    ),
    "an online store that is none": (
        r.model_deployment(onlineStore={"url": "http://redis"}),
        ["spec.onlineStore.url", "redis://"],
    ),
    "two online stores": (
        r.model_deployment(onlineStore={"url": "redis://redis", "secretRef": {"name": "a"}}),
        ["spec.onlineStore", "give one of url, secretRef"],
    ),
    "no time to become ready": (r.model_deployment(progressDeadlineSeconds=0), ["spec.progressDeadlineSeconds", "equal to 1"]),
    "autoscaling without a target": (r.model_deployment(autoscaling={"max": 3}), ["autoscaling: give targetCPUPercent"]),
    "autoscaling upside down": (
        r.model_deployment(autoscaling={"min": 4, "max": 3, "targetRequestsPerSecond": 5}),
        ["autoscaling: min must not be above max"],
    ),
    "a share of no CPU": (
        r.model_deployment(autoscaling={"max": 3, "targetCPUPercent": 70}),
        ["autoscaling.targetCPUPercent needs resources.requests.cpu"],
    ),
    "canary without steps": (r.rollout(steps=[]), ["spec.rollout", "Canary needs steps"]),
    "weights that fall": (
        r.rollout(steps=[{"weight": 50}, {"weight": 20}]),
        ["spec.rollout", "weights must not fall"],
    ),
    "a weight of nothing": (r.rollout(steps=[{"weight": 0}]), ["spec.rollout.steps[0].weight", "greater than or equal to 1"]),
    "a weight above all": (r.rollout(steps=[{"weight": 101}]), ["spec.rollout.steps[0].weight", "less than or equal to 100"]),
    "steps of blue-green": (
        r.rollout(strategy="BlueGreen", steps=[{"weight": 10}]),
        ["spec.rollout", "only strategies Canary and Shadow have steps"],
    ),
    "shadow without steps": (r.rollout(strategy="Shadow", steps=[]), ["spec.rollout", "Shadow needs steps"]),
    "agreement of a canary": (
        r.rollout(gates=[{"name": "same", "agreement": {"min": 0.9}}]),
        ["spec.rollout", "agreement go with strategy Shadow only"],
    ),
    "a tolerance of a canary": (r.rollout(shadow={"tolerance": 0.1}), ["spec.rollout", "go with strategy Shadow only"]),
    "agreement without a bound": (
        r.rollout(strategy="Shadow", gates=[{"name": "same", "agreement": {}}]),
        ["spec.rollout.gates[0].agreement", "exactly one of min, maxDistance"],
    ),
    "agreement above all": (
        r.rollout(strategy="Shadow", gates=[{"name": "same", "agreement": {"min": 95}}]),
        ["spec.rollout.gates[0].agreement.min", "less than or equal to 1"],
    ),
    "agreement after the promotion": (
        r.rollout(strategy="Shadow", watch={"for": "5m", "gates": [{"name": "same", "agreement": {"min": 0.9}}]}),
        ["spec.rollout", "leave agreement out of watch.gates"],
    ),
    "a watch of agreement alone": (
        r.rollout(strategy="Shadow", gates=[{"name": "same", "agreement": {"min": 0.9}}], watch={"for": "5m"}),
        ["spec.rollout", "there is no gate to watch"],
    ),
    "a strategy that does not exist": (r.rollout(strategy="Mirror"), ["spec.rollout.strategy", 'supported values: "Canary"']),
    "a gateway without a parent": (
        r.model_deployment(traffic={"gateway": {"parentRefs": []}}),
        ["spec.traffic.gateway.parentRefs", "at least 1"],
    ),
    "a gateway in capitals": (
        r.model_deployment(traffic={"gateway": {"parentRefs": [{"name": "Web"}]}}),
        ["spec.traffic.gateway.parentRefs[0].name", "lower-case"],
    ),
    "a host name with a path": (
        r.model_deployment(traffic={"gateway": {"parentRefs": [{"name": "web"}], "hostnames": ["a.example.com/m"]}}),
        ["spec.traffic.gateway.hostnames[0]", "models.example.com"],
    ),
    "a hold without a unit": (r.rollout(steps=[{"weight": 10, "hold": "60"}]), ["hold: write a length of time as 30s"]),
    "a hold in days": (r.rollout(steps=[{"weight": 10, "hold": "1d"}]), ["hold: write a length of time as 30s"]),
    "a gate that measures nothing": (r.rollout(gates=[{"name": "g"}]), ["spec.rollout.gates", "exactly one of errorRate"]),
    "a gate that measures two things": (
        r.rollout(gates=[{"name": "g", "errorRate": {"max": 0.1}, "drift": {"maxPSI": 0.2}}]),
        ["exactly one of errorRate"],
    ),
    "a latency gate without a bound": (
        r.rollout(gates=[{"name": "g", "latency": {}}]),
        ["latency needs maxMilliseconds, or compare"],
    ),
    "a comparison without a bound": (
        r.rollout(gates=[{"name": "g", "errorRate": {}, "compare": {}}]),
        ["compare needs maxDifference or maxRatio"],
    ),
    "a query that is compared": (
        r.rollout(gates=[{"name": "g", "promql": {"query": "up", "max": 1}, "compare": {"maxRatio": 2}}]),
        ["compare goes with errorRate and latency only"],
    ),
    "an error rate in per cent": (
        r.rollout(gates=[{"name": "g", "errorRate": {"max": 5}}]),
        ["errorRate.max", "less than or equal to 1"],
    ),
    "two gates of one name": (
        r.rollout(gates=[{"name": "g", "errorRate": {"max": 0.1}}, {"name": "g", "errorRate": {"max": 0.2}}]),
        ["spec.rollout.gates", "duplicate entries"],
    ),
    "a watch of nothing": (r.rollout(watch={"for": "5m"}), ["there is no gate to watch"]),
    "a watch without an end": (
        r.rollout(watch={"gates": [{"name": "g", "errorRate": {"max": 0.1}}]}),
        ["spec.rollout.watch.for", "Required value"],
    ),
    "a deadline for what nobody approves": (
        r.model_build(promotion={"alias": "champion", "approvalDeadlineSeconds": 60}),
        ["spec.promotion", "goes with approval: Manual only"],
    ),
    "no time to approve": (
        r.model_build(promotion={"alias": "champion", "approval": "Manual", "approvalDeadlineSeconds": 0}),
        ["spec.promotion.approvalDeadlineSeconds", "greater than or equal to 1"],
    ),
    # FeatureView
    "a view of nothing": (r.feature_view(features=[]), ["spec.features", "at least 1"]),
    "a view of nobody": (r.feature_view(entities=[]), ["spec.entities", "at least 1"]),
    "a key of floating point": (
        r.feature_view(entities=[{"name": "user", "type": "float64"}]),
        ["spec.entities[0].type", 'supported values: "bool", "int32"'],
    ),
    "a type that does not exist": (
        r.feature_view(features=[{"name": "pages", "type": "int46"}]),
        ["spec.features[0].type", "int46", '"int64"'],
    ),
    "a column with a space": (r.feature_view(features=[{"name": "a b"}]), ["spec.features[0].name", "letters, digits and '_'"]),
    "a column of Slipway's own": (
        r.feature_view(features=[{"name": "_slipway_row"}]),
        ["spec.features[0].name", "Slipway's own"],
    ),
    "a feature twice": (r.feature_view(features=[{"name": "a"}, {"name": "a"}]), ["spec.features", "duplicate entries"]),
    "a feature that is a key": (r.feature_view(features=[{"name": "user"}]), ["spec", "the name of an entity key"]),
    "a feature that is the time": (r.feature_view(features=[{"name": "event_time"}]), ["spec", "eventTime is the name of"]),
    "one column for both times": (r.feature_view(createdTime="event_time"), ["spec", "createdTime is the name of another"]),
    "a time to live of zero": (r.feature_view(ttl="0d"), ["spec.ttl", "leave ttl out"]),
    "a time to live without unit": (r.feature_view(ttl="30"), ["spec.ttl", "write 30d"]),
    "a time to live as a number": (r.feature_view(ttl=30), ["spec.ttl", "string"]),
    "two sources of a view": (
        r.feature_view(source={"delta": "s3://a/b", "sql": "SELECT 1", "views": ["x"]}),
        ["spec.source", "exactly one of delta, sql"],
    ),
    "SQL that says not of what": (r.feature_view(source={"sql": "SELECT 1"}), ["spec.source", "name the feature views"]),
    "a table on somebody's laptop": (r.feature_view(source={"delta": "file:///t"}), ["spec.source.delta", "s3://bucket/folder"]),
    "a view's name of 64 characters": (r.feature_view("a" * 64), ["metadata.name", "at most 63 characters"]),
    "a name that no Service can have": (r.model_deployment("7days"), ["metadata.name", "a letter first"]),
}

LATER = {
    "queueName": r.model_build(queueName="q"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_by_name(server: Server, case: str) -> None:
    manifest, words = BAD[case]
    answer = server.apply(manifest)
    assert not answer.ok
    for word in words:
        assert word in answer.words


@pytest.mark.parametrize("field", LATER)
def test_a_field_without_behaviour_is_refused_rather_than_ignored(server: Server, field: str) -> None:
    answer = server.apply(LATER[field])
    assert not answer.ok
    assert field in answer.words
    assert "not declared in schema" in answer.words


@pytest.mark.parametrize("field", LATER)
def test_client_side_apply_refuses_it_too(server: Server, field: str) -> None:
    answer = server.kubectl("apply", "--dry-run=server", "-f", "-", given=json.dumps(LATER[field]))
    assert not answer.ok
    assert f'unknown field "spec.{field}"' in answer.words


def test_the_dockerfile_strategy_is_refused_with_what_there_is(server: Server) -> None:
    answer = server.apply(r.app_build(strategy="Dockerfile"))
    assert not answer.ok
    assert 'supported values: "Layers"' in answer.words


def test_an_input_twice_is_refused(server: Server) -> None:
    twice = r.model_build(inputs=[{"name": "a", "s3": {"uri": "s3://a/b"}}, {"name": "a", "s3": {"uri": "s3://a/c"}}])
    for options in ([], ["--server-side"]):
        answer = server.kubectl("apply", *options, "--dry-run=server", "-f", "-", given=json.dumps(twice))
        assert not answer.ok
        assert "uplicate" in answer.words
        assert "spec.inputs" in answer.words
