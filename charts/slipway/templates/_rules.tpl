{{/* What the operator may do where it looks after resources. One reason for each rule; no Secrets, no wildcards. */}}
{{- define "slipway.rules" -}}
# Why: the wishes of people. They are watched and read, and never written: spec belongs to its author.
- apiGroups: [slipway.dev]
  resources: [modelbuilds, appbuilds, modeldeployments, featureviews]
  verbs: [get, list, watch]
# Why: what became of a wish is written to its status, by server-side apply.
- apiGroups: [slipway.dev]
  resources: [modelbuilds/status, appbuilds/status, modeldeployments/status, featureviews/status]
  verbs: [patch]
# Why: owner references with blockOwnerDeletion, where the cluster checks them (admission OwnerReferencesPermissionEnforcement).
# A FeatureView owns nothing.
- apiGroups: [slipway.dev]
  resources: [modelbuilds/finalizers, appbuilds/finalizers, modeldeployments/finalizers]
  verbs: [update]
# Why: each attempt of a ModelBuild or AppBuild is a Job. create and patch: server-side apply. delete: an attempt that is
# no longer wanted. watch: to know at once that one ended.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
# Why: each revision of a ModelDeployment is a Deployment. delete: a revision that was replaced or given up. watch: to know
# at once that one became ready.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
# Why: each ModelDeployment has a Service. It is made and changed; its owner's deletion removes it.
- apiGroups: [""]
  resources: [services]
  verbs: [get, create, patch]
# Why: spec.autoscaling is a HorizontalPodAutoscaler of the stable revision. delete: when spec asks for it no more.
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, create, patch, delete]
# Why: with KEDA, spec.autoscaling.targetRequestsPerSecond is a ScaledObject. delete: when spec asks for it no more.
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [get, create, patch, delete]
# Why: spec.traffic.gateway is an HTTPRoute. get: what gateways answer for it, and one that is left over. create and patch: it
# and its weights, by server-side apply. delete: when spec asks for it no more. Gateways themselves are not read.
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, create, patch, delete]
# Why: with two or more replicas a drain of nodes takes one pod at a time. delete: when there is one replica again.
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, create, patch, delete]
# Why: code may lie in a ConfigMap, which is read by its name. No list, no watch: the others are none of our business.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get]
# Why: why a Job or a revision does not get going is seen in its pods only (image, memory, scheduling).
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
# Why: the log of an attempt that was killed before it could store it is kept as an artifact.
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
# Why: changes are told as events on the resource.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end -}}
