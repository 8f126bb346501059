package model_test

import (
	"testing"

	"github.com/istio-cutover/cutover/model"
)

func TestGoodProbe(t *testing.T) {
	backend := func(status int) model.ProbeResult {
		return model.ProbeResult{Status: status, Backend: true, Envoy: true}
	}
	gateway := func(status int, location string) model.ProbeResult {
		return model.ProbeResult{Status: status, Envoy: true, Location: location}
	}
	balancer := func(status int, location string) model.ProbeResult {
		return model.ProbeResult{Status: status, Location: location, Target: model.ProbeTarget{Path: model.PathLoadBalancer}}
	}
	failed := func(kind model.ProbeErrorKind) model.ProbeResult {
		return model.ProbeResult{Error: &model.ProbeError{Kind: kind, Message: "m"}}
	}
	through := func(r model.ProbeResult, cert string) model.ProbeResult {
		r.Target.Passthrough, r.Backend = true, false
		r.TLS = &model.ProbeTLS{SHA256: cert}
		return r
	}
	tests := []struct {
		name   string
		r, old model.ProbeResult
		want   model.ProbeErrorKind // "" for good
	}{
		{"same", backend(200), backend(200), ""},
		{"same class", backend(302), backend(301), ""},
		{"same class of errors", backend(404), backend(401), ""},
		{"both broken behind", backend(502), backend(500), ""},
		{"another class", backend(404), backend(200), model.ProbeDiffers},
		{"backend broken", backend(500), backend(200), model.ProbeBackend5xx},
		{"no route", gateway(404, ""), backend(200), model.ProbeNoRoute},
		{"no route on both", gateway(404, ""), gateway(404, ""), model.ProbeNoRoute},
		{"no backend", gateway(503, ""), backend(200), model.ProbeGateway503},
		{"gateway answers", gateway(403, ""), backend(403), model.ProbeDiffers},
		{"gateway redirects", gateway(301, "https://h/"), gateway(301, "https://h/"), ""},
		{"gateway redirects elsewhere", gateway(301, "https://h:8443/"), gateway(301, "https://h/"), model.ProbeDiffers},
		{"gateway redirects, old's backend does", gateway(301, "https://h/"), backend(301), model.ProbeDiffers},
		{"refused", failed(model.ProbeRefused), backend(200), model.ProbeRefused},
		{"no status", model.ProbeResult{}, backend(200), model.ProbeProtocol},
		{"old fails", backend(200), failed(model.ProbeTimeout), model.ProbeDiffers},
		{"old unknown", backend(200), model.ProbeResult{}, model.ProbeDiffers},
		{"load balancer answers 503", balancer(503, ""), backend(200), model.ProbeDiffers},
		{"load balancer answers 404", balancer(404, ""), backend(200), model.ProbeDiffers},
		{"load balancer asks to log in", balancer(302, "https://login/"), backend(200), ""},
		{"passthrough", through(backend(200), "a"), through(backend(204), "a"), ""},
		{"passthrough to another certificate", through(backend(200), "b"), through(backend(200), "a"), model.ProbeCertificate},
		{"passthrough in another class", through(backend(500), "a"), through(backend(200), "a"), model.ProbeDiffers},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			good, err := model.GoodProbe(test.r, test.old)
			if good != (test.want == "") || (err == nil) != good || err != nil && err.Kind != test.want {
				t.Errorf("got %v %v, want %q", good, err, test.want)
			}
		})
	}
}
