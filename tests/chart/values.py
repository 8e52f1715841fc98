"""Values that people install the chart with. Each must give objects that a real API server takes."""

from __future__ import annotations

from tests.chart.helm import Values

TRIAL: Values = {
    "store": {"accessKey": "trial", "secretKey": "trial-secret"},
    "tenants": ["team-a", "team-b"],
    "embedded": {"seaweedfs": {"enabled": True}, "registry": {"enabled": True}},
}
MATRIX: dict[str, Values] = {
    "nothing said": {},
    "a trial with everything inside": TRIAL,
    "a trial that keeps its data": {
        **TRIAL,
        "embedded": {
            "seaweedfs": {"enabled": True, "persistence": {"enabled": True, "size": "1Gi"}},
            "registry": {"enabled": True, "service": {"type": "ClusterIP"}, "persistence": {"enabled": True, "size": "1Gi"}},
        },
    },
    "a store elsewhere": {
        "image": {"registry": "registry.example.com:5000/slipway", "pullSecret": "pull"},
        "registry": {"uri": "s3://models.example.com/team/slipway"},
        "store": {"endpoint": "https://s3.example.com", "region": "eu-central-1", "existingSecret": "s3"},
    },
    "workload identity": {
        "store": {"podSecret": ""},
        "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/slipway"}},
        "serviceAccounts": {"training": "trainer", "serving": "server"},
    },
    "images by digest": {"image": {"operator": {"digest": "sha256:" + "0" * 64}, "serving": {"tag": "1.2.3"}}},
    "two namespaces only": {"watchNamespaces": ["team-a", "team-b"], "rbac": {"aggregateRoles": False}},
    "two replicas": {"operator": {"replicas": 2}},
    "no leader": {"operator": {"replicas": 1, "leaderElect": False}},
    "not working for now": {"operator": {"replicas": 0}},
    "rights made by somebody else": {
        "rbac": {"create": False},
        "serviceAccount": {"create": False, "name": "made-before"},
        "crds": {"enabled": False},
    },
    "a platform that gives user ids": {"podSecurity": {"runAsUser": None, "runAsGroup": None, "fsGroup": None}},
    "watched and walled in": {
        "metrics": {"serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}},
        "networkPolicy": {
            "enabled": True,
            "extraEgress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 9000}]}],
        },
    },
    "everything about the pod": {
        "operator": {
            "logLevel": "DEBUG",
            "logFormat": "text",
            "workers": 1,
            "storeThreads": 1,
            "resyncSeconds": 0.5,
            "aliasPollSeconds": 1,
            "healthPort": 9090,
            "resources": {"requests": {"cpu": 1}, "limits": {"memory": "1Gi"}},
            "podAnnotations": {"a": "b"},
            "podLabels": {"c": "d"},
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "tolerations": [{"key": "x", "operator": "Exists"}],
            "affinity": {"nodeAffinity": {}},
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": "zone",
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {"matchLabels": {"a": "b"}},
                }
            ],
            "priorityClassName": "system-cluster-critical",
            "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
            "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
            "extraVolumeMounts": [{"name": "ca", "mountPath": "/ca"}],
        }
    },
    "all that pods are told": {
        "readGrants": [{"from": "team-a", "to": "shared"}, {"from": "team-b", "to": "shared"}],
        "insecureRegistries": ["registry.local:5000", "10.0.0.1:5000"],
        "packageIndexUrl": "https://packages.example.com/simple",
        "prometheus": {"url": "http://prometheus.monitoring:9090"},
        "formats": {"trustedTypes": ["my.Estimator", "sklearn.tree._tree.Tree"]},
        "nodeCache": {"hostPath": "/var/lib/slipway/models", "size": "50Gi", "namespaces": ["team-a", "team-b"]},
    },
}

PEM = "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n"
MATRIX["proof, pages and lineage"] = {
    "provenance": {"verification": "signed", "publicKeys": PEM, "signingKey": {"secret": "signing"}},
    "openLineage": {"url": "http://marquez:5000", "namespacePrefix": "prod/", "apiKey": {"secret": "lineage"}},
    "notifications": {
        "url": "https://hooks.example.com/slipway",
        "source": "https://prod.example.com",
        "header": {"name": "X-Token", "secret": "hook", "key": "token"},
    },
    "web": {
        "enabled": True,
        "replicas": 2,
        "namespace": "team-a",
        "publicUrl": "https://models.example.com",
        "storeSecret": "reader",
        "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/reader"}},
    },
    "networkPolicy": {"enabled": True},
}

