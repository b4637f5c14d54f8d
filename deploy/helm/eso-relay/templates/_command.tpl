{{/* The pod template of a Job that runs the command line with the operator's user: list $ COMPONENT ARGUMENTS. */}}
{{- define "eso-relay.command" -}}
{{- $root := index . 0 -}}
{{- $own := $root.Values.init -}}
{{- $directories := include "eso-relay.nats.directories" (list $root "init") | fromYaml -}}
metadata:
  labels: {{- mergeOverwrite (include "eso-relay.pod.labels" (list $root "init") | fromYaml) (dict "app.kubernetes.io/component" (index . 1)) | toYaml | nindent 4 }}
  {{- with $own.podAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  restartPolicy: OnFailure
  automountServiceAccountToken: false
  {{- include "eso-relay.pod" (list $root "init") | nindent 2 }}
  containers:
    - {{- include "eso-relay.container" (list $root "init") | nindent 6 }}
      command: [/usr/local/bin/eso-relay]
      args: {{- toYaml (index . 2) | nindent 8 }}
      env:
        {{- include "eso-relay.nats.env" (list $root "init") | nindent 8 }}
        {{- with $own.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- if or $directories $own.extraVolumeMounts }}
      volumeMounts:
        {{- include "eso-relay.mounts" $directories | trim | nindent 8 }}
        {{- with $own.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
  {{- if or $directories $own.extraVolumes }}
  volumes:
    {{- include "eso-relay.volumes" $directories | trim | nindent 4 }}
    {{- with $own.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
{{- end }}
