{{/* A Role in a namespace (or a ClusterRole, with namespace "-") and its binding to an account.
Takes root, name, namespace, account, rules and, for hooks, annotations. */}}
{{- define "nestling.role" -}}
{{- $kind := ternary "ClusterRole" "Role" (eq .namespace "-") }}
{{- $name := ternary (printf "%s:%s" .root.Release.Namespace .name) .name (eq .namespace "-") }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}
metadata:
  {{- include "nestling.metadata" (dict "root" .root "name" $name "namespace" .namespace "annotations" .annotations) | nindent 2 }}
rules:
  {{- .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  {{- include "nestling.metadata" (dict "root" .root "name" $name "namespace" .namespace "annotations" .annotations) | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $kind }}
  name: {{ $name }}
subjects:
  - kind: ServiceAccount
    name: {{ .account }}
    namespace: {{ .root.Release.Namespace }}
{{- end -}}

{{/* Where rights are given, as JSON: the namespaces that are served, or "-" for all. */}}
{{- define "nestling.places" -}}
{{- if eq .Values.scope "cluster" -}}
["-"]
{{- else -}}
{{- include "nestling.namespaces" . -}}
{{- end -}}
{{- end -}}

{{/* Rules for the Leases of these roles. Takes root and plays. Creating cannot be confined to names. */}}
{{- define "nestling.leases" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames:
    {{- range $role := .plays }}
    {{- if eq $role "kubelet" }}
    {{- range $shard := until (include "nestling.shards" $.root | int) }}
    - nestling-leader-kubelet-{{ $shard }}
    {{- end }}
    {{- else }}
    - nestling-leader-{{ $role }}
    {{- end }}
    {{- end }}
  verbs: [get, update, patch]
{{- end -}}

{{/* Rules for the release's own namespace: Leases of leaders, and a look at the namespace itself, by which a pod
that is stopped learns that it goes with its namespace. Takes root and plays. */}}
{{- define "nestling.own" -}}
{{- if .root.Values.leaderElection.enabled }}
{{- include "nestling.leases" . }}
{{ end }}
{{- if has "controllers" .plays }}
- apiGroups: ['']
  resources: [namespaces]
  resourceNames: [{{ .root.Release.Namespace }}]
  verbs: [get]
{{- end }}
{{- end -}}

{{/* Rules for the Leases by which kubelets vouch for their nodes. */}}
{{- define "nestling.heartbeats" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames:
    {{- range $shard := until (include "nestling.shards" . | int) }}
    - nestling-kubelet-{{ $shard }}
    {{- end }}
  verbs: [patch, delete]
{{- end -}}
