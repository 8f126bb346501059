package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/istio-cutover/cutover/cmd/internal/sandbox"
)

// hostileText would colour the screen, write the clipboard, set the title, move
// the cursor, reverse the reading direction and begin lines of its own.
const hostileText = "\x1b[31mHOSTILE\x1b]52;c;SE9TVElMRQ==\x07\x1b]0;HOSTILE\x07\u009b2J\u202e\u2066\r\nHOSTILE line\x1b[2J\x00\x7f\x08"

// hostileSandbox is a sandbox in whose every text that comes from outside
// hostileText stands, where the API in question takes it.
func hostileSandbox(t *testing.T) *sandbox.Sandbox {
	t.Helper()
	s := start(t)
	networking := schema.GroupVersion{Group: "networking.istio.io", Version: "v1"}
	for _, o := range []struct{ resource, namespace, name string }{
		{"virtualservices", "argocd", "argocd"}, {"gateways", "istio-system", "public"}, {"gateways", "istio-gateway", "public-ingressgateway"},
	} {
		object, err := s.Kube.Get(networking.WithResource(o.resource), o.namespace, o.name)
		if err != nil {
			t.Fatal(err)
		}
		object.SetAnnotations(map[string]string{"note": hostileText})
		if o.resource == "gateways" {
			servers, _, _ := unstructured.NestedSlice(object.Object, "spec", "servers")
			servers = append(servers, map[string]any{
				"hosts": []any{"hostile" + hostileText + ".bigbang.example"},
				"port":  map[string]any{"number": int64(8443), "name": "hostile", "protocol": "HTTPS"},
				"tls":   map[string]any{"mode": "SIMPLE", "credentialName": "hostile-cert"},
			})
			if err := unstructured.SetNestedSlice(object.Object, servers, "spec", "servers"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Kube.Update(object); err != nil {
			t.Fatal(err)
		}
	}
	create := func(object map[string]any) {
		if _, err := s.Kube.Create(&unstructured.Unstructured{Object: object}); err != nil {
			t.Fatal(err)
		}
	}
	create(map[string]any{
		"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
		"metadata": map[string]any{"name": "hostile", "namespace": "argocd", "annotations": map[string]any{"note": hostileText}},
		"spec": map[string]any{
			"hosts":    []any{"hostile" + hostileText + ".bigbang.example", "*." + hostileText},
			"gateways": []any{"istio-system/public", "istio-gateway/" + hostileText},
			"http": []any{map[string]any{
				"match":    []any{map[string]any{"gateways": []any{hostileText}, "uri": map[string]any{"prefix": hostileText}}},
				"redirect": map[string]any{"uri": "/" + hostileText},
			}},
		},
	})
	create(map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
		"metadata": map[string]any{"name": "hostile-cert", "namespace": "istio-gateway", "annotations": map[string]any{"note": hostileText}},
		"data":     map[string]any{"tls.crt": hostileCertificate(t), "tls.key": "bm8ga2V5"},
	})
	hostileRule(t, s)
	return s
}

// hostileCertificate names hosts as no authority would, in base64.
func hostileCertificate(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"evil\x1b[31m\x1b]0;HOSTILE\x07.bigbang.example"} // An IA5 string has no more than ASCII.
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: hostileText}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) // As bytes: base64.
	if err != nil {
		t.Fatal(err)
	}
	return strings.Trim(string(raw), `"`)
}

