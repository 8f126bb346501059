package kube

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/istio-cutover/cutover/kube/kubesim"
	"github.com/istio-cutover/cutover/model"
)

func TestConvertSecret(t *testing.T) {
	cert, key := certificate(t, "a.example", "*.b.example")
	other, _ := certificate(t, "intermediate")
	for _, test := range []struct {
		name  string
		data  map[string][]byte
		error string
	}{
		{"kubernetes.io/tls", map[string][]byte{"tls.crt": slices.Concat(cert, other), "tls.key": key}, ""},
		{"generic", map[string][]byte{"cert": cert, "key": key}, ""},
		{"authorities", map[string][]byte{"ca.crt": cert}, ""},
		{"a key before the certificate", map[string][]byte{"tls.crt": slices.Concat(key, cert), "tls.key": key}, ""},
		{"nothing", nil, "neither tls.crt nor cert"},
		{"a key alone", map[string][]byte{"tls.key": key}, "neither tls.crt nor cert"},
		{"empty", map[string][]byte{"tls.crt": []byte("\n"), "tls.key": key}, "neither tls.crt nor cert"},
		{"only a key where the certificate belongs", map[string][]byte{"tls.crt": key}, "tls.crt holds no certificate"},
		{"noise", map[string][]byte{"tls.crt": []byte("\x1b[31mnoise")}, "tls.crt holds no certificate"},
		{"a broken certificate", map[string][]byte{"tls.crt": []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")}, "tls.crt: x509: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			kept := map[string][]byte{}
			for name, content := range test.data {
				test.data[name] = bytes.Clone(content)
				kept[name] = test.data[name]
			}
			got := convertSecret(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "s"}, Data: test.data})
			if !got.Exists || !got.Readable || got.Name.String() != "n/s" {
				t.Errorf("got %+v", got)
			}
			if test.error == "" && (got.Error != "" || len(got.SHA256) != 64 || !slices.Equal(got.DNSNames, []string{"a.example", "*.b.example"})) {
				t.Errorf("got %+v", got)
			}
			if test.error != "" && (!strings.Contains(got.Error, test.error) || got.SHA256 != "") {
				t.Errorf("error %q, want %q", got.Error, test.error)
			}
			for name, content := range kept {
				if len(bytes.Trim(content, "\x00")) > 0 || len(test.data) > 0 {
					t.Errorf("%s is still in memory", name)
				}
			}
		})
	}
}

func TestSecretNames(t *testing.T) {
	labels := map[string]string{"app": "x"}
	server := func(mode, credential string) model.Server {
		return model.Server{TLSMode: mode, CredentialName: credential}
	}
	gateway := func(ns string, servers ...model.Server) model.Gateway {
		return model.Gateway{Name: named(ns, "g"), Selector: labels, Servers: servers}
	}
	pod := func(ns string) model.Pod { return model.Pod{Name: named(ns, "p"), Labels: labels} }
	service := model.Service{Name: named("svc", "s"), Selector: labels, Ports: []model.ServicePort{{Port: 443}}}
	for _, test := range []struct {
		name     string
		gateway  model.Gateway
		services []model.Service
		pods     []model.Pod
		want     map[model.ObjectName]bool
	}{
		{"its own namespace", gateway("a", server("SIMPLE", "c")), nil, nil, map[model.ObjectName]bool{named("a", "c"): true}},
		{"its own namespace first", gateway("a", server("SIMPLE", "c")), nil, []model.Pod{pod("b"), pod("a")}, map[model.ObjectName]bool{named("a", "c"): true}},
		{"its pods'", gateway("a", server("SIMPLE", "c")), nil, []model.Pod{pod("b")}, map[model.ObjectName]bool{named("b", "c"): true}},
		{"its Service's", gateway("a", server("SIMPLE", "c")), []model.Service{service}, nil, map[model.ObjectName]bool{named("svc", "c"): true}},
		{
			"mutual", gateway("a", server("MUTUAL", "m"), server("OPTIONAL_MUTUAL", "o"), server("SIMPLE", "m-cacert")), nil, nil,
			map[model.ObjectName]bool{named("a", "m"): true, named("a", "m-cacert"): true, named("a", "o"): true, named("a", "o-cacert"): false},
		},
		{"none", gateway("a", server("PASSTHROUGH", "c"), server("SIMPLE", ""), server("", "")), nil, nil, map[model.ObjectName]bool{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			same(t, secretNames([]model.Gateway{test.gateway}, test.services, test.pods), test.want)
		})
	}
}

func TestReadSecrets(t *testing.T) {
	sim, s := simulated(t, kubesim.Config{}, nil)
	s.populate(t)
	cert, _ := certificate(t, "authority")
	create(t, s.core.CoreV1().Secrets("istio-system").Create, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "public-cert-cacert"}, Data: map[string][]byte{"ca.crt": cert},
	})
	sim.setDeny(func(_, _, resource, _, name string) bool { return resource == "secrets" && name == "secret" })
	c := clientFor(t, sim.kubeconfig("flexible-token"), Options{})
	got := c.readSecrets(t.Context(), map[model.ObjectName]bool{
		named("istio-system", "public-cert"): true, named("istio-system", "public-cert-cacert"): false,
		named("istio-system", "other-cacert"): false, named("istio-system", "missing"): true, named("istio-system", "secret"): false,
	})
	states := map[string]string{}
	for name, s := range got.secrets {
		switch {
		case !s.Readable:
			states[name.Name] = "denied"
		case !s.Exists:
			states[name.Name] = "missing"
		default:
			states[name.Name] = s.Error + s.SHA256[:0] + "read"
		}
	}
	same(t, states, map[string]string{"public-cert": "read", "public-cert-cacert": "read", "missing": "missing", "secret": "denied"})
	if err := firstFailure(got.failures); model.KindOf(err) != model.KindAccess || !strings.HasPrefix(message(err), "istio-system/secret: ") {
		t.Errorf("failure %v", err)
	}
}

func TestYAMLOfHostileObjects(t *testing.T) {
	_, s := simulated(t, kubesim.Config{}, nil)
	_, key := certificate(t, "a.example")
	create(t, s.core.CoreV1().Secrets("default").Create, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "odd", Annotations: map[string]string{
			lastApplied: `{"data":{"tls.key":"c2VjcmV0"}}`, "note": "\x1b[31mred\u202e\x07",
		}},
		Data: map[string][]byte{"tls.key": key, "password": []byte("hunter2")},
	})
	got, err := clientFor(t, s.admin, Options{}).YAML(t.Context(), "Secret", named("default", "odd"))
	if err != nil {
		t.Fatal(err)
	}
	for _, forbidden := range []string{"c2VjcmV0", lastApplied, "hunter2", "aHVudGVyMg", "\x1b", "\u202e", "\x07"} {
		if strings.Contains(got, forbidden) {
			t.Errorf("%q is in\n%s", forbidden, got)
		}
	}
	for _, want := range []string{"password: (7 bytes, not shown)", "error: it has neither tls.crt nor cert", "name: odd"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
}
