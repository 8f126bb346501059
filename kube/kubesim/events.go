package kubesim

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// eventsAPI is the newer of the two groups that serve Events. They are kept as those of the core.
const eventsAPI = "events.k8s.io/v1"

// eventNames pairs the names that the core and the newer group have for one field.
func eventNames() map[string]string {
	return map[string]string{
		"involvedObject": "regarding", "message": "note", "source": "deprecatedSource", "firstTimestamp": "deprecatedFirstTimestamp",
		"lastTimestamp": "deprecatedLastTimestamp", "count": "deprecatedCount", "reportingComponent": "reportingController",
	}
}

// toNewEvent gives a core Event the shape of the newer group.
func toNewEvent(content map[string]any) map[string]any {
	out := maps.Clone(content)
	for old, renamed := range eventNames() {
		if value, ok := out[old]; ok {
			delete(out, old)
			out[renamed] = value
		}
	}
	for _, name := range []string{"reportingController", "reportingInstance", "note", "deprecatedCount"} {
		if out[name] == "" || out[name] == int64(0) {
			delete(out, name)
		}
	}
	return out
}

// toCoreEvent gives an Event of the newer group the shape of the core.
func toCoreEvent(content map[string]any) map[string]any {
	out := maps.Clone(content)
	for old, renamed := range eventNames() {
		if value, ok := out[renamed]; ok {
			delete(out, renamed)
			out[old] = value
		}
	}
	for name, empty := range map[string]any{"reportingComponent": "", "reportingInstance": "", "source": map[string]any{}, "involvedObject": map[string]any{}, "firstTimestamp": nil, "lastTimestamp": nil, "eventTime": nil} {
		if _, ok := out[name]; !ok {
			out[name] = empty
		}
	}
	return out
}

// newEventErrors is what the newer group is stricter in.
func newEventErrors(req *request, obj *unstructured.Unstructured) field.ErrorList {
	if req.apiVersion() != eventsAPI {
		return nil
	}
	var errs field.ErrorList
	if text(obj, "", "eventTime") == "" {
		errs = append(errs, field.Required(field.NewPath("eventTime"), ""))
	}
	if kind := text(obj, "", "type"); kind != corev1.EventTypeNormal && kind != corev1.EventTypeWarning {
		errs = append(errs, field.Invalid(field.NewPath("type"), "", "has invalid value: "+kind))
	}
	return errs
}
