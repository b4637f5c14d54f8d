{{/* ingress.yaml of the poller: what the chart sets, and the user's own over it. */}}
{{- define "eso-relay.poller.config" -}}
{{- $own := .Values.poller -}}
{{- if ne ($own.config.listen | default "none") "none" -}}
{{- fail "poller.config.listen: the poller has no port: what is sent belongs to the ingress" -}}
{{- end -}}
{{- if $own.config.sources -}}
{{- fail "poller.config.sources: the poller has no port: what is sent belongs in ingress.config.sources" -}}
{{- end -}}
{{- if not $own.config.polls -}}
{{- fail "poller.config.polls: name what is polled" -}}
{{- end -}}
{{- $computed := dict "listen" "none" "nats" (include "eso-relay.nats" (list . "poller") | fromYaml) -}}
{{- include "eso-relay.config" (list "poller" (mergeOverwrite $computed (deepCopy $own.config))) -}}
{{- end }}

{{/* Directory → volume, of all that the poller reads. */}}
{{- define "eso-relay.poller.directories" -}}
{{- $own := .Values.poller -}}
{{- $directories := include "eso-relay.nats.directories" (list . "poller") | fromYaml -}}
{{- if $own.token.audience -}}
{{- $token := dict "path" "token" "audience" $own.token.audience "expirationSeconds" (int $own.token.expirationSeconds) -}}
{{- $_ := set $directories "store" (dict "projected" (dict "sources" (list (dict "serviceAccountToken" $token)))) -}}
{{- end -}}
{{- include "eso-relay.secrets" (list "poller" $directories $own.secrets) -}}
{{- end }}

{{/* The ports of the stores that it asks, by their addresses. */}}
{{- define "eso-relay.poller.ports" -}}
{{- $ports := list -}}
{{- range .Values.poller.config.polls -}}
{{- $host := regexReplaceAll "^[a-z]+://([^/]*).*$" .address "${1}" -}}
{{- $default := ternary "80" "443" (hasPrefix "http://" .address) -}}
{{- $ports = append $ports (regexFind ":[0-9]+$" $host | trimPrefix ":" | default $default | int) -}}
{{- end -}}
{{- toYaml (dict "ports" ($ports | uniq)) -}}
{{- end }}
