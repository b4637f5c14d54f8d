{{/* A URL stands where many can read it, so without a password: list "nats.url" URL. */}}
{{- define "eso-relay.nats.without" -}}
{{- if contains "@" (index . 1) -}}
{{- fail (printf "%s: credentials do not belong here, name their Secret in nats.auth" (index . 0)) -}}
{{- end -}}
{{- index . 1 -}}
{{- end }}

{{/* A whole configuration: list "ingress" CONFIG. */}}
{{- define "eso-relay.config" -}}
{{- $config := index . 1 -}}
{{- $_ := include "eso-relay.nats.without" (list (printf "%s.config.nats.url" (index . 0)) $config.nats.url) -}}
{{- toYaml $config -}}
{{- end }}

{{/* Of every component. */}}
{{- define "eso-relay.nats.url" -}}
{{- if .Values.nats.url -}}
{{- include "eso-relay.nats.without" (list "nats.url" .Values.nats.url) -}}
{{- else if .Values.devNats.enabled -}}
{{- printf "nats://%s:4222" (include "eso-relay.devNats" .) -}}
{{- else -}}
{{- fail "nats.url: set it to the NATS server's URL, or devNats.enabled to true for a server to try" -}}
{{- end -}}
{{- end }}

{{/* The credentials of a component, its own or the common ones: list $ "ingress". */}}
{{- define "eso-relay.nats.auth" -}}
{{- $own := index . 0 "Values" (index . 1) -}}
{{- $auth := $own.nats.auth | default (index . 0).Values.nats.auth -}}
{{- $keys := dict "user" "password" "creds" "nats.creds" "nkey" "seed" "token" "token" -}}
{{- $kind := $auth.kind | default "user" -}}
{{- if $auth.existingSecret -}}
{{- if and (eq $kind "user") (not $auth.user) -}}
{{- fail (printf "nats.auth.user: set it, or %s.nats.auth.user: kind `user` needs one" (index . 1)) -}}
{{- end -}}
{{- toYaml (dict "secret" $auth.existingSecret "kind" $kind "user" $auth.user "key" ($auth.key | default (get $keys $kind)) "inboxPrefix" $auth.inboxPrefix) -}}
{{- else if $auth.user -}}
{{- fail (printf "nats.auth.existingSecret: set it, or %s.nats.auth.existingSecret: a user needs a password" (index . 1)) -}}
{{- else -}}
{{- toYaml (dict "inboxPrefix" $auth.inboxPrefix) -}}
{{- end -}}
{{- end }}

{{/* The section `nats` of a component's configuration. */}}
{{- define "eso-relay.nats" -}}
{{- $root := index . 0 -}}
{{- $auth := include "eso-relay.nats.auth" . | fromYaml -}}
{{- $nats := dict "url" (include "eso-relay.nats.url" $root) -}}
{{- with $root.Values.nats.domain }}{{ $_ := set $nats "domain" . }}{{ end -}}
{{- $tls := dict -}}
{{- if $root.Values.nats.tls.required }}{{ $_ := set $tls "required" true }}{{ end -}}
{{- if $root.Values.nats.tls.first }}{{ $_ := set $tls "first" true }}{{ end -}}
{{- if $root.Values.nats.tls.caSecret.name -}}
{{- $_ := set $tls "ca_file" (printf "/etc/eso-relay/nats-ca/%s" $root.Values.nats.tls.caSecret.key) -}}
{{- end -}}
{{- if $root.Values.nats.tls.clientSecret.name -}}
{{- $_ := set $tls "cert_file" "/etc/eso-relay/nats-client/tls.crt" -}}
{{- $_ := set $tls "key_file" "/etc/eso-relay/nats-client/tls.key" -}}
{{- end -}}
{{- if $tls }}{{ $_ := set $nats "tls" $tls }}{{ end -}}
{{- if $auth.secret -}}
{{- $file := printf "/etc/eso-relay/nats/%s" $auth.key -}}
{{- $settings := dict "user" "password_file" "creds" "credentials_file" "nkey" "nkey_seed_file" "token" "token_file" -}}
{{- $_ := set $nats (get $settings $auth.kind) $file -}}
{{- if eq $auth.kind "user" }}{{ $_ := set $nats "user" $auth.user }}{{ end -}}
{{- end -}}
{{- with $auth.inboxPrefix }}{{ $_ := set $nats "inbox_prefix" . }}{{ end -}}
{{- toYaml $nats -}}
{{- end }}

{{/* The same as environment, for the command line. */}}
{{- define "eso-relay.nats.env" -}}
{{- $env := list -}}
{{- range $name, $value := include "eso-relay.nats" . | fromYaml -}}
{{- if kindIs "map" $value -}}
{{- range $below, $text := $value -}}
{{- $env = append $env (dict "name" (printf "ESO_RELAY__NATS__%s__%s" $name $below | upper) "value" (toString $text)) -}}
{{- end -}}
{{- else -}}
{{- $env = append $env (dict "name" (printf "ESO_RELAY__NATS__%s" $name | upper) "value" $value) -}}
{{- end -}}
{{- end -}}
{{- toYaml $env -}}
{{- end }}

{{/* Directory → volume, of a component's credentials and certificates for NATS. */}}
{{- define "eso-relay.nats.directories" -}}
{{- $tls := (index . 0).Values.nats.tls -}}
{{- $directories := dict -}}
{{- with (include "eso-relay.nats.auth" . | fromYaml).secret }}{{ $_ := set $directories "nats" (dict "secret" (dict "secretName" .)) }}{{ end -}}
{{- with $tls.caSecret.name }}{{ $_ := set $directories "nats-ca" (dict "secret" (dict "secretName" .)) }}{{ end -}}
{{- with $tls.clientSecret.name }}{{ $_ := set $directories "nats-client" (dict "secret" (dict "secretName" .)) }}{{ end -}}
{{- toYaml $directories -}}
{{- end }}
