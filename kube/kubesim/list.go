package kubesim

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	internalscheme "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme"
	internalvalidation "k8s.io/apimachinery/pkg/apis/meta/internalversion/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// listOptions decodes and checks the parameters that lists and watches share.
func listOptions(req *request) (*internalversion.ListOptions, *filter, error) {
	var opts internalversion.ListOptions
	if err := internalscheme.ParameterCodec.DecodeParameters(req.query, metav1.SchemeGroupVersion, &opts); err != nil {
		return nil, nil, apierrors.NewBadRequest(err.Error())
	}
	internalversion.SetListOptionsDefaults(&opts, true)
	if errs := internalvalidation.ValidateListOptions(&opts, true); len(errs) > 0 {
		return nil, nil, apierrors.NewInvalid(schema.GroupKind{Group: metav1.GroupName, Kind: "ListOptions"}, "", errs)
	}
	f, err := newFilter(req.res, &opts)
	return &opts, f, err
}

// filter is a label and a field selector over the objects of a resource.
type filter struct {
	namespace string
	labels    labels.Selector
	fields    fields.Selector
	paths     map[string][]string
}

func newFilter(res *resource, opts *internalversion.ListOptions) (*filter, error) {
	f := &filter{labels: opts.LabelSelector, fields: opts.FieldSelector, paths: res.fields}
	if f.labels == nil {
		f.labels = labels.Everything()
	}
	if f.fields == nil {
		f.fields = fields.Everything()
	}
	for _, r := range f.fields.Requirements() {
		_, known := res.fields[r.Field]
		if known || r.Field == "metadata.name" || (r.Field == "metadata.namespace" && res.namespaced) {
			continue
		}
		if res.fields == nil && !res.custom {
			return nil, apierrors.NewBadRequest(fmt.Sprintf(`%q is not a known field selector: only "metadata.name", "metadata.namespace"`, r.Field))
		}
		return nil, apierrors.NewBadRequest("field label not supported: " + r.Field)
	}
	return f, nil
}

func (f *filter) empty() bool { return f.labels.Empty() && f.fields.Empty() }

func (f *filter) matches(obj *unstructured.Unstructured) bool {
	if f.namespace != "" && obj.GetNamespace() != f.namespace {
		return false
	}
	if !f.labels.Matches(labels.Set(obj.GetLabels())) {
		return false
	}
	if f.fields.Empty() {
		return true
	}
	set := fields.Set{"metadata.name": obj.GetName(), "metadata.namespace": obj.GetNamespace()}
	for label, path := range f.paths {
		if value, found, err := unstructured.NestedFieldNoCopy(obj.Object, path...); err == nil && found {
			set[label] = fmt.Sprint(value)
		} else if label == "spec.unschedulable" {
			set[label] = "false"
		}
	}
	return f.fields.Matches(set)
}

// page is one answer to a list.
type page struct {
	records   []*record
	rev       uint64
	next      string // continue token
	remaining *int64
}

// continueToken is where a paged list goes on: after a key, at the revision of its first page, or at the newest with -1.
type continueToken struct {
	Rev   int64  `json:"rv"`
	After string `json:"start"`
}

func (t continueToken) String() string {
	data, _ := json.Marshal(t) // A number and a string always encode.
	return base64.RawURLEncoding.EncodeToString(data)
}

func parseContinue(s string) (continueToken, error) {
	var t continueToken
	data, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil {
		err = json.Unmarshal(data, &t)
	}
	if err == nil && (t.Rev == 0 || t.Rev < -1) {
		err = errors.New("incorrect encoded start resourceVersion")
	}
	if err != nil {
		return t, apierrors.NewBadRequest("invalid continue token: continue key is not valid: " + err.Error())
	}
	return t, nil
}

func (s *Server) list(res *resource, opts *internalversion.ListOptions, f *filter) (*page, error) {
	s.mu.RLock()
	sh, current := s.shelves[res.groupResource()], s.rev
	objects, rev, after := sh.objects, current, ""
	var err error
	switch {
	case opts.Continue != "" && opts.ResourceVersion != "" && opts.ResourceVersion != "0":
		err = apierrors.NewBadRequest("specifying resource version is not allowed when using continue")
	case opts.Continue != "":
		var token continueToken
		if token, err = parseContinue(opts.Continue); err != nil {
			break
		}
		after = token.After
		if token.Rev < 0 {
			break
		}
		if rev = uint64(token.Rev); rev > current {
			err = apierrors.NewBadRequest("invalid continue token: continue key is not valid: it is of a revision that is yet to come")
		} else if objects, err = sh.at(rev); apierrors.IsResourceExpired(err) {
			err = expiredPage(after)
		}
	case opts.ResourceVersion != "" && opts.ResourceVersion != "0":
		var want uint64
		if want, err = parseRevision(opts.ResourceVersion); err != nil {
			err = apierrors.NewBadRequest("invalid resource version: " + err.Error())
			break
		}
		if want > current {
			err = tooLarge(want, current)
		} else if opts.ResourceVersionMatch == metav1.ResourceVersionMatchExact {
			rev = want
			objects, err = sh.at(rev)
		}
	}
	var records []*record
	if err == nil {
		records = sorted(objects, f.namespace)
	}
	s.mu.RUnlock()
	if err != nil {
		return nil, err
	}
	return cut(records, rev, after, opts, f), nil
}

