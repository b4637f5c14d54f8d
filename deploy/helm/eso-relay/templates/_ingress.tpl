{{/* ingress.yaml: what the chart sets, and the user's own over it. */}}
{{- define "eso-relay.ingress.config" -}}
{{- $own := .Values.ingress -}}
{{- if eq ($own.config.listen | default "") "none" -}}
{{- fail "ingress.config.listen: an ingress without a port is a poller: set poller.enabled and poller.config, and ingress.enabled to false" -}}
{{- end -}}
{{- $computed := dict "nats" (include "eso-relay.nats" (list . "ingress") | fromYaml) -}}
{{- if $own.tls.existingSecret -}}
{{- $tls := dict "cert_file" "/etc/eso-relay/tls/tls.crt" "key_file" "/etc/eso-relay/tls/tls.key" -}}
{{- if $own.tls.clientCaSecret }}{{ $_ := set $tls "client_ca_file" "/etc/eso-relay/client-ca/ca.crt" }}{{ end -}}
{{- $_ := set $computed "tls" $tls -}}
{{- else if $own.tls.clientCaSecret -}}
{{- fail "ingress.tls.clientCaSecret: set ingress.tls.existingSecret too" -}}
{{- end -}}
{{- include "eso-relay.config" (list "ingress" (mergeOverwrite $computed (deepCopy $own.config))) -}}
{{- end }}

{{/* Directory → volume, of all that the ingress reads. */}}
{{- define "eso-relay.ingress.directories" -}}
{{- $own := .Values.ingress -}}
{{- $directories := include "eso-relay.nats.directories" (list . "ingress") | fromYaml -}}
{{- with $own.tls.existingSecret }}{{ $_ := set $directories "tls" (dict "secret" (dict "secretName" .)) }}{{ end -}}
{{- with $own.tls.clientCaSecret }}{{ $_ := set $directories "client-ca" (dict "secret" (dict "secretName" .)) }}{{ end -}}
{{- include "eso-relay.secrets" (list "ingress" $directories $own.secrets) -}}
{{- end }}

{{/* The user's own Secrets beside what the chart mounts: list "ingress" DIRECTORIES SECRETS. */}}
{{- define "eso-relay.secrets" -}}
{{- $component := index . 0 -}}
{{- $directories := index . 1 -}}
{{- range index . 2 -}}
{{- $directory := .path | default .name -}}
{{- if or (hasKey $directories $directory) (has $directory (list "config" "nats" "nats-ca" "nats-client" "tls" "client-ca")) -}}
{{- fail (printf "%s.secrets: the directory %s is taken: give %s another `path`" $component $directory .name) -}}
{{- end -}}
{{- $secret := dict "secretName" .name -}}
{{- with .items }}{{ $_ := set $secret "items" . }}{{ end -}}
{{- $_ := set $directories $directory (dict "secret" $secret) -}}
{{- end -}}
{{- toYaml $directories -}}
{{- end }}

{{- define "eso-relay.ingress.servicePort" -}}
{{- .Values.ingress.service.port | default (ternary 443 80 (not (empty .Values.ingress.tls.existingSecret))) | int -}}
{{- end }}

{{/* Whether a source makes HTTPS requests of its own: keys of an issuer, certificates of SNS, confirmations. */}}
{{- define "eso-relay.ingress.asks" -}}
{{- range .Values.ingress.config.sources -}}
{{- $auth := toJson .auth -}}
{{- if or .confirm (regexMatch "\"(jwt|sns)\"" $auth) -}}yes{{- end -}}
{{- end -}}
{{- end }}
