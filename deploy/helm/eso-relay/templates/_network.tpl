{{/* Rules of egress for all pods: list $ … . DNS, NATS, and the user's own. */}}
{{- define "eso-relay.egress" -}}
- ports: [{ port: 53, protocol: UDP }, { port: 53, protocol: TCP }]
- ports:
    {{- range splitList "," (include "eso-relay.nats.url" .) | uniq }}
    - { port: {{ regexFind ":[0-9]+$" (trimSuffix "/" .) | trimPrefix ":" | default "4222" }}, protocol: TCP }
    {{- end }}
  {{- with .Values.networkPolicy.natsTo }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- with .Values.networkPolicy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Who may read the metrics: list $ PORT. */}}
{{- define "eso-relay.metricsFrom" -}}
- ports: [{ port: {{ index . 1 }}, protocol: TCP }]
  {{- with (index . 0).Values.networkPolicy.prometheusNamespaces }}
  from:
    - namespaceSelector:
        matchExpressions:
          - { key: kubernetes.io/metadata.name, operator: In, values: {{ toJson . }} }
  {{- end }}
{{- end }}
