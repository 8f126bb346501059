package kubesim

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	"sigs.k8s.io/yaml"
)

// maxBody is what a real API server takes in one request, in bytes.
const maxBody = 3 << 20

// serverVersion is that of the API server that kubesim is held to.
const serverVersion = "v1.37.2"

// compressFrom is the size from which a real API server compresses an answer, in bytes.
const compressFrom = 128 << 10

// request is one call to a resource, taken apart as a real API server takes its URLs apart.
type request struct {
	*http.Request
	query     url.Values
	user      User
	verb      string
	gvr       schema.GroupVersionResource
	namespace string
	name      string
	sub       string
	res       *resource // nil until it was found
}

// rbacResource is the resource as RBAC rules name it.
func (r *request) rbacResource() string {
	if r.sub != "" {
		return r.gvr.Resource + "/" + r.sub
	}
	return r.gvr.Resource
}

// apiVersion is the version that the answer is in.
func (r *request) apiVersion() string { return r.gvr.GroupVersion().String() }

func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	path := strings.Trim(r.URL.Path, "/")
	switch path {
	case "readyz", "healthz", "livez":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprint(w, "ok")
		return
	case "version":
		s.writeJSON(w, http.StatusOK, version.Info{Major: "1", Minor: "37", GitVersion: serverVersion, GitTreeState: "clean", Compiler: "gc", Platform: "linux/amd64"})
		return
	}
	user, err := s.authenticate(r)
	if err != nil {
		s.writeError(w, err)
		return
	}
	if s.serveMeta(w, r, path) {
		return
	}
	req, ok := parse(r, path)
	if !ok || !slices.Contains(s.groups(), req.gvr.Group) {
		http.Error(w, "404 page not found", http.StatusNotFound)
		return
	}
	req.user = s.faults.restricted(user)
	stop, err := limitTime(req)
	if err != nil {
		s.writeError(w, err)
		return
	}
	defer stop()
	if err := s.serveResource(w, req); err != nil {
		s.writeError(w, err)
	}
}

// limitTime ends a request after the time that it gives itself.
func limitTime(req *request) (stop func(), err error) {
	given := req.query.Get("timeout")
	if given == "" {
		return func() {}, nil
	}
	limit, err := time.ParseDuration(given)
	if err != nil {
		return nil, apierrors.NewBadRequest("invalid timeout specified in the request URL - " + err.Error())
	}
	if limit <= 0 || req.verb == "watch" {
		return func() {}, nil
	}
	ctx, cancel := context.WithTimeout(req.Context(), limit)
	req.Request = req.WithContext(ctx)
	return cancel, nil
}

// authenticate finds the user of a bearer token, or of the one that he impersonates.
func (s *Server) authenticate(r *http.Request) (User, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	user, ok := s.cfg.Tokens[strings.TrimSpace(token)]
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return User{}, apierrors.NewUnauthorized("Unauthorized")
	}
	as := r.Header.Get("Impersonate-User")
	groups := r.Header.Values("Impersonate-Group")
	switch {
	case as == "" && len(groups) > 0:
		return User{}, apierrors.NewBadRequest(fmt.Sprintf("requested &user.DefaultInfo{Name:\"\", UID:\"\", Groups:%#v, Extra:map[string][]string(nil)} without impersonating a user name", groups))
	case as == "":
		return user, nil
	case user.Deny != nil && user.Deny("impersonate", "", "users", "", as):
		req, ok := parse(r, strings.Trim(r.URL.Path, "/"))
		if !ok {
			req = &request{gvr: schema.GroupVersionResource{Resource: "users"}, name: as}
		}
		req.user, req.verb = user, "impersonate-on:user-info:"+req.verb
		return User{}, forbidden(req)
	}
	for _, known := range s.cfg.Tokens {
		if known.Name == as {
			return known, nil
		}
	}
	// Nobody has granted an unknown user anything.
	return User{Name: as, Deny: func(string, string, string, string, string) bool { return true }}, nil
}