BAD: dict[str, tuple[Values, list[str]]] = {
    "a value that is not there": ({"replicas": 2}, ["replicas"]),
    "a value in the wrong place": ({"operator": {"image": "x"}}, ["operator", "image"]),
    "replicas as text": ({"operator": {"replicas": "two"}}, ["operator.replicas", "integer"]),
    "negative replicas": ({"operator": {"replicas": -1}}, ["operator.replicas"]),
    "half a digest": ({"image": {"operator": {"digest": "sha256:abc"}}}, ["image.operator.digest"]),
    "an image registry with a scheme": ({"image": {"registry": "https://registry.example.com"}}, ["image.registry"]),
    "a registry without a scheme": ({"registry": {"uri": "slipway"}}, ["registry.uri"]),
    "a registry in a folder": ({"registry": {"uri": "file:///models"}}, ["registry.uri"]),
    "an endpoint without a scheme": ({"store": {"endpoint": "s3.example.com"}}, ["store.endpoint"]),
    "a log format that is not there": ({"operator": {"logFormat": "xml"}}, ["operator.logFormat", "json"]),
    "a log level in lower case": ({"operator": {"logLevel": "info"}}, ["operator.logLevel", "INFO"]),
    "a pull policy misspelt": ({"image": {"pullPolicy": "Sometimes"}}, ["image.pullPolicy", "IfNotPresent"]),
    "a namespace in capitals": ({"watchNamespaces": ["Team"]}, ["watchNamespaces.0"]),
    "a grant without a side": ({"readGrants": [{"from": "a"}]}, ["readGrants.0", "to"]),
    "a port of the system": ({"operator": {"healthPort": 80}}, ["operator.healthPort", "want 1,024"]),
    "two replicas without a leader": (
        {"operator": {"replicas": 2, "leaderElect": False}},
        ["operator.replicas", "operator.leaderElect=true"],
    ),
    "signatures without a key to check them with": (
        {"provenance": {"verification": "signed"}},
        ["provenance.verification", "provenance.publicKeys"],
    ),
    "a policy that is not there": ({"provenance": {"verification": "strict"}}, ["provenance.verification", "signed"]),
    "a key that is none": ({"provenance": {"publicKeys": "ssh-ed25519 AAAA"}}, ["provenance.publicKeys"]),
    "a webhook without a scheme": ({"notifications": {"url": "hooks.example.com"}}, ["notifications.url"]),
    "a header with a space in it": ({"notifications": {"header": {"name": "X Token"}}}, ["notifications.header.name"]),
    "a receiver without a scheme": ({"openLineage": {"url": "marquez:5000"}}, ["openLineage.url"]),
    "a public address without a scheme": ({"web": {"publicUrl": "models.example.com"}}, ["web.publicUrl"]),
    "half of the keys": ({"store": {"accessKey": "a"}}, ["store.accessKey and store.secretKey together"]),
    "keys twice": (
        {"store": {"accessKey": "a", "secretKey": "b", "existingSecret": "c"}},
        ["store.existingSecret", "not both"],
    ),
    "an embedded store without keys": ({"embedded": {"seaweedfs": {"enabled": True}}}, ["store.accessKey"]),
    "two stores": (
        {**TRIAL, "store": {"accessKey": "a", "secretKey": "b", "endpoint": "https://s3.example.com"}},
        ["store.endpoint", "embedded.seaweedfs.enabled"],
    ),
    "tenants without keys": ({"tenants": ["a"]}, ["tenants", "store.accessKey"]),
    "tenants without a name for their Secret": (
        {"tenants": ["a"], "store": {"accessKey": "a", "secretKey": "b", "podSecret": ""}},
        ["tenants", "store.podSecret"],
    ),
    "a tenant that nobody watches": ({**TRIAL, "watchNamespaces": ["team-a"]}, ["team-b", "watchNamespaces"]),
    "a monitor of nothing": (
        {"metrics": {"service": {"enabled": False}, "serviceMonitor": {"enabled": True}}},
        ["metrics.serviceMonitor", "metrics.service.enabled=true"],
    ),
}
"""Values that cannot work, and words that must be in the refusal."""
