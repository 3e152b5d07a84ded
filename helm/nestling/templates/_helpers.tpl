{{/* Name of the chart in names and labels. */}}
{{- define "nestling.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* What the names of all objects begin with; short enough for the suffixes and for a Lease's holder. */}}
{{- define "nestling.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 44 | trimSuffix "-" -}}
{{- else if contains (include "nestling.name" .) .Release.Name -}}
{{- .Release.Name | trunc 44 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "nestling.name" .) | trunc 44 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels by which pods of this release are told from others. */}}
{{- define "nestling.selector" -}}
app.kubernetes.io/name: {{ include "nestling.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Labels of every object. */}}
{{- define "nestling.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "nestling.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: nestling
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Metadata of an object. Takes root, name and, where they differ from the release's, namespace, component,
labels and annotations; namespace "-" is for objects without one. */}}
{{- define "nestling.metadata" -}}
name: {{ .name }}
{{- if ne (default "" .namespace) "-" }}
namespace: {{ default .root.Release.Namespace .namespace }}
{{- end }}
labels:
  {{- $labels := include "nestling.labels" .root | fromYaml }}
  {{- with .component }}
  {{- $_ := set $labels "app.kubernetes.io/component" . }}
  {{- end }}
  {{- merge (dict) (default dict .labels) $labels | toYaml | nindent 2 }}
{{- with merge (dict) (default dict .annotations) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The image, by digest if there is one. */}}
{{- define "nestling.image" -}}
{{- $image := .Values.image -}}
{{- $registry := default $image.registry .Values.global.imageRegistry -}}
{{- $name := ternary (printf "%s/%s" $registry $image.repository) $image.repository (ne $registry "") -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $name $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default .Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "nestling.pullSecrets" -}}
{{- with concat .Values.imagePullSecrets (default list .Values.global.imagePullSecrets) }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Host namespaces that are served, as JSON; empty means all. */}}
{{- define "nestling.namespaces" -}}
{{- if eq .Values.scope "cluster" -}}
[]
{{- else -}}
{{- default (list .Release.Namespace) .Values.namespaces | toJson -}}
{{- end -}}
{{- end -}}

{{/* Components as JSON: name, roles that its pods play, shards. */}}
{{- define "nestling.components" -}}
{{- if eq .Values.topology "single" -}}
[{"name": "operator", "roles": [], "plays": ["scheduler", "controllers", "kubelet"]}]
{{- else -}}
{{- $components := list (dict "name" "scheduler" "roles" (list "scheduler") "plays" (list "scheduler")) (dict "name" "controllers" "roles" (list "controllers") "plays" (list "controllers")) -}}
{{- $shards := int .Values.kubelet.shards -}}
{{- range $shard := until $shards -}}
{{- $components = append $components (dict "name" (printf "kubelet-%d" $shard) "settings" "kubelet" "roles" (list "kubelet") "plays" (list "kubelet") "shard" $shard) -}}
{{- end -}}
{{- toJson $components -}}
{{- end -}}
{{- end -}}

{{/* Settings of a component's pods: those at the top, replaced by the component's own. Takes root and component. */}}
{{- define "nestling.settings" -}}
{{- $values := .root.Values -}}
{{- $settings := dict "replicas" $values.replicas "resources" $values.resources "nodeSelector" $values.nodeSelector "tolerations" $values.tolerations "affinity" $values.affinity "topologySpreadConstraints" $values.topologySpreadConstraints "priorityClassName" $values.priorityClassName "podLabels" $values.podLabels "podAnnotations" $values.podAnnotations "extraArgs" $values.extraArgs "extraEnv" $values.extraEnv -}}
{{- range $key, $own := get $values (default .component.name .component.settings) | default dict -}}
{{- if not (kindIs "invalid" $own) -}}
{{- $_ := set $settings $key $own -}}
{{- end -}}
{{- end -}}
{{- toJson $settings -}}
{{- end -}}

{{/* Service account of a component. Takes root and component. */}}
{{- define "nestling.serviceAccount" -}}
{{- if .root.Values.serviceAccount.name -}}
{{- .root.Values.serviceAccount.name -}}
{{- else if eq .root.Values.topology "single" -}}
{{- include "nestling.fullname" .root -}}
{{- else -}}
{{- printf "%s-%s" (include "nestling.fullname" .root) (first .component.plays) -}}
{{- end -}}
{{- end -}}

{{/* Who gets which rights, as JSON: one account for all roles, or one per role. */}}
{{- define "nestling.accounts" -}}
{{- if eq .Values.topology "single" -}}
{{- list (dict "name" (include "nestling.fullname" .) "plays" (list "scheduler" "controllers" "kubelet")) | toJson -}}
{{- else -}}
{{- $accounts := list -}}
{{- range $role := list "scheduler" "controllers" "kubelet" -}}
{{- $accounts = append $accounts (dict "name" (printf "%s-%s" (include "nestling.fullname" $) $role) "plays" (list $role)) -}}
{{- end -}}
{{- toJson $accounts -}}
{{- end -}}
{{- end -}}
{{/* Number of kubelet shards, whatever the topology. */}}
{{- define "nestling.shards" -}}
{{- ternary 1 (int .Values.kubelet.shards) (eq .Values.topology "single") -}}
{{- end -}}
