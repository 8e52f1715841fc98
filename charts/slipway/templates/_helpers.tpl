{{/* Name of everything that belongs to the release. */}}
{{- define "slipway.fullname" -}}
{{- if contains "slipway" .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-slipway" .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "slipway.selectorLabels" -}}
app.kubernetes.io/name: slipway
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "slipway.webSelectorLabels" -}}
app.kubernetes.io/name: slipway
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: web
{{- end -}}

{{- define "slipway.labels" -}}
app.kubernetes.io/name: slipway
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: slipway
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "slipway.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "slipway.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* One of the three images: list of the root context and operator, training or serving. */}}
{{- define "slipway.image" -}}
{{- $root := index . 0 -}}
{{- $image := get $root.Values.image (index . 1) -}}
{{- $name := $image.name -}}
{{- if $root.Values.image.registry -}}
{{- $name = printf "%s/%s" (trimSuffix "/" $root.Values.image.registry) $image.name -}}
{{- end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $name $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name ($image.tag | default $root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* URL of the store: the given one, the embedded one, or none for AWS. */}}
{{- define "slipway.storeEndpoint" -}}
{{- if .Values.store.endpoint -}}
{{- .Values.store.endpoint -}}
{{- else if .Values.embedded.seaweedfs.enabled -}}
{{- printf "http://%s-seaweedfs.%s.svc:8333" (include "slipway.fullname" .) .Release.Namespace -}}
{{- end -}}
{{- end -}}

{{/* Name of the operator's own store Secret, or nothing when it has an identity of its own. */}}
{{- define "slipway.storeSecret" -}}
{{- if .Values.store.existingSecret -}}
{{- .Values.store.existingSecret -}}
{{- else if .Values.store.accessKey -}}
{{- printf "%s-store" (include "slipway.fullname" .) -}}
{{- end -}}
{{- end -}}

{{/* Address of the embedded image registry for pods. */}}
{{- define "slipway.embeddedRegistry" -}}
{{- printf "%s-registry.%s.svc:5000" (include "slipway.fullname" .) .Release.Namespace -}}
{{- end -}}

{{- define "slipway.insecureRegistries" -}}
{{- $hosts := .Values.insecureRegistries -}}
{{- if .Values.embedded.registry.enabled -}}
{{- $hosts = append $hosts (include "slipway.embeddedRegistry" .) -}}
{{- end -}}
{{- join "," $hosts -}}
{{- end -}}

{{/* Security context of the operator's and the embedded services' pods: Pod Security "restricted". */}}
{{- define "slipway.podSecurityContext" -}}
runAsNonRoot: true
{{- with .Values.podSecurity }}
{{- if not (kindIs "invalid" .runAsUser) }}
runAsUser: {{ int64 .runAsUser }}
{{- end }}
{{- if not (kindIs "invalid" .runAsGroup) }}
runAsGroup: {{ int64 .runAsGroup }}
{{- end }}
{{- if not (kindIs "invalid" .fsGroup) }}
fsGroup: {{ int64 .fsGroup }}
fsGroupChangePolicy: OnRootMismatch
{{- end }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "slipway.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Values that fit their schema and still cannot work together. */}}
{{- define "slipway.validate" -}}
{{- $store := .Values.store -}}
{{- if and (gt (int .Values.operator.replicas) 1) (not .Values.operator.leaderElect) -}}
{{- fail "operator.replicas: more than one replica needs operator.leaderElect=true, or all of them would act at once" -}}
{{- end -}}
{{- if and (eq .Values.provenance.verification "signed") (not .Values.provenance.publicKeys) -}}
{{- fail "provenance.verification: signed needs provenance.publicKeys, or no version would ever be rolled out" -}}
{{- end -}}
{{- if ne (empty $store.accessKey) (empty $store.secretKey) -}}
{{- fail "store: give store.accessKey and store.secretKey together" -}}
{{- end -}}
{{- if and $store.existingSecret $store.accessKey -}}
{{- fail "store: give store.existingSecret, or store.accessKey and store.secretKey, not both" -}}
{{- end -}}
{{- if and .Values.embedded.seaweedfs.enabled (not $store.accessKey) -}}
{{- fail "embedded.seaweedfs: choose its credentials with store.accessKey and store.secretKey" -}}
{{- end -}}
{{- if and .Values.embedded.seaweedfs.enabled $store.endpoint -}}
{{- fail "store.endpoint: leave it empty with embedded.seaweedfs.enabled=true, or switch that off" -}}
{{- end -}}
{{- if .Values.tenants -}}
{{- if not $store.accessKey -}}
{{- fail "tenants: the chart can make Secrets from store.accessKey and store.secretKey only; with store.existingSecret make one in each namespace yourself" -}}
{{- end -}}
{{- if not $store.podSecret -}}
{{- fail "tenants: store.podSecret is empty, so there is no Secret to make" -}}
{{- end -}}
{{- end -}}
{{- if .Values.watchNamespaces -}}
{{- range .Values.tenants -}}
{{- if not (has . $.Values.watchNamespaces) -}}
{{- fail (printf "tenants: %s is not among watchNamespaces, so the operator would never look at it" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
