{{/* Endpoints of a monitor: every process, and of the controllers the state of the objects. Takes root, monitor. */}}
{{- define "nestling.endpoints" -}}
{{- $monitor := .monitor }}
{{- range $path := list "/metrics" "/metrics/kube-state" }}
- port: metrics
  path: {{ $path }}
  interval: {{ $monitor.interval }}
  scrapeTimeout: {{ $monitor.scrapeTimeout }}
  honorLabels: {{ $monitor.honorLabels }}
  relabelings:
    {{- if eq $path "/metrics/kube-state" }}
    # Only the controllers serve the state of objects, under the job name that boards ask for.
    - sourceLabels: [__meta_kubernetes_pod_label_nestling_dev_controllers]
      regex: "true"
      action: keep
    - targetLabel: job
      replacement: kube-state-metrics
    {{- end }}
    {{- with $monitor.relabelings }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $monitor.metricRelabelings }}
  metricRelabelings:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end -}}
