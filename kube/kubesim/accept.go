package kubesim

import (
	"mime"
	"net/http"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
type form int

const (
	asIs form = iota
	asTable
	asMetadata
)

// negotiate picks the form of an answer. Everything is answered as JSON; a client that takes only something else gets a 406.
func negotiate(h http.Header) (form, error) {
	for _, a := range parseAccept(h) {
		if a.media != "application/json" && a.media != "application/*" && a.media != "*/*" {
			continue
		}
		switch a.params["as"] {
		case "":
			return asIs, nil
		case "Table":
			if a.params["g"] == "meta.k8s.io" && (a.params["v"] == "v1" || a.params["v"] == "v1beta1") {
				return asTable, nil
			}
		case "PartialObjectMetadata", "PartialObjectMetadataList":
			if a.params["g"] == "meta.k8s.io" && a.params["v"] == "v1" {
				return asMetadata, nil
			}
		}
	}
	return asIs, apierrors.NewGenericServerResponse(http.StatusNotAcceptable, "", schema.GroupResource{}, "", "only the following media types are accepted: application/json, application/json;stream=watch", 0, true)
}
