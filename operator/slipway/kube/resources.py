"""The kinds that Slipway reads or writes."""

from __future__ import annotations

from slipway.kube.port import Resource

GROUP = "slipway.dev"
VERSION = "v1alpha1"

MODEL_BUILD = Resource(GROUP, VERSION, "ModelBuild", "modelbuilds")
APP_BUILD = Resource(GROUP, VERSION, "AppBuild", "appbuilds")
MODEL_DEPLOYMENT = Resource(GROUP, VERSION, "ModelDeployment", "modeldeployments")
FEATURE_VIEW = Resource(GROUP, VERSION, "FeatureView", "featureviews")

CONFIG_MAP = Resource("", "v1", "ConfigMap", "configmaps")
SECRET = Resource("", "v1", "Secret", "secrets")
SERVICE = Resource("", "v1", "Service", "services")
SERVICE_ACCOUNT = Resource("", "v1", "ServiceAccount", "serviceaccounts")
POD = Resource("", "v1", "Pod", "pods")
NAMESPACE = Resource("", "v1", "Namespace", "namespaces", namespaced=False)
JOB = Resource("batch", "v1", "Job", "jobs")
DEPLOYMENT = Resource("apps", "v1", "Deployment", "deployments")
POD_DISRUPTION_BUDGET = Resource("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets")
HORIZONTAL_POD_AUTOSCALER = Resource("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
HTTP_ROUTE = Resource("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes")
SCALED_OBJECT = Resource("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects")
LEASE = Resource("coordination.k8s.io", "v1", "Lease", "leases")
EVENT = Resource("events.k8s.io", "v1", "Event", "events")
SELF_SUBJECT_REVIEW = Resource("authentication.k8s.io", "v1", "SelfSubjectReview", "selfsubjectreviews", namespaced=False)
"""Created, not stored: the answer's status tells who asks."""

BY_KIND = {
    resource.kind: resource
    for resource in (
        MODEL_BUILD,
        APP_BUILD,
        MODEL_DEPLOYMENT,
        FEATURE_VIEW,
        CONFIG_MAP,
        SECRET,
        SERVICE,
        SERVICE_ACCOUNT,
        POD,
        NAMESPACE,
        JOB,
        DEPLOYMENT,
        POD_DISRUPTION_BUDGET,
        HORIZONTAL_POD_AUTOSCALER,
        HTTP_ROUTE,
        SCALED_OBJECT,
        LEASE,
        EVENT,
        SELF_SUBJECT_REVIEW,
    )
}
"""The kinds above by their names, which are unique among them."""
