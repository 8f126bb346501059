package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/istio-cutover/cutover/aws/mototest"
	"github.com/istio-cutover/cutover/kube/kubeapitest"
	"github.com/istio-cutover/cutover/model"
)

// realWorld is a world that the sandbox did not make: a real kube-apiserver
// filled by kubectl, moto filled by boto3, and gateways that this file serves.
type realWorld struct {
	t    *testing.T
	dir  string
	moto string
	arns map[string]string
	env  []string
}

func newRealWorld(t *testing.T) *realWorld {
	t.Helper()
	if _, err := exec.LookPath("kubectl"); err != nil && os.Getenv("CI") != "true" {
		t.Skip("kubectl is missing: install it to run this test")
	}
	api, moto := kubeapitest.Start(t), mototest.Start(t)
	w := &realWorld{t: t, dir: t.TempDir(), moto: moto.URL}
	w.env = append(os.Environ(),
		"KUBECONFIG="+api.Kubeconfig, "AWS_ENDPOINT_URL="+moto.URL, "AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1",
		"AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x", "AWS_EC2_METADATA_DISABLED=true", "XDG_STATE_HOME="+w.dir)
	cert := w.certificate()
	w.kubectl("apply", "-f", "../../testdata/worlds/real.yaml")
	for _, ns := range []string{"istio-system", "istio-gateway"} {
		w.kubectl("create", "secret", "tls", "public-cert", "-n", ns, "--cert", filepath.Join(w.dir, "tls.crt"), "--key", filepath.Join(w.dir, "tls.key"))
		for _, pod := range []string{"public-ingressgateway-0", "passthrough-ingressgateway-0"} {
			w.kubectl("patch", "pod", pod, "-n", ns, "--subresource=status", "--type=merge", "-p",
				`{"status":{"phase":"Running","podIP":"10.1.0.1","podIPs":[{"ip":"10.1.0.1"}],"conditions":[{"type":"Ready","status":"True"}]}}`)
		}
	}
	for node, ip := range map[string]string{"node-1": "127.0.0.2", "node-2": "127.0.0.3"} {
		w.kubectl("patch", "node", node, "--subresource=status", "--type=merge", "-p",
			`{"status":{"addresses":[{"type":"InternalIP","address":"`+ip+`"}]}}`)
		for _, port := range []string{"30443", "30444", "32443", "32444"} {
			serve(t, net.JoinHostPort(ip, port), cert)
		}
	}
	if err := json.Unmarshal([]byte(w.python("make")), &w.arns); err != nil {
		t.Fatal(err)
	}
	return w
}

// certificate writes a certificate for the world's domain as kubectl wants it.
func (w *realWorld) certificate() tls.Certificate {
	w.t.Helper()
	cert, key := selfSigned(w.t, "*.real.example")
	for name, content := range map[string][]byte{"tls.crt": cert, "tls.key": key} {
		if err := os.WriteFile(filepath.Join(w.dir, name), content, 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		w.t.Fatal(err)
	}
	return pair
}

// selfSigned makes a certificate and its key, as PEM.
func selfSigned(t *testing.T, name string) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

// serve answers as a gateway with a backend behind it.
func serve(t *testing.T, address string, cert tls.Certificate) {
	t.Helper()
	l, err := tls.Listen("tcp", address, &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Server", "istio-envoy")
		w.Header().Set("X-Envoy-Upstream-Service-Time", "1")
	})}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
}

func (w *realWorld) command(name string, args ...string) (stdout, stderr string, err error) {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), name, args...)
	cmd.Env = w.env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

func (w *realWorld) kubectl(args ...string) {
	w.t.Helper()
	if out, errs, err := w.command("kubectl", args...); err != nil {
		w.t.Fatalf("kubectl %v: %v\n%s%s", args, err, out, errs)
	}
}

func (w *realWorld) python(what string) string {
	w.t.Helper()
	out, errs, err := w.command("python3", "../../testdata/worlds/moto.py", w.moto, what)
	if err != nil {
		w.t.Fatalf("moto.py %s: %v\n%s", what, err, errs)
	}
	return out
}

// cutover runs the program as a user would, in a process of its own, and
// wants the exit code.
func (w *realWorld) cutover(code int, args ...string) (stdout, stderr string) {
	w.t.Helper()
	out, errs, err := w.command("cutover", args...)
	got := 0
	if exit := (*exec.ExitError)(nil); err != nil {
		if !errors.As(err, &exit) {
			w.t.Fatal(err)
		}
		got = exit.ExitCode()
	}
	if got != code {
		w.t.Fatalf("cutover %s: exit %d, want %d\n%s%s", strings.Join(args, " "), got, code, out, errs)
	}
	return out, errs
}

