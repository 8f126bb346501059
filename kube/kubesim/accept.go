package kubesim

import (
	"fmt"
	"mime"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// accepted is one media type of an Accept header.
type accepted struct {
	media  string
	params map[string]string
}

// parseAccept lists the media types that a client takes, in its order: clients of Kubernetes put the best first.
func parseAccept(h http.Header) []accepted {
	var list []accepted
	for _, part := range strings.Split(strings.Join(h.Values("Accept"), ","), ",") {
		media, params, err := mime.ParseMediaType(part)
		if err == nil {
			list = append(list, accepted{media, params})
		}
	}
	if len(list) == 0 {
		list = []accepted{{media: "*/*"}}
	}
	return list
}

// form is the shape in which objects are answered.
type form struct {
	as   shape
	yaml bool
}

type shape int

const (
	asIs shape = iota
	asTable
	asMetadata
)

// negotiate picks the form of an answer. Objects are answered as JSON or YAML; a client that takes only something else gets
// a 406.
func negotiate(req *request) (form, error) {
	known := false
	for _, a := range parseAccept(req.Header) {
		switch a.media {
		case mediaJSON, mediaYAML, "application/*", "*/*":
			known = true
		case mediaProtobuf:
			known = true
			continue
		default:
			continue
		}
		f := form{yaml: a.media == mediaYAML}
		switch a.params["as"] {
		case "":
			return f, nil
		case "Table":
			if a.params["g"] == metav1.GroupName && (a.params["v"] == "v1" || a.params["v"] == "v1beta1") {
				f.as = asTable
				return f, checkInclude(req)
			}
		case "PartialObjectMetadata", "PartialObjectMetadataList":
			if a.params["g"] == metav1.GroupName && a.params["v"] == "v1" {
				f.as = asMetadata
				return f, nil
			}
		}
	}
	if !known && !req.res.custom {
		return form{}, routeError(http.StatusNotAcceptable, "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf, application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch")
	}
	return form{}, &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusNotAcceptable, Reason: metav1.StatusReasonNotAcceptable,
		Message: "only the following media types are accepted: " + accepts(req.res),
	}}
}

// checkInclude judges what of the objects is to go along with the rows of a table.
func checkInclude(req *request) error {
	switch given := req.query.Get("includeObject"); metav1.IncludeObjectPolicy(given) {
	case "", metav1.IncludeNone, metav1.IncludeMetadata, metav1.IncludeObject:
		return nil
	default:
		err := field.Invalid(field.NewPath("includeObject"), given, "must be 'Metadata', 'Object', 'None', or empty")
		return apierrors.NewBadRequest(fmt.Sprintf("Unable to convert to Table as requested: %v", err))
	}
}