// cut makes the page that begins after a key.
func cut(records []*record, rev uint64, after string, opts *internalversion.ListOptions, f *filter) *page {
	p := &page{rev: rev, records: []*record{}}
	if after != "" {
		i, found := slices.BinarySearchFunc(records, after, func(r *record, key string) int { return strings.Compare(r.key(), key) })
		if found {
			i++
		}
		records = records[i:]
	}
	limit := opts.Limit
	if opts.ResourceVersion == "0" && opts.Continue == "" {
		limit = 0 // A real API server answers these whole, from its cache.
	}
	for i, rec := range records {
		if !f.matches(rec.obj) {
			continue
		}
		if limit > 0 && int64(len(p.records)) == limit {
			p.next = continueToken{Rev: int64(rev), After: p.records[limit-1].key()}.String()
			if f.empty() {
				remaining := int64(len(records) - i)
				p.remaining = &remaining
			}
			break
		}
		p.records = append(p.records, rec)
	}
	return p
}

func parseRevision(s string) (uint64, error) {
	rev, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, field.Invalid(field.NewPath("resourceVersion"), s, err.Error())
	}
	return rev, nil
}

// tooLarge is the answer to a resource version that is yet to come.
func tooLarge(want, current uint64) error {
	err := apierrors.NewTimeoutError(fmt.Sprintf("Too large resource version: %d, current: %d", want, current), 1)
	err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: metav1.CauseTypeResourceVersionTooLarge, Message: "Too large resource version"}}
	return err
}

// expiredPage says that the rest of a paged list can only be had from the newest state, and gives the token for that.
func expiredPage(after string) error {
	err := apierrors.NewResourceExpired("The provided continue parameter is too old to display a consistent list result. Start the list anew, or go on with the token in this answer, which gives an inconsistent list.")
	err.ErrStatus.ListMeta.Continue = continueToken{Rev: -1, After: after}.String()
	return err
}

func (s *Server) serveGet(w http.ResponseWriter, req *request) error {
	if given := req.query.Get("resourceVersion"); given != "" {
		want, err := parseRevision(given)
		if err != nil {
			return plainError(err)
		}
		if current := s.revision(); want > current {
			return tooLarge(want, current)
		}
	}
	rec, err := s.get(req.res, req.namespace, req.name)
	if err != nil {
		return err
	}
	return s.writeRecord(w, req, http.StatusOK, rec)
}

func (s *Server) serveList(w http.ResponseWriter, req *request) error {
	form, err := negotiate(req)
	if err != nil {
		return err
	}
	opts, f, err := listOptions(req)
	if err != nil {
		return err
	}
	f.namespace = req.namespace
	p, err := s.list(req.res, opts, f)
	if err != nil {
		return err
	}
	return s.writePage(w, req, form, p)
}

func (s *Server) writePage(w http.ResponseWriter, req *request, f form, p *page) error {
	meta := metav1.ListMeta{ResourceVersion: strconv.FormatUint(p.rev, 10), Continue: p.next, RemainingItemCount: p.remaining}
	if f.as == asTable {
		table, err := s.table(req, p.records, true)
		if err != nil {
			return err
		}
		table.ListMeta = meta
		return s.writeAnswer(w, req, http.StatusOK, f, table)
	}
	kind, apiVersion := req.res.kind+"List", req.apiVersion()
	if f.as == asMetadata {
		kind, apiVersion = "PartialObjectMetadataList", metav1.SchemeGroupVersion.String()
	}
	list := map[string]any{"kind": kind, "apiVersion": apiVersion, "metadata": meta}
	if req.res.custom && f.as == asIs && meta.Continue == "" {
		// What a custom resource's lists are made of says this always.
		list["metadata"] = map[string]any{"resourceVersion": meta.ResourceVersion, "continue": ""}
	}
	head, err := json.Marshal(list)
	if err != nil {
		return fmt.Errorf("encode a list: %w", err)
	}
	var body bytes.Buffer
	body.Write(head[:len(head)-1])
	body.WriteString(`,"items":[`)
	for i, rec := range p.records {
		if i > 0 {
			body.WriteByte(',')
		}
		item, err := encode(req, rec, f.as, true)
		if err != nil {
			return err
		}
		body.Write(item)
	}
	body.WriteString("]}")
	return s.writeEncoded(w, req, http.StatusOK, f, body.Bytes())
}

func (s *Server) revision() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.rev
}

// writeRecord answers one object in the form that the client asked for.
func (s *Server) writeRecord(w http.ResponseWriter, req *request, code int, rec *record) error {
	f, err := negotiate(req)
	if err != nil {
		return err
	}
	if f.as == asTable {
		table, err := s.table(req, []*record{rec}, true)
		if err != nil {
			return err
		}
		table.ResourceVersion = rec.obj.GetResourceVersion()
		return s.writeAnswer(w, req, code, f, table)
	}
	body, err := encode(req, rec, f.as, false)
	if err != nil {
		return err
	}
	return s.writeEncoded(w, req, code, f, body)
}

// encode gives an object whole or its metadata alone. The items of a list of a built-in kind do not say what they are.
func encode(req *request, rec *record, as shape, item bool) ([]byte, error) {
	switch {
	case as == asMetadata:
		return json.Marshal(partial(rec.obj))
	case item && !req.res.custom:
		return rec.item(req.apiVersion())
	}
	return rec.JSON(req.apiVersion())
}

func partial(obj *unstructured.Unstructured) map[string]any {
	return map[string]any{"kind": "PartialObjectMetadata", "apiVersion": metav1.SchemeGroupVersion.String(), "metadata": obj.Object["metadata"]}
}
