{{- define "eso-relay.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "eso-relay.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "eso-relay.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "eso-relay.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* A name with a suffix that is never cut off, of 63 characters at most: list $ "ingress". */}}
{{- define "eso-relay.named" -}}
{{- $suffix := index . 1 -}}
{{- $room := sub 62 (len $suffix) | int -}}
{{- printf "%s-%s" (include "eso-relay.fullname" (index . 0) | trunc $room | trimSuffix "-") $suffix -}}
{{- end }}

{{- define "eso-relay.namespace" -}}
{{- .Values.namespaceOverride | default .Release.Namespace -}}
{{- end }}

{{/* These never change: a selector cannot. */}}
{{- define "eso-relay.selector" -}}
app.kubernetes.io/name: {{ include "eso-relay.name" (index . 0) }}
app.kubernetes.io/instance: {{ index . 0 "Release" "Name" }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* Of an object of a component: list $ "ingress". */}}
{{- define "eso-relay.labels" -}}
{{- $root := index . 0 -}}
{{- $own := include "eso-relay.selector" . | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/version" $root.Chart.AppVersion -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" $root.Release.Service -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63) -}}
{{- toYaml (mergeOverwrite (deepCopy $root.Values.commonLabels) $own) -}}
{{- end }}

{{/* metadata of an object in the release's namespace: list $ "ingress" NAME. */}}
{{- define "eso-relay.metadata" -}}
name: {{ index . 2 }}
namespace: {{ include "eso-relay.namespace" (index . 0) }}
labels: {{- include "eso-relay.labels" . | nindent 2 }}
{{- end }}

{{/* The service account of a component: list $ "consumer". */}}
{{- define "eso-relay.account" -}}
{{- $own := index . 0 "Values" (index . 1) -}}
{{- if $own.serviceAccount.create -}}
{{- $own.serviceAccount.name | default (include "eso-relay.named" .) -}}
{{- else -}}
{{- $own.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end }}

{{/* Of 52 characters at most: the name of a StatefulSet, with a number and a hash, is a label of its pods. */}}
{{- define "eso-relay.devNats" -}}
{{- printf "%s-nats" (include "eso-relay.fullname" . | trunc 47 | trimSuffix "-") -}}
{{- end }}
