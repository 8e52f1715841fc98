"""Small valid resources, to be spoiled in one place by each test."""

from __future__ import annotations

import copy
from typing import Any

Manifest = dict[str, Any]
HEX = "3f9a" * 16


def _resource(kind: str, name: str, spec: Manifest) -> Manifest:
    return {
        "apiVersion": "slipway.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": copy.deepcopy(spec),
    }


def model_build(name: str = "breast-cancer", **spec: Any) -> Manifest:
    given = {"source": {"configMap": {"name": "train"}}, "trainer": {"entrypoint": "train:main"}}
    return _resource("ModelBuild", name, {**given, **spec})


def app_build(name: str = "api", **spec: Any) -> Manifest:
    given = {"source": {"configMap": {"name": "app"}}, "output": {"repository": "registry.example.com/ml/api"}}
    return _resource("AppBuild", name, {**given, **spec})


def model_deployment(name: str = "web", **spec: Any) -> Manifest:
    return _resource("ModelDeployment", name, {"model": {"name": "breast-cancer", "alias": "champion"}, **spec})


def feature_view(name: str = "visits", **spec: Any) -> Manifest:
    return _resource("FeatureView", name, {"entities": [{"name": "user"}], "features": [{"name": "pages"}], **spec})


def rollout(**fields: Any) -> Manifest:
    return model_deployment(rollout={"strategy": "Canary", "steps": [{"weight": 10}]} | fields)


def gate(**fields: Any) -> Manifest:
    return model_build(evaluation={"gates": [fields]})


def trainer(**fields: Any) -> Manifest:
    return model_build(trainer=fields)


def git(**fields: Any) -> Manifest:
    return model_build(source={"git": {"url": "https://example.com/a.git", **fields}})


def full_model_build() -> Manifest:
    """Every field of spec that a ModelBuild may have beside each other."""
    return model_build(
        model="tumours",
        source={"git": {"url": "https://git.example.com/ml/code.git", "ref": "main", "path": "training/cancer"}},
        trainer={
            "image": "registry.example.com/ml/trainer:1",
            "entrypoint": "pkg.train:main",
            "params": {"C": 0.3, "seed": 7, "on": True, "name": "x"},
            "resources": {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"nvidia.com/gpu": 1, "memory": "1Gi"}},
            "podTemplate": {"spec": {"nodeSelector": {"gpu": "yes"}, "tolerations": [{"operator": "Exists"}]}},
        },
        inputs=[
            {"name": "train", "s3": {"uri": "s3://data/breast-cancer.parquet"}},
            {"name": "extra_1", "s3": {"uri": "s3://data/folder/"}},
        ],
        evaluation={
            "gates": [
                {"metric": "roc_auc", "min": 0.95},
                {"metric": "loss", "max": 1},
                {"metric": "roc_auc", "noWorseThan": "champion", "tolerance": 0.005},
                {"metric": "val/loss", "noWorseThan": "champion", "lowerIsBetter": True},
            ],
            "onMissing": "Ignore",
        },
        promotion={"alias": "champion", "approval": "Manual", "approvalDeadlineSeconds": 86400},
        retry={"limit": 0, "backoffSeconds": 1},
        deadlineSeconds=60,
        suspend=True,
        rebuild="2026-11-03",
    )


def full_app_build() -> Manifest:
    return app_build(
        source={"s3": {"uri": "s3://code/app.tar.gz"}},
        entrypoint="app:Service",
        base={"image": f"localhost:5000/slipway-serving@sha256:{HEX}"},
        requirements=["pandas==2.3.*", "requests[socks]>=2; python_version < '3.13'"],
        output={"repository": "10.200.0.1:5000/ml/team_a/api", "credentialsSecret": "registry-login"},
        strategy="Layers",
        retry={"limit": 10},
        deadlineSeconds=86400,
        suspend=False,
        rebuild="x",
    )


def full_feature_view() -> Manifest:
    return feature_view(
        description="visits of users",
        entities=[{"name": "user", "type": "string", "description": "who"}, {"name": "day", "type": "date"}],
        eventTime="happened",
        createdTime="known",
        ttl="1d12h",
        features=[
            {"name": "pages", "type": "int64", "description": "pages seen"},
            {"name": "embedding", "type": "list<float32>"},
        ],
        source={"sql": "SELECT * FROM raw_visits", "views": ["raw-visits", "others"]},
        tags={"team": "web"},
    )


def full_model_deployment() -> Manifest:
    return model_deployment(
        model={"name": "research/breast.cancer", "version": 7},
        app={"image": f"registry.example.com:5000/ml/api:1@sha256:{HEX}"},
        replicas=0,
        resources={"limits": {"memory": "256Mi"}, "requests": {"cpu": "100m"}},
        autoscaling={"min": 2, "max": 1000, "targetCPUPercent": 70, "targetRequestsPerSecond": 500},
        onlineStore={"secretRef": {"name": "redis", "key": "url"}, "missingFeatures": "Null", "otherDefinition": "Flag"},
        podTemplate={"metadata": {"annotations": {"a": "b"}}, "spec": {"priorityClassName": "high"}},
        progressDeadlineSeconds=1,
        traffic={
            "gateway": {
                "parentRefs": [{"name": "web", "namespace": "infra", "sectionName": "http", "port": 80}, {"name": "internal"}],
                "hostnames": ["models.example.com", "*.ml.example.com"],
            }
        },
        rollout={
            "strategy": "Canary",
            "steps": [{"weight": 5, "hold": "1h30m", "approval": "Manual"}, {"weight": 5}, {"weight": 100, "hold": "0s"}],
            "approval": "Manual",
            "interval": "5s",
            "rollbackWindow": "1h",
            "gates": [
                {"name": "errors", "errorRate": {"max": 0.01, "countClientErrors": True}, "minRequests": 50, "onNoData": "Fail"},
                {"name": "latency", "latency": {"quantile": 0.9}, "compare": {"maxDifference": 5, "maxRatio": 1.5}},
                {"name": "drift", "drift": {"maxPSI": 0.2}, "window": "5m", "onNoData": "Pass"},
                {"name": "q", "promql": {"query": "up", "min": 0.5, "max": 2}},
            ],
            "watch": {"for": "30m", "rollback": False, "gates": [{"name": "e", "errorRate": {"max": 0.05}}]},
        },
    )