// hostileRule puts hostileText into the conditions and tags of a rule that
// serves a host of the world beside it.
func hostileRule(t *testing.T, s *sandbox.Sandbox) {
	t.Helper()
	balancers := awsCall[elb.DescribeLoadBalancersOutput](t, s, &elb.DescribeLoadBalancersInput{Names: []string{"public-alb"}})
	listeners := awsCall[elb.DescribeListenersOutput](t, s, &elb.DescribeListenersInput{LoadBalancerArn: balancers.LoadBalancers[0].LoadBalancerArn})
	for _, l := range listeners.Listeners {
		rules := awsCall[elb.DescribeRulesOutput](t, s, &elb.DescribeRulesInput{ListenerArn: l.ListenerArn})
		for _, r := range rules.Rules {
			if len(r.Conditions) == 0 || r.Conditions[0].HostHeaderConfig == nil || r.Conditions[0].HostHeaderConfig.Values[0] != "argocd.bigbang.example" {
				continue
			}
			// Of what could do harm, AWS takes in a tag only what separates lines.
			key, value := "note", "HOSTILE\u2028HOSTILE line\u2029"
			awsCall[elb.AddTagsOutput](t, s, &elb.AddTagsInput{ResourceArns: []string{*r.RuleArn}, Tags: []types.Tag{{Key: &key, Value: &value}}})
			field, header, priority := "http-header", "X-Hostile", int32(49000)
			r.Conditions[0].Values = nil // AWS reports the values twice and takes them once.
			awsCall[elb.CreateRuleOutput](t, s, &elb.CreateRuleInput{
				ListenerArn: l.ListenerArn, Priority: &priority, Actions: r.Actions, Conditions: []types.RuleCondition{
					r.Conditions[0], {Field: &field, HttpHeaderConfig: &types.HttpHeaderConditionConfig{HttpHeaderName: &header, Values: []string{hostileText}}},
				},
			})
		}
	}
}

func awsCall[O any](t *testing.T, s *sandbox.Sandbox, input any) *O {
	t.Helper()
	out, err := s.AWS.Call(t.Context(), input)
	if err != nil {
		t.Fatalf("%T: %v", input, err)
	}
	return out.(*O)
}

// controlIn returns the first character of out that could control a terminal
// or deceive a reader; newlines are the output's own.
func controlIn(out string) string {
	for i, r := range out {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029') {
			return fmt.Sprintf("%U in %q", r, out[max(0, i-60):min(len(out), i+60)])
		}
	}
	return ""
}

// controlInJSON is controlIn for every string of a stream of documents.
func controlInJSON(t *testing.T, out []byte) string {
	t.Helper()
	var in func(v any) string
	in = func(v any) string {
		switch v := v.(type) {
		case string:
			if strings.Contains(v, "\n") {
				return fmt.Sprintf("a newline in %q", v)
			}
			return controlIn(v)
		case []any:
			for _, x := range v {
				if c := in(x); c != "" {
					return c
				}
			}
		case map[string]any:
			for k, x := range v {
				if c := controlIn(k) + in(x); c != "" {
					return k + ": " + c
				}
			}
		}
		return ""
	}
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var v any
		if err := d.Decode(&v); err != nil {
			t.Fatalf("no JSON: %v\n%s", err, out)
		}
		if c := in(v); c != "" {
			return c
		}
	}
	return ""
}

// TestHostileTextInCommands: what comes from outside is text in every format.
func TestHostileTextInCommands(t *testing.T) {
	t.Parallel()
	s := hostileSandbox(t)
	awsRefuses := awsErrors(t, s, func(action string) *awsFault {
		if action == "ModifyRule" {
			return &awsFault{status: 400, code: "ValidationError", message: hostileText}
		}
		return nil
	})
	for _, c := range []struct {
		name     string
		endpoint string
		exit     int
		args     []string
	}{
		{"status", "", 0, []string{"status"}},
		{"plan", "", 3, []string{"plan", "--all", "--to", "new", "--no-probe"}},
		{"unknown host", "", 2, []string{"plan", "--host", strings.ReplaceAll(hostileText, "\x00", ""), "--to", "new"}},
		{"probe", "", 0, []string{"probe", "--host", argocd, "--side", "old,new,lb", "--count", "1"}},
		{"refused by AWS", awsRefuses.URL, 1, []string{"shift", "--host", "argocd.bigbang.example", "--to", "new", "--yes", "--proof", "0"}},
		{"shift", "", 0, []string{"shift", "--host", "argocd.bigbang.example", "--to", "new", "--yes", "--proof", "0"}},
		{"journal list", "", 0, []string{"journal", "list"}},
		{"rollback", "", 0, []string{"rollback", "--last", "--yes"}},
	} {
		for _, format := range []string{"table", "json", "yaml"} {
			cmd := sandboxed(t, s, c.endpoint, append(c.args, "-o", format)...)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			_ = cmd.Run() // Its exit code is looked at.
			where := c.name + " -o " + format
			if got := cmd.ProcessState.ExitCode(); got != c.exit {
				t.Errorf("%s: exit %d, want %d\n%s\n%s", where, got, c.exit, stdout.String(), stderr.String())
			}
			if bad := controlIn(stdout.String()); bad != "" {
				t.Errorf("%s: standard output has %s", where, bad)
			}
			if bad := controlIn(stderr.String()); bad != "" {
				t.Errorf("%s: standard error has %s", where, bad)
			}
			if format == "json" {
				if bad := controlInJSON(t, stdout.Bytes()); bad != "" {
					t.Errorf("%s: a string has %s", where, bad)
				}
			}
			if strings.Contains("\n"+stdout.String()+"\n"+stderr.String(), "\nHOSTILE") {
				t.Errorf("%s: a line of theirs:\n%s", where, stdout.String())
			}
		}
	}
	journals, err := filepath.Glob(filepath.Join(stateOf(s), "cutover", "*.jsonl"))
	if err != nil || len(journals) != 1 {
		t.Fatal(journals, err)
	}
	raw, err := os.ReadFile(journals[0])
	if err != nil {
		t.Fatal(err)
	}
	if bad := controlIn(string(raw)); bad != "" {
		t.Errorf("the journal has %s", bad)
	}
}

