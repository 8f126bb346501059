package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/istio-cutover/cutover/model"
)

// Over HTTP, under a path that cannot be guessed since loopback is everybody's:
//
//	GET    faults           all faults
//	DELETE faults           all off
//	PUT    faults/NAME?arg= one on
//	DELETE faults/NAME      one off
//
// The answer is a list of faults or one, and {"error": …} otherwise.

// maxControl bounds what is read of an answer, in bytes.
const maxControl = 1 << 20

// controlError is a [model.Error] on its way.
type controlError struct {
	Kind      model.Kind `json:"kind"`
	Operation string     `json:"operation"`
	Object    string     `json:"object"`
	Message   string     `json:"message"`
	Remedy    string     `json:"remedy"`
}

// startControl serves the faults on the listener that claims the network.
func (s *Sandbox) startControl(log *slog.Logger) error {
	secret, err := randomHex(16)
	if err != nil {
		return err
	}
	s.control = "http://" + s.net.claim.Addr().String() + "/" + secret
	mux := http.NewServeMux()
	mux.HandleFunc("GET /faults", func(w http.ResponseWriter, _ *http.Request) { answer(w, s.Faults(), nil) })
	mux.HandleFunc("DELETE /faults", func(w http.ResponseWriter, r *http.Request) {
		err := s.FaultsOff(r.Context())
		answer(w, s.Faults(), err)
	})
	mux.HandleFunc("PUT /faults/{name}", func(w http.ResponseWriter, r *http.Request) {
		f, err := s.Fault(r.Context(), r.PathValue("name"), r.URL.Query().Get("arg"))
		answer(w, f, err)
	})
	mux.HandleFunc("DELETE /faults/{name}", func(w http.ResponseWriter, r *http.Request) {
		f, err := s.FaultOff(r.Context(), r.PathValue("name"))
		answer(w, f, err)
	})
	server := s.server(http.StripPrefix("/"+secret, mux), log)
	// Serving ends with http.ErrServerClosed, when the sandbox is closed.
	s.group.Go(func() { _ = server.Serve(s.net.claim) })
	return nil
}

func answer(w http.ResponseWriter, value any, err error) {
	status := http.StatusOK
	if err != nil {
		status = http.StatusConflict
		said := controlError{Kind: model.KindInternal, Operation: "fault", Message: err.Error()}
		var known *model.Error
		if errors.As(err, &known) {
			said = controlError{Kind: known.Kind, Operation: known.Operation, Object: known.Object, Message: known.Cause(), Remedy: known.Remedy}
		}
		value = map[string]controlError{"error": said}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // A client that has gone away needs no answer.
}

// Control reaches a running sandbox from another process, by the URL that Env
// exports as CUTOVER_SANDBOX_CONTROL. Its errors are those of the Sandbox's own
// methods, and unreachable where the sandbox has ended. It may be used from
// several goroutines.
type Control struct{ URL string }

// Faults is [Sandbox.Faults].
func (c Control) Faults(ctx context.Context) ([]Fault, error) {
	var all []Fault
	err := c.ask(ctx, http.MethodGet, "", "", &all)
	return all, err
}

// FaultsOff is [Sandbox.FaultsOff].
func (c Control) FaultsOff(ctx context.Context) error {
	return c.ask(ctx, http.MethodDelete, "", "", &[]Fault{})
}

// Fault is [Sandbox.Fault].
func (c Control) Fault(ctx context.Context, name, argument string) (Fault, error) {
	var f Fault
	err := c.ask(ctx, http.MethodPut, name, argument, &f)
	return f, err
}

// FaultOff is [Sandbox.FaultOff].
func (c Control) FaultOff(ctx context.Context, name string) (Fault, error) {
	var f Fault
	err := c.ask(ctx, http.MethodDelete, name, "", &f)
	return f, err
}

func (c Control) ask(ctx context.Context, method, name, argument string, into any) error {
	address := strings.TrimSuffix(c.URL, "/") + "/faults"
	if name != "" {
		address += "/" + url.PathEscape(name) + "?" + url.Values{"arg": {argument}}.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return c.unreachable("it is no URL", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return c.unreachable("no sandbox answers there", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxControl))
	if err != nil {
		return c.unreachable("its answer broke off", err)
	}
	switch response.StatusCode {
	case http.StatusOK:
		if err := json.Unmarshal(body, into); err != nil {
			return c.unreachable("its answer is not a sandbox's", err)
		}
		return nil
	case http.StatusConflict:
		var failed struct{ Error controlError }
		if err := json.NewDecoder(bytes.NewReader(body)).Decode(&failed); err != nil {
			return c.unreachable("its answer is not a sandbox's", err)
		}
		e := failed.Error
		return &model.Error{Kind: e.Kind, Operation: e.Operation, Object: e.Object, Message: e.Message, Remedy: e.Remedy}
	default:
		return c.unreachable("another program, or another sandbox, answers there", fmt.Errorf("status %d", response.StatusCode))
	}
}

func (c Control) unreachable(what string, err error) error {
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err // The URL holds a secret.
	}
	return &model.Error{
		Kind: model.KindUnreachable, Operation: "reach the sandbox", Object: "CUTOVER_SANDBOX_CONTROL", Message: what + ": " + err.Error(),
		Remedy: "it has ended, or was started anew: start one with cutover sandbox --env-file FILE, and read its exports: . FILE", Err: err,
	}
}
