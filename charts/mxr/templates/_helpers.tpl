{{- define "mxr.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Objects without a namespace carry it in their name: two releases must not share them. */}}
{{- define "mxr.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "mxr.fullname" .) -}}
{{- end -}}

{{- define "mxr.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "mxr.fullname" .) -}}
{{- end -}}

{{/* The namespaces that are handled, separated by commas; *: all. */}}
{{- define "mxr.namespaces" -}}
{{- if .Values.clusterWide -}}*{{- else -}}
{{- .Values.namespaces | default (list .Release.Namespace) | join "," -}}
{{- end -}}
{{- end -}}

{{- define "mxr.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* The claim of the salvage volume; empty: there is none. */}}
{{- define "mxr.salvageClaim" -}}
{{- with .Values.salvage -}}
{{- if .existingClaim -}}{{ .existingClaim }}{{- else if .size -}}{{ include "mxr.fullname" $ }}-salvage{{- end -}}
{{- end -}}
{{- end -}}

{{- define "mxr.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "mxr.labels" -}}
{{ include "mxr.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* Of the Role or ClusterRole and its binding: [root, namespace or *]. The name says whose release it is. */}}
{{- define "mxr.roleMetadata" -}}
{{- $root := index . 0 -}}
name: {{ include "mxr.clusterName" $root }}
{{- if not $root.Values.clusterWide }}
namespace: {{ index . 1 }}
{{- end }}
labels: {{- include "mxr.labels" $root | nindent 2 }}
{{- end -}}

{{/* As peers of a NetworkPolicy: where the replicas are. */}}
{{- define "mxr.handledNamespaces" -}}
{{- if .Values.clusterWide -}}
- namespaceSelector: {}
{{- else -}}
{{- range $index, $name := splitList "," (include "mxr.namespaces" .) }}
{{- if $index }}
{{ end -}}
- namespaceSelector:
    matchLabels: { kubernetes.io/metadata.name: {{ $name }} }
{{- end -}}
{{- end -}}
{{- end -}}
