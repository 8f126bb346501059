package kubesim

import (
	"bytes"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	internalscheme "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/types"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// writeOptions say how a write differs from a plain one over HTTP to the main resource.
type writeOptions struct {
	dryRun     bool
	inProcess  bool   // by the sandbox itself: status and uid are taken as given
	sub        string // the subresource that is written
	patch      bool   // the object is ours, made from the stored one
	manager    string
	force      bool
	validation string            // fieldValidation: Strict, Warn or Ignore
	warn       func(text string) // adds a warning to the answer
}

// tolerate warns of what a lenient decoder passes over, or refuses it.
func (o writeOptions) tolerate(loose []error) error {
	switch o.validation {
	case metav1.FieldValidationStrict:
		return runtime.NewStrictDecodingError(loose)
	case metav1.FieldValidationIgnore:
	default:
		for _, err := range loose {
			o.warn(err.Error())
		}
	}
	return nil
}

// requestOptions reads and checks the parameters of a create, an update or a patch.
func requestOptions(w http.ResponseWriter, req *request, patchType types.PatchType) (writeOptions, error) {
	opts := writeOptions{sub: req.sub, manager: managerName(req.query, req.UserAgent()), validation: req.query.Get("fieldValidation"), warn: func(text string) { addWarning(w, text) }}
	var errs field.ErrorList
	var err error
	var dry []string
	kind := ""
	switch req.verb {
	case "create":
		var o metav1.CreateOptions
		kind, err = "CreateOptions", decodeParameters(req, &o)
		dry, errs = o.DryRun, metavalidation.ValidateCreateOptions(&o)
	case "update":
		var o metav1.UpdateOptions
		kind, err = "UpdateOptions", decodeParameters(req, &o)
		dry, errs = o.DryRun, metavalidation.ValidateUpdateOptions(&o)
	default:
		var o metav1.PatchOptions
		kind, err = "PatchOptions", decodeParameters(req, &o)
		dry, errs = o.DryRun, metavalidation.ValidatePatchOptions(&o, patchType)
		opts.patch, opts.force = true, o.Force != nil && *o.Force
	}
	if err != nil {
		return opts, err
	}
	opts.dryRun = len(dry) > 0
	return opts, invalidOptions(kind, errs)
}

func decodeParameters(req *request, into runtime.Object) error {
	if err := internalscheme.ParameterCodec.DecodeParameters(req.query, metav1.SchemeGroupVersion, into); err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	return nil
}

func invalidOptions(kind string, errs field.ErrorList) error {
	if len(errs) == 0 {
		return nil
	}
	return apierrors.NewInvalid(schema.GroupKind{Group: metav1.GroupName, Kind: kind}, "", errs)
}

func addWarning(w http.ResponseWriter, text string) {
	if header, err := utilnet.NewWarningHeader(299, "-", text); err == nil {
		w.Header().Add("Warning", header)
	}
}

// optionKinds knows the DeleteOptions of every group: a client may name any.
func optionKinds(list []*resource) *runtime.Scheme {
	known := runtime.NewScheme()
	metav1.AddToGroupVersion(known, schema.GroupVersion{Version: "v1"})
	for _, r := range list {
		for _, v := range r.versions {
			metav1.AddToGroupVersion(known, r.gvk(v).GroupVersion())
		}
	}
	return known
}

// deleteOptions reads the body of a delete, and where there is none its parameters.
func (s *Server) deleteOptions(req *request) (*metav1.DeleteOptions, error) {
	body, media, err := readBody(req)
	if err != nil {
		return nil, err
	}
	opts := &metav1.DeleteOptions{}
	if len(bytes.TrimSpace(body)) == 0 {
		if err := decodeParameters(req, opts); err != nil {
			return nil, err
		}
		return opts, invalidOptions("DeleteOptions", metavalidation.ValidateDeleteOptions(opts))
	}
	var decoder runtime.Decoder
	switch media {
	case mediaJSON, mediaYAML:
		decoder = kjson.NewSerializerWithOptions(kjson.DefaultMetaFactory, s.options, s.options, kjson.SerializerOptions{Yaml: media == mediaYAML})
	case mediaProtobuf:
		decoder = protobuf.NewSerializer(s.options, s.options)
	default:
		return nil, unsupported("application/json, application/yaml, application/vnd.kubernetes.protobuf")
	}
	gvk := schema.GroupVersionKind{Version: "v1", Kind: "DeleteOptions"}
	decoded, actual, err := decoder.Decode(body, &gvk, opts)
	if err == nil && decoded != runtime.Object(opts) {
		err = runtime.NewNotRegisteredErrForKind("kubesim", *actual)
	}
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	return opts, invalidOptions("DeleteOptions", metavalidation.ValidateDeleteOptions(opts))
}