// TestRealWorld: status, plan, shift and rollback are right on a world of
// other programs' making, and afterwards every rule means what it meant.
func TestRealWorld(t *testing.T) {
	t.Parallel()
	w := newRealWorld(t)
	before := w.python("rules")

	out, _ := w.cutover(0, "status", "-o", "json")
	var status struct {
		Hosts []struct {
			Host  string
			State model.State
		}
	}
	if err := json.Unmarshal([]byte(out), &status); err != nil {
		t.Fatal(err)
	}
	states := map[string]model.State{}
	for _, h := range status.Hosts {
		states[h.Host] = h.State
	}
	want := map[string]model.State{
		"argocd.real.example": model.StateOld, "gitlab.real.example": model.StateOld, "jira.real.example": model.StateOld,
		"wiki.real.example": model.StateOld, "one.shared.real.example": model.StateOld, "two.shared.real.example": model.StateOld,
		"sso.real.example": model.StateOld,
	}
	if diff := cmp.Diff(want, states); diff != "" {
		t.Errorf("states (-want +got):\n%s\n%s", diff, out)
	}

	for _, c := range []struct {
		host string
		code int
	}{{"argocd.real.example", 0}, {"gitlab.real.example", 0}, {"wiki.real.example", 0}, {"jira.real.example", 3}, {"one.shared.real.example", 3}} {
		w.cutover(c.code, "plan", "--host", c.host, "--to", "new")
	}
	if _, errs := w.cutover(3, "shift", "--host", "one.shared.real.example", "--to", "new", "--yes"); !strings.Contains(errs, "two.shared.real.example") {
		t.Errorf("the shared rule's others are not named: %s", errs)
	}
	if w.python("rules") != before {
		t.Fatal("plans and refusals changed something")
	}

	for _, selection := range [][]string{
		{"--host", "argocd.real.example"},
		{"--host", "gitlab.real.example"},
		{"--host", "wiki.real.example"},
		{"--lane", "passthrough"},
		{"--rule", w.arns["shared"]},
	} {
		w.cutover(0, append([]string{"shift", "--to", "new", "--yes", "--proof", "0"}, selection...)...)
		// Law 2: the plan of an applied intent is empty.
		out, _ := w.cutover(0, append([]string{"shift", "--to", "new", "--yes", "--proof", "0", "-o", "json"}, selection...)...)
		if !strings.Contains(out, `"outcome":"unchanged"`) {
			t.Errorf("%v a second time: %s", selection, out)
		}
	}
	out, _ = w.cutover(0, "status")
	if !strings.Contains(out, "6 of 7 hosts on new") {
		t.Errorf("after the shifts:\n%s", out)
	}
	if w.python("rules") == before {
		t.Fatal("boto3 sees no change")
	}

	script, _ := w.cutover(0, "rollback", "--all", "--print")
	if strings.Count(script, "aws elbv2 modify-") < 6 {
		t.Errorf("the script of the way back:\n%s", script)
	}
	w.cutover(0, "rollback", "--host", "wiki.real.example", "--yes")
	w.cutover(0, "rollback", "--all", "--yes")
	if diff := cmp.Diff(before, w.python("rules")); diff != "" {
		t.Errorf("the rules differ after the way back (-before +after):\n%s", diff)
	}
	w.cutover(0, "journal", "verify")

	// The printed script alone, run with the AWS CLI, is a way back too.
	w.cutover(0, "shift", "--to", "new", "--yes", "--proof", "0", "--host", "argocd.real.example", "--host", "wiki.real.example")
	script, _ = w.cutover(0, "rollback", "--all", "--print")
	path := filepath.Join(w.dir, "back.sh")
	if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, errs, err := w.command("sh", path); err != nil {
		t.Fatalf("the script: %v\n%s%s\n%s", err, out, errs, script)
	}
	if diff := cmp.Diff(before, w.python("rules")); diff != "" {
		t.Errorf("the rules differ after the script (-before +after):\n%s", diff)
	}

	// Somebody else's change is found, named and left.
	w.cutover(0, "shift", "--to", "new", "--yes", "--proof", "0", "--host", "argocd.real.example")
	if out, errs, err := w.command("aws", "elbv2", "modify-rule", "--rule-arn", w.arns["argocd"], "--actions",
		`Type=fixed-response,FixedResponseConfig={StatusCode=503}`); err != nil {
		t.Fatalf("aws: %v\n%s%s", err, out, errs)
	}
	if _, errs := w.cutover(4, "rollback", "--host", "argocd.real.example", "--yes"); !strings.Contains(errs, "somebody else changed it") {
		t.Errorf("drift is told as %s", errs)
	}
	w.cutover(0, "rollback", "--host", "argocd.real.example", "--yes", "--force")
	if diff := cmp.Diff(before, w.python("rules")); diff != "" {
		t.Errorf("the rules differ after the forced way back (-before +after):\n%s", diff)
	}
}
