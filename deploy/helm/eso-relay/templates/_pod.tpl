{{/* Labels of a pod: list $ "ingress". None changes with the chart's version alone. */}}
{{- define "eso-relay.pod.labels" -}}
{{- $root := index . 0 -}}
{{- $own := index $root.Values (index . 1) -}}
{{- toYaml (mergeOverwrite (deepCopy $root.Values.commonLabels) (deepCopy $own.podLabels) (include "eso-relay.selector" . | fromYaml)) -}}
{{- end }}

{{/* What every pod has: restricted, placed, and with no variables of Services, of which one named eso-relay would
     be read as settings. */}}
{{- define "eso-relay.pod" -}}
{{- $root := index . 0 -}}
{{- $own := index $root.Values (index . 1) -}}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  seccompProfile: { type: RuntimeDefault }
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- range $field := list "nodeSelector" "tolerations" "affinity" "priorityClassName" }}
{{- with get $own $field }}
{{ $field }}: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{- define "eso-relay.spread" -}}
{{- $own := index . 0 "Values" (index . 1) -}}
{{- if $own.topologySpreadConstraints -}}
{{- toYaml $own.topologySpreadConstraints -}}
{{- else -}}
{{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels: {{- include "eso-relay.selector" $ | nindent 6 }}
  matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end -}}
{{- end }}

{{- define "eso-relay.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository ($image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end }}

{{/* What every container has. */}}
{{- define "eso-relay.container" -}}
{{- $root := index . 0 -}}
name: {{ index . 1 }}
image: {{ include "eso-relay.image" $root | quote }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
resources: {{- toYaml (index $root.Values (index . 1)).resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities: { drop: [ALL] }
  seccompProfile: { type: RuntimeDefault }
{{- end }}

{{/* The probes of a daemon. */}}
{{- define "eso-relay.probes" -}}
livenessProbe: { httpGet: { path: /livez, port: admin } }
readinessProbe: { httpGet: { path: /readyz, port: admin }, periodSeconds: 2 }
{{- end }}

{{/* Mounts of directories in /etc/eso-relay: a map of directory → volume. */}}
{{- define "eso-relay.mounts" -}}
{{- range $directory, $_ := . }}
- { name: {{ $directory }}, mountPath: /etc/eso-relay/{{ $directory }}, readOnly: true }
{{- end }}
{{- end }}

{{- define "eso-relay.volumes" -}}
{{- range $directory, $volume := . }}
- name: {{ $directory }}
  {{- toYaml $volume | nindent 2 }}
{{- end }}
{{- end }}

{{/* The port of an address such as `admin.listen`: list ADDRESS DEFAULT. `none` is none, and no component that has this
     port permits it. */}}
{{- define "eso-relay.port" -}}
{{- regexFind "[0-9]+$" (index . 0 | default "") | default (index . 1) -}}
{{- end }}

{{- define "eso-relay.adminPort" -}}
{{- $admin := .admin | default dict -}}
{{- include "eso-relay.port" (list $admin.listen 9090) -}}
{{- end }}

{{/* A duration of the configuration in whole seconds: list "consumer.config.shutdown.grace" TEXT. */}}
{{- define "eso-relay.seconds" -}}
{{- $setting := index . 0 -}}
{{- $units := dict "ms" 0.001 "msec" 0.001 "s" 1.0 "sec" 1.0 "secs" 1.0 "second" 1.0 "seconds" 1.0 "m" 60.0 "min" 60.0 "mins" 60.0 "minute" 60.0 "minutes" 60.0 "h" 3600.0 "hr" 3600.0 "hour" 3600.0 "hours" 3600.0 -}}
{{- $sum := 0.0 -}}
{{- range $part := regexFindAll "[0-9]+ *[a-zA-Z]+" (index . 1) -1 -}}
{{- $unit := regexFind "[a-zA-Z]+" $part -}}
{{- if not (hasKey $units $unit) -}}
{{- fail (printf "%s: write %q with h, m, s or ms" $setting $part) -}}
{{- end -}}
{{- $sum = addf $sum (mulf (float64 (regexFind "[0-9]+" $part)) (get $units $unit)) -}}
{{- end -}}
{{- ceil $sum | int -}}
{{- end }}

{{/* Longer than the daemon takes to end: list "consumer" CONFIG DEFAULT. */}}
{{- define "eso-relay.gracePeriod" -}}
{{- $shutdown := (index . 1).shutdown | default dict -}}
{{- $setting := printf "%s.config.shutdown.grace" (index . 0) -}}
{{- add 5 (include "eso-relay.seconds" (list $setting ($shutdown.grace | default (index . 2))) | int) -}}
{{- end }}

{{/* Annotations of a daemon's pod: list $ "ingress" CONFIG. */}}
{{- define "eso-relay.pod.annotations" -}}
{{- $root := index . 0 -}}
{{- $own := index $root.Values (index . 1) -}}
{{- $annotations := dict "checksum/config" (toYaml (index . 2) | sha256sum) -}}
{{- if not $root.Values.monitoring.podMonitor.enabled -}}
{{- $_ := set $annotations "prometheus.io/scrape" "true" -}}
{{- $_ := set $annotations "prometheus.io/port" (include "eso-relay.adminPort" (index . 2)) -}}
{{- end -}}
{{- toYaml (mergeOverwrite $annotations (deepCopy $own.podAnnotations)) -}}
{{- end }}
