{{/* The operator's settings: see operator/slipway/settings.py. What is empty keeps its default there. */}}
{{- define "slipway.env" -}}
{{- $op := .Values.operator -}}
- name: SLIPWAY_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: SLIPWAY_REGISTRY
  value: {{ .Values.registry.uri | quote }}
- name: SLIPWAY_TRAINING_IMAGE
  value: {{ include "slipway.image" (list . "training") | quote }}
- name: SLIPWAY_SERVING_IMAGE
  value: {{ include "slipway.image" (list . "serving") | quote }}
- name: SLIPWAY_IMAGE_PULL_POLICY
  value: {{ .Values.image.pullPolicy | quote }}
{{- with .Values.image.pullSecret }}
- name: SLIPWAY_IMAGE_PULL_SECRET
  value: {{ . | quote }}
{{- end }}
{{- with include "slipway.storeEndpoint" . }}
# For the operator itself, and for the pods that it makes.
- name: AWS_ENDPOINT_URL_S3
  value: {{ . | quote }}
- name: SLIPWAY_STORE_ENDPOINT
  value: {{ . | quote }}
{{- end }}
- name: AWS_REGION
  value: {{ .Values.store.region | quote }}
- name: SLIPWAY_STORE_REGION
  value: {{ .Values.store.region | quote }}
- name: SLIPWAY_STORE_SECRET
  value: {{ .Values.store.podSecret | quote }}
{{- with .Values.watchNamespaces }}
- name: SLIPWAY_WATCH_NAMESPACES
  value: {{ join "," . | quote }}
{{- end }}
{{- with .Values.readGrants }}
- name: SLIPWAY_READ_GRANTS
  value: {{ toJson . | quote }}
{{- end }}
{{- with include "slipway.insecureRegistries" . }}
- name: SLIPWAY_INSECURE_REGISTRIES
  value: {{ . | quote }}
{{- end }}
{{- with .Values.packageIndexUrl }}
- name: SLIPWAY_PACKAGE_INDEX_URL
  value: {{ . | quote }}
{{- end }}
{{- with .Values.prometheus.url }}
- name: SLIPWAY_PROMETHEUS_URL
  value: {{ . | quote }}
{{- end }}
{{- with .Values.formats.trustedTypes }}
- name: SLIPWAY_TRUSTED_TYPES
  value: {{ join "," . | quote }}
{{- end }}
{{- with .Values.nodeCache }}
{{- if .hostPath }}
- name: SLIPWAY_NODE_CACHE_PATH
  value: {{ .hostPath | quote }}
- name: SLIPWAY_NODE_CACHE_SIZE
  value: {{ .size | quote }}
- name: SLIPWAY_NODE_CACHE_NAMESPACES
  value: {{ join "," .namespaces | quote }}
{{- end }}
{{- end }}
- name: SLIPWAY_VERIFICATION
  value: {{ .Values.provenance.verification | quote }}
{{- with .Values.provenance.publicKeys }}
- name: SLIPWAY_PUBLIC_KEYS
  value: {{ . | quote }}
{{- end }}
{{- if .Values.provenance.signingKey.secret }}
- name: SLIPWAY_SIGNING_KEY
  value: /etc/slipway/signing/key.pem
{{- end }}
{{- with .Values.notifications.url }}
- name: SLIPWAY_WEBHOOK_URL
  value: {{ . | quote }}
- name: SLIPWAY_WEBHOOK_SOURCE
  value: {{ $.Values.notifications.source | quote }}
{{- with $.Values.notifications.header.secret }}
- name: SLIPWAY_WEBHOOK_HEADER
  value: {{ $.Values.notifications.header.name | quote }}
- name: SLIPWAY_WEBHOOK_SECRET
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: {{ $.Values.notifications.header.key }}
{{- end }}
{{- end }}
{{- with .Values.openLineage.url }}
- name: SLIPWAY_OPENLINEAGE_URL
  value: {{ . | quote }}
- name: SLIPWAY_OPENLINEAGE_NAMESPACE
  value: {{ $.Values.openLineage.namespacePrefix | quote }}
{{- with $.Values.openLineage.apiKey.secret }}
- name: SLIPWAY_OPENLINEAGE_API_KEY
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: {{ $.Values.openLineage.apiKey.key }}
{{- end }}
{{- end }}
- name: SLIPWAY_TRAINING_SERVICE_ACCOUNT
  value: {{ .Values.serviceAccounts.training | quote }}
- name: SLIPWAY_SERVING_SERVICE_ACCOUNT
  value: {{ .Values.serviceAccounts.serving | quote }}
- name: SLIPWAY_WORKERS
  value: {{ $op.workers | quote }}
- name: SLIPWAY_STORE_THREADS
  value: {{ $op.storeThreads | quote }}
- name: SLIPWAY_RESYNC_SECONDS
  value: {{ $op.resyncSeconds | quote }}
- name: SLIPWAY_ALIAS_POLL_SECONDS
  value: {{ $op.aliasPollSeconds | quote }}
- name: SLIPWAY_INDEX_SECONDS
  value: {{ $op.indexSeconds | quote }}
- name: SLIPWAY_GC_ENABLED
  value: {{ .Values.gc.enabled | quote }}
- name: SLIPWAY_GC_SECONDS
  value: {{ .Values.gc.intervalSeconds | quote }}
- name: SLIPWAY_GC_GRACE_HOURS
  value: {{ .Values.gc.graceHours | quote }}
- name: SLIPWAY_LEADER_ELECT
  value: {{ $op.leaderElect | quote }}
- name: SLIPWAY_HEALTH_PORT
  value: {{ $op.healthPort | quote }}
- name: SLIPWAY_LOG_LEVEL
  value: {{ $op.logLevel | quote }}
- name: SLIPWAY_LOG_FORMAT
  value: {{ $op.logFormat | quote }}
{{- end -}}
