{{/* Mistakes that no schema can see, each a sentence that names the value and the way out. */}}
{{- define "nestling.validate" -}}
{{- $values := .Values -}}
{{- if and (eq $values.scope "cluster") $values.namespaces -}}
{{- fail "namespaces: scope cluster serves every host namespace; remove namespaces, or set scope=namespaced" -}}
{{- end -}}
{{- if and (not $values.leaderElection.enabled) (gt (int $values.replicas) 1) -}}
{{- fail "leaderElection.enabled: several replicas without an election would all be at work; set leaderElection.enabled=true, or replicas=1" -}}
{{- end -}}
{{- range $name := list "scheduler" "controllers" "kubelet" -}}
{{- $own := get $values $name -}}
{{- if and (not $values.leaderElection.enabled) (gt (int (default 1 $own.replicas)) 1) -}}
{{- fail (printf "leaderElection.enabled: several replicas without an election would all be at work; set leaderElection.enabled=true, or %s.replicas=1" $name) -}}
{{- end -}}
{{- if eq $values.topology "single" -}}
{{- range $key, $value := $own -}}
{{- if and (not (kindIs "invalid" $value)) (not (and (eq $key "shards") (eq (int $value) 1))) -}}
{{- fail (printf "%s.%s: it concerns pods that only topology split has; set topology=split, or %s without the component" $name $key $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $metrics := $values.metrics -}}
{{- if and $metrics.serviceMonitor.enabled $metrics.podMonitor.enabled -}}
{{- fail "metrics.podMonitor.enabled: every series would be scraped twice; enable either metrics.serviceMonitor or metrics.podMonitor" -}}
{{- end -}}
{{- range $name := list "serviceMonitor" "podMonitor" -}}
{{- $monitor := get $metrics $name -}}
{{- if and $monitor.enabled (not $metrics.enabled) -}}
{{- fail (printf "metrics.%s.enabled: there is nothing to scrape; set metrics.enabled=true" $name) -}}
{{- end -}}
{{- end -}}
{{- if and $metrics.service.enabled (not $metrics.enabled) -}}
{{- fail "metrics.service.enabled: there is nothing to serve; set metrics.enabled=true" -}}
{{- end -}}
{{- range $name, $kind := dict "serviceMonitor" "ServiceMonitor" "podMonitor" "PodMonitor" "prometheusRule" "PrometheusRule" -}}
{{- if and (get $metrics $name).enabled (not ($.Capabilities.APIVersions.Has (printf "monitoring.coreos.com/v1/%s" $kind))) -}}
{{- fail (printf "metrics.%s.enabled: the host does not know %s; install prometheus-operator first, or set metrics.%s.enabled=false" $name $kind $name) -}}
{{- end -}}
{{- end -}}
{{- if and (not $values.serviceAccount.create) (not $values.serviceAccount.name) -}}
{{- fail "serviceAccount.name: with serviceAccount.create=false an existing account is used; name it, or set serviceAccount.create=true" -}}
{{- end -}}
{{- $budget := $values.podDisruptionBudget -}}
{{- if $budget.enabled -}}
{{- if and (not (kindIs "invalid" $budget.minAvailable)) (not (kindIs "invalid" $budget.maxUnavailable)) -}}
{{- fail "podDisruptionBudget.minAvailable: it excludes maxUnavailable; set podDisruptionBudget.maxUnavailable=null, or remove minAvailable" -}}
{{- end -}}
{{- if and (kindIs "invalid" $budget.minAvailable) (kindIs "invalid" $budget.maxUnavailable) -}}
{{- fail "podDisruptionBudget.maxUnavailable: a budget needs a number; set it, or minAvailable, or podDisruptionBudget.enabled=false" -}}
{{- end -}}
{{- end -}}
{{- if ge (int $values.uninstall.graceSeconds) (int $values.uninstall.timeoutSeconds) -}}
{{- fail "uninstall.graceSeconds: it must be less than uninstall.timeoutSeconds, or nothing would ever be freed; lower it" -}}
{{- end -}}
{{- if and $values.crds.enabled (ne .Release.Service "") -}}
{{- $owner := (lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" "virtualpods.nestling.dev") -}}
{{- if $owner -}}
{{- $notes := default dict $owner.metadata.annotations -}}
{{- $name := get $notes "meta.helm.sh/release-name" -}}
{{- $space := get $notes "meta.helm.sh/release-namespace" -}}
{{- if not $name -}}
{{- fail "crds.enabled: the kinds are on the host already and no Helm release owns them; set crds.enabled=false" -}}
{{- else if or (ne $name .Release.Name) (ne $space .Release.Namespace) -}}
{{- fail (printf "crds.enabled: the kinds belong to release %s in namespace %s; set crds.enabled=false" $name $space) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
