{{/* consumer.yaml: what the chart sets, and the user's own over it. */}}
{{- define "eso-relay.consumer.config" -}}
{{- $own := .Values.consumer -}}
{{- $cluster := $own.cluster | default $own.config.cluster -}}
{{- if not $cluster -}}
{{- fail "consumer.cluster: set it to the name of this cluster, as in init.clusters" -}}
{{- end -}}
{{- $computed := dict "cluster" $cluster "nats" (include "eso-relay.nats" (list . "consumer") | fromYaml) -}}
{{- include "eso-relay.config" (list "consumer" (mergeOverwrite $computed (deepCopy $own.config))) -}}
{{- end }}

{{/* The rules in one namespace, or in all: by the configuration alone. */}}
{{- define "eso-relay.consumer.rules" -}}
{{- $config := include "eso-relay.consumer.config" . | fromYaml -}}
{{- $kubernetes := $config.kubernetes | default dict -}}
{{- $refresh := $config.refresh | default dict -}}
{{- $everywhere := not $kubernetes.namespaces -}}
- apiGroups: [external-secrets.io]
  resources: {{ ternary "[externalsecrets, clusterexternalsecrets]" "[externalsecrets]" $everywhere }}
  verbs: [get, list, watch, patch]
# For what ESO would pass over by its annotation alone.
- apiGroups: [external-secrets.io]
  resources: [externalsecrets/status]
  verbs: [patch]
- apiGroups: [external-secrets.io]
  resources: {{ ternary "[secretstores, clustersecretstores]" "[secretstores]" $everywhere }}
  verbs: [get, list, watch]
{{- if $refresh.push_secrets }}
- apiGroups: [external-secrets.io]
  resources: [pushsecrets]
  verbs: [get, list, watch, patch]
{{- end }}
{{- if $everywhere }}
# Their labels, for ClusterSecretStores with a namespaceSelector.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [list, watch]
{{- end }}
{{- if not (eq (toString $kubernetes.events) "false") }}
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end }}
{{- end }}

{{/* The rules of `kes.enabled`; empty without it. */}}
{{- define "eso-relay.consumer.kes" -}}
{{- $kes := (include "eso-relay.consumer.config" . | fromYaml).kes | default dict -}}
{{- if $kes.enabled -}}
- apiGroups: [kubernetes-client.io]
  resources: [externalsecrets]
  verbs: [list, watch, patch]
# Makes KES poll at once; the annotation alone does not.
- apiGroups: [kubernetes-client.io]
  resources: [externalsecrets/status]
  verbs: [patch]
{{- end -}}
{{- end }}

{{/* The rules of `restart.enabled`; empty without it. */}}
{{- define "eso-relay.consumer.restarts" -}}
{{- $restart := (include "eso-relay.consumer.config" . | fromYaml).restart | default dict -}}
{{- if $restart.enabled -}}
- apiGroups: [apps]
  resources: [deployments, statefulsets, daemonsets]
  verbs: [list, watch, patch]
# Only where Argo Rollouts is installed; harmless elsewhere.
- apiGroups: [argoproj.io]
  resources: [rollouts]
  verbs: [list, watch, patch]
{{- end -}}
{{- end }}