// stateOf is the sandbox's XDG_STATE_HOME.
func stateOf(s *sandbox.Sandbox) string {
	for _, variable := range s.Env() {
		if dir, ok := strings.CutPrefix(variable, "XDG_STATE_HOME="); ok {
			return dir
		}
	}
	return ""
}

// terminalCodes are what the console may send itself: movements, erasures,
// styles and modes, and its own title. OSC 52, other titles and C1 are not
// among them.
func terminalCodes() *regexp.Regexp {
	return regexp.MustCompile("\x1b\\[[0-9;:?<=>! \"$']*[A-Za-z@`~]|\x1b[()][A-Z0-9]|\x1b[=>78MDEHc\\\\]|\x1b\\]2;(?:cutover)?\x07|\x1b\\](?:10|11|12);\\?(?:\x07|\x1b\\\\)|[\r\n\t\x08\x0f\x0e]")
}

// TestHostileTextInTheConsole looks at the raw bytes that the console writes
// while every place is visited in which text from outside is shown.
func TestHostileTextInTheConsole(t *testing.T) {
	t.Parallel()
	s := hostileSandbox(t)
	awsRefuses := awsErrors(t, s, func(action string) *awsFault {
		if action == "ModifyRule" {
			return &awsFault{status: 400, code: "ValidationError", message: hostileText}
		}
		return nil
	})
	x := consoleOn(t, s, awsRefuses.URL, 120, 40)
	raw := filepath.Join(t.TempDir(), "raw")
	x.tmux("pipe-pane", "-O", "cat > "+raw)
	x.line("cutover; echo ended: $?")
	x.until("Hosts: 0 of", "argocd.bigbang.example")
	for _, pane := range []string{"1", "2", "3", "4", "6", "7", "5"} {
		x.keys(pane, "G", "Enter")
		x.until("esc close")
		x.escape()
	}
	x.keys("/", "hostilehostile", "Enter")
	x.until("1 of 1")
	x.keys("Enter")
	x.until("esc close")
	x.escape()
	x.keys("t")
	x.until("[ Close ]")
	x.escape()
	x.keys("Escape")
	x.until("gitlab")
	x.keys("/", "argocd", "Enter")
	x.until("1 of 1")
	x.keys("t")
	x.until("Move argocd.bigbang.example to new", "ready")
	x.keys("y")
	x.until("ValidationError")
	x.keys("@")
	x.until("Command log")
	x.escape()
	x.keys("q")
	x.until("ended: 0")
	content, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	rest := terminalCodes().ReplaceAll(content, nil)
	if bad := controlIn(string(rest)); bad != "" {
		t.Errorf("the console wrote %s", bad)
	}
}

// escape leaves a dialog: a key right after escape would be alt and that key.
func (x *terminal) escape() {
	x.keys("Escape")
	x.until("? help")
}