// parse takes a resource path apart: [api/v1 | apis/group/version] [namespaces/ns] resource [name [subresource]].
func parse(r *http.Request, path string) (*request, bool) {
	parts := strings.Split(path, "/")
	req := &request{Request: r, query: r.URL.Query()}
	if i := slices.Index(parts, "watch"); i == 2 && parts[0] == "api" || i == 3 && parts[0] == "apis" {
		// The deprecated way to ask for a watch.
		parts = slices.Delete(parts, i, i+1)
		req.query.Set("watch", "true")
	}
	switch {
	case len(parts) >= 3 && parts[0] == "api":
		req.gvr.Version, parts = parts[1], parts[2:]
	case len(parts) >= 4 && parts[0] == "apis":
		req.gvr.Group, req.gvr.Version, parts = parts[1], parts[2], parts[3:]
	default:
		return nil, false
	}
	if parts[0] == "namespaces" && len(parts) > 2 && !slices.Contains([]string{"status", "finalize"}, parts[2]) {
		req.namespace, parts = parts[1], parts[2:]
	}
	if len(parts) > 3 && parts[2] != "proxy" { // What is proxied has a path of its own.
		return nil, false
	}
	req.gvr.Resource = parts[0]
	if len(parts) > 1 {
		req.name = parts[1]
	}
	if len(parts) > 2 {
		req.sub = parts[2]
	}
	if req.gvr.Resource == "namespaces" && req.gvr.Group == "" {
		req.namespace = req.name
	}
	req.verb = verbOf(req)
	return req, true
}

func verbOf(req *request) string {
	switch req.Method {
	case http.MethodGet, http.MethodHead:
		watching := req.query.Get("watch")
		switch {
		case req.name != "":
			return "get"
		case watching == "true" || watching == "1":
			return "watch"
		default:
			return "list"
		}
	case http.MethodPost:
		return "create"
	case http.MethodPut:
		return "update"
	case http.MethodPatch:
		return "patch"
	case http.MethodDelete:
		if req.name == "" {
			return "deletecollection"
		}
		return "delete"
	}
	return strings.ToLower(req.Method)
}

// isReview tells what everybody may ask about himself.
func isReview(gvr schema.GroupVersionResource) bool {
	return strings.HasPrefix(gvr.Resource, "selfsubject")
}

// routeError is the answer to a request that fits no resource and method.
func routeError(code int, message string) error {
	return apierrors.NewGenericServerResponse(code, "", schema.GroupResource{}, "", message, 0, false)
}

// serveResource checks, in the order of a real API server, what the user may do, whether there is such a thing, and does it.
func (s *Server) serveResource(w http.ResponseWriter, req *request) error {
	if req.user.Deny != nil && !isReview(req.gvr) && req.user.Deny(req.verb, req.gvr.Group, req.rbacResource(), req.namespace, req.name) {
		return forbidden(req)
	}
	if req.res = s.find(req.gvr); req.res == nil || (req.res.namespaced && req.namespace == "" && req.name != "") {
		return routeError(http.StatusNotFound, "")
	}
	if !req.res.namespaced {
		req.namespace = ""
	}
	verbs := req.res.verbs()
	if req.sub != "" {
		sub, ok := req.res.subresource(req.sub)
		if !ok {
			return routeError(http.StatusNotFound, "")
		}
		verbs = sub.verbs
	}
	if !slices.Contains(verbs, req.verb) || (req.verb == "create" && (req.name != "" && req.sub != "proxy" || (req.res.namespaced && req.namespace == ""))) || (req.name == "" && (req.verb == "update" || req.verb == "patch")) {
		return routeError(http.StatusMethodNotAllowed, "")
	}
	if req.res.kind == "Endpoints" {
		addWarning(w, "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice")
	}
	// Before anything is done, so that what cannot be answered is not done either. Logs and pods answer as they like.
	if _, err := negotiate(req); err != nil && req.sub != "log" && req.sub != "proxy" {
		return err
	}
	switch {
	case !req.res.stored():
		return s.serveReview(w, req)
	case req.sub == "proxy":
		return s.serveProxy(w, req)
	case req.sub == "log":
		return s.serveLog(w, req)
	case req.sub == "scale":
		return s.serveScale(w, req)
	}
	switch req.verb {
	case "get":
		return s.serveGet(w, req)
	case "list":
		return s.serveList(w, req)
	case "watch":
		return s.serveWatch(w, req)
	case "create":
		return s.serveCreate(w, req)
	case "update":
		return s.serveUpdate(w, req)
	case "patch":
		return s.servePatch(w, req)
	case "delete":
		return s.serveDelete(w, req)
	default:
		return s.serveDeleteCollection(w, req)
	}
}

