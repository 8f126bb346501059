package awssim

import (
	"cmp"
	"errors"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/smithy-go"
)

// maxBody bounds a request; the largest of ELBv2 are far smaller.
const maxBody = 4 << 20

// maxCalls bounds the log of calls; the oldest ones go first.
const maxCalls = 100_000

// api is one service: how it is spoken to, and its operations by name.
type api struct {
	*dialect
	service    string
	namespace  string
	operations map[string]operation
}

// operation is one API call. Its run is called with the lock held.
type operation struct {
	input, output reflect.Type // pointers to the SDK's structs
	write         bool
	run           func(input any) (any, error)
}

// Call is one request that reached Handler.
type Call struct {
	Service   string // "elasticloadbalancing", "ec2", "autoscaling" or "sts"
	Action    string
	Time      time.Time
	RequestID string
	Error     string // the AWS error code, or empty
}

type callLog struct {
	mu    sync.Mutex
	calls []Call
}

func (l *callLog) add(c Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.calls) >= maxCalls {
		l.calls = slices.Delete(l.calls, 0, maxCalls/10)
	}
	l.calls = append(l.calls, c)
}

// Calls gives the requests that reached Handler, in the order in which they
// were answered. It keeps the latest ones, up to 100,000.
func (s *Sim) Calls() []Call {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	return slices.Clone(s.calls.calls)
}

// Handler serves the AWS query protocol: POST / with Action and Version in the
// form, the service chosen by Version, since names of actions repeat across
// services. A request must be signed in the shape of Signature Version 4 for
// this Region, but the signature is not verified.
func (s *Sim) Handler() http.Handler {
	return http.HandlerFunc(s.serveAPI)
}

func (s *Sim) serveAPI(w http.ResponseWriter, r *http.Request) {
	call := Call{Time: s.now(), RequestID: requestID()}
	service, output, err := s.answer(w, r, &call)
	if errors.Is(err, errNoAnswer) {
		s.calls.add(call)
		panic(http.ErrAbortHandler)
	}
	var body []byte
	status := http.StatusOK
	if err != nil {
		var failed smithy.APIError
		if !errors.As(err, &failed) {
			failed = apiError("InternalFailure", "%v", err)
		}
		call.Error = cmp.Or(service.codes[failed.ErrorCode()], failed.ErrorCode())
		status = statusOf(call.Error)
		body = service.failure(service.namespace, call.RequestID, call.Error, failed.ErrorMessage(), status < http.StatusInternalServerError)
	} else {
		body = service.response(call.Action, service.namespace, call.RequestID, output)
	}
	s.calls.add(call)
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("X-Amzn-Requestid", call.RequestID)
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil {
		s.log.Debug("an API answer was not taken", "error", err)
	}
}

// answer reads one request and runs its operation. The service is valid, if
// only for its namespace, also when there is an error.
func (s *Sim) answer(w http.ResponseWriter, r *http.Request, call *Call) (api, any, error) {
	service := s.apis[versionELB]
	if r.Method != http.MethodPost || r.URL.Path != "/" {
		return service, nil, apiError("InvalidAction", "Requests are POST /, not %s %s", r.Method, shorten(r.URL.Path))
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return service, nil, apiError("MalformedInput", "The request could not be read")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return service, nil, apiError("MalformedQueryString", "The request is no form")
	}
	call.Action = form.Get("Action")
	known, ok := s.apis[form.Get("Version")]
	if ok {
		service = known
		call.Service = service.service
	}
	op, okAction := service.operations[call.Action]
	if !ok || !okAction {
		return service, nil, apiError("InvalidAction", "Could not find operation %s for version %s",
			shorten(call.Action), shorten(form.Get("Version")))
	}
	if err := s.authenticate(r.Header.Get("Authorization"), service.service); err != nil {
		return service, nil, err
	}
	if err := s.admit(service, op); err != nil {
		return service, nil, err
	}
	trouble := s.faults.meet(call.Action, op.write)
	if err := trouble.before(r.Context(), service.service, call.Action, s.caller()); err != nil {
		return service, nil, err
	}
	params, err := parseParams(form)
	if err != nil {
		return service, nil, err
	}
	input := reflect.New(op.input.Elem()).Interface()
	if err := service.decode(params, input); err != nil {
		return service, nil, err
	}
	output, err := s.run(op, input)
	if lost := trouble.after(r.Context()); lost != nil {
		return service, nil, lost
	}
	return service, output, err
}

// authenticate looks at the shape of the Authorization header and at the scope
// of its credential, as far as AWS would refuse it without knowing the key.
func (s *Sim) authenticate(header, service string) error {
	const scheme = "AWS4-HMAC-SHA256"
	if header == "" {
		return apiError("MissingAuthenticationToken", "Request is missing Authentication Token")
	}
	rest, ok := strings.CutPrefix(header, scheme)
	_, credential, found := strings.Cut(rest, "Credential=")
	if !ok || !found {
		return apiError("IncompleteSignature", "The Authorization header has no %s credential", scheme)
	}
	credential, _, _ = strings.Cut(credential, ",")
	scope := strings.Split(strings.TrimSpace(credential), "/")
	if len(scope) < 5 || scope[0] == "" || scope[len(scope)-1] != "aws4_request" {
		return apiError("IncompleteSignature", "The credential has no valid scope")
	}
	region, signed := scope[len(scope)-3], scope[len(scope)-2]
	if signed != service {
		return apiError("SignatureDoesNotMatch", "Credential should be scoped to correct service: '%s'.", service)
	}
	// The global endpoint of STS takes credentials of any Region.
	if region != s.cfg.Region && service != serviceSTS {
		return apiError("SignatureDoesNotMatch", "Credential should be scoped to a valid region, not '%s'.", shorten(region))
	}
	return nil
}

// requestID gives a random identifier in the form of a UUID.
func requestID() string {
	id := randomHex(16)
	return id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:]
}