func (s *Server) find(gvr schema.GroupVersionResource) *resource {
	for _, r := range s.resources {
		if r.group == gvr.Group && r.plural == gvr.Resource && r.serves(gvr.Version) {
			return r
		}
	}
	return nil
}

// forbidden is RBAC's refusal in the API server's words.
func forbidden(req *request) error {
	scope := "at the cluster scope"
	if req.namespace != "" {
		scope = fmt.Sprintf("in the namespace %q", req.namespace)
	}
	return apierrors.NewForbidden(req.gvr.GroupResource(), req.name, fmt.Errorf("User %q cannot %s resource %q in API group %q %s", req.user.Name, req.verb, req.rbacResource(), req.gvr.Group, scope)) //nolint:staticcheck // The API server's own words.
}

// statusOf is the status that an error is answered with. What is not a status error is not for the client to see.
func (s *Server) statusOf(err error) metav1.Status {
	var known apierrors.APIStatus
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &known):
	case errors.As(err, &tooLarge):
		known = apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("limit is %d", tooLarge.Limit))
	default:
		if !errors.Is(err, context.Canceled) {
			s.log.Error("request failed", "error", err)
		}
		known = apierrors.NewInternalError(errors.New("see the server's log"))
	}
	status := known.Status()
	status.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	return status
}

func (s *Server) writeError(w http.ResponseWriter, err error) {
	status := s.statusOf(err)
	if status.Details != nil && status.Details.RetryAfterSeconds > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(status.Details.RetryAfterSeconds)))
	}
	s.writeJSON(w, int(status.Code), status)
}

func (s *Server) writeJSON(w http.ResponseWriter, code int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		s.log.Error("encode an answer", "error", err)
		code, body = http.StatusInternalServerError, []byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"InternalError","code":500}`)
	}
	s.writeBytes(w, code, mediaJSON, append(body, '\n'))
}

// writeAnswer encodes what a request is answered with.
func (s *Server) writeAnswer(w http.ResponseWriter, req *request, code int, f form, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode an answer: %w", err)
	}
	return s.writeEncoded(w, req, code, f, body)
}

// writeEncoded sends JSON in the form that the client asked for, compressed when it is large and the client takes that.
func (s *Server) writeEncoded(w http.ResponseWriter, req *request, code int, f form, body []byte) error {
	media := mediaJSON
	if f.yaml {
		var err error
		if body, err = yaml.JSONToYAML(body); err != nil {
			return fmt.Errorf("encode an answer as YAML: %w", err)
		}
		media = mediaYAML
	}
	if len(body) < compressFrom || !strings.Contains(req.Header.Get("Accept-Encoding"), "gzip") {
		s.writeBytes(w, code, media, body)
		return nil
	}
	var b bytes.Buffer
	zip, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return fmt.Errorf("compress an answer: %w", err)
	}
	if _, err := zip.Write(body); err != nil {
		return fmt.Errorf("compress an answer: %w", err)
	}
	if err := zip.Close(); err != nil {
		return fmt.Errorf("compress an answer: %w", err)
	}
	w.Header().Set("Content-Encoding", "gzip")
	w.Header().Add("Vary", "Accept-Encoding")
	s.writeBytes(w, code, media, b.Bytes())
	return nil
}

func (s *Server) writeBytes(w http.ResponseWriter, code int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-cache, private")
	w.WriteHeader(code)
	if _, err := w.Write(body); err != nil {
		s.log.Debug("the client went away", "error", err)
	}
}
