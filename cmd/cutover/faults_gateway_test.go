package main

import (
	"bufio"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/istio-cutover/cutover/cmd/internal/sandbox"
)

// switchOn switches a fault of the sandbox on.
func switchOn(t *testing.T, s *sandbox.Sandbox, name, argument string) {
	t.Helper()
	f, err := s.Fault(t.Context(), name, argument)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %s", f.Name, f.Now)
}

func switchOff(t *testing.T, s *sandbox.Sandbox, name string) {
	t.Helper()
	if f, err := s.FaultOff(t.Context(), name); err != nil || f.Note != "" {
		t.Fatal(f.Note, err)
	}
}

// gateLine is the line of a printed plan that holds a gate's verdict.
func (o outcome) gateLine(gate string) string {
	for line := range strings.Lines(o.stdout) {
		if words := strings.Fields(line); len(words) > 2 && words[1] == gate {
			return strings.Join(words[1:], " ")
		}
	}
	return ""
}

// eventually runs a command until it ends so: health checks take their time.
func eventually(t *testing.T, s *sandbox.Sandbox, ok func(outcome) bool, args ...string) outcome {
	t.Helper()
	for deadline := time.Now().Add(90 * time.Second); ; {
		o := ended(t, sandboxed(t, s, "", args...))
		if ok(o) {
			return o
		}
		if time.Now().After(deadline) {
			t.Fatalf("%q never became so: exit %d\n%s%s", args, o.exit, o.stdout, o.stderr)
		}
	}
}

func exits0(o outcome) bool { return o.exit == 0 }

// TestGatewayTroubleInCommands: probe, plan and shift name where, what and what
// to do; nothing is changed, and all of it heals.
func TestGatewayTroubleInCommands(t *testing.T) {
	t.Parallel()
	const keycloak = "keycloak.bigbang.example"
	alb, nlb := []string{"--host", argocd}, []string{"--lane", "passthrough"}
	for _, c := range []struct {
		fault, argument, host string
		selection             []string
		probe                 string // how a probe of new ends, "" when it is good
		exit                  int    // of plan and shift
		gate, reason          string // the line that holds it back
		others                []string
		health                string // what gate target-health comes to say
	}{
		{
			fault: "gateway-down", argument: "new:1h", host: argocd, selection: alb, probe: "bad refused: connect: connection refused",
			exit: 3, gate: "probe-new", reason: "block refused at ip-…:30444: connect: connection refused; see whether the gateway's pods run and are ready",
			others: []string{"service pass"},
		},
		{
			fault: "gateway-down", argument: "new:1ms", host: argocd, selection: alb, probe: "bad refused: connect: connection refused",
			exit: 3, gate: "service", reason: "block Service istio-gateway/public-ingressgateway has no ready pod",
			health: "unhealthy Target.FailedHealthChecks; see whether the gateway's pods are ready, and whether a security group admits the health checks",
		},
		{
			fault: "nodeport-filtered", host: argocd, selection: alb, probe: "bad filtered: connect: no answer in time",
			exit: 8, gate: "probe-new", reason: "wait filtered at ip-…:30444: connect: no answer in time; usually a security group drops it: admit this machine to the NodePort there",
			others: []string{"service pass"},
			health: "unhealthy Target.Timeout; usually a security group drops the health checks: admit the load balancer to their port",
		},
		{
			fault: "gateway-cert-nosni", host: argocd, selection: alb, probe: "is presented, the Gateway's Secret holds",
			exit: 3, gate: "probe-new", reason: "see whether the gateway's pods have loaded the Secret; restarting them does it",
			others: []string{"secret pass"},
		},
		{fault: "gateway-cert-sni", host: argocd, selection: alb}, // An ALB names no server to its targets.
		{
			fault: "host-503", host: argocd, selection: alb, probe: "bad gateway-503: 503 by the gateway itself",
			exit: 3, gate: "probe-new", reason: "block gateway-503 at ip-…:30444: 503 by the gateway itself: it has no healthy backend for the host; see the endpoints of the Service that the VirtualService routes to",
		},
		{
			fault: "host-503", argument: keycloak, host: keycloak, selection: nlb, probe: "bad reset: TLS handshake: connection reset by peer",
			exit: 3, gate: "probe-new", reason: "block reset at ip-…:32444: TLS handshake: connection reset by peer; see whether the gateway's pods run",
		},
		{
			fault: "host-backend-503", host: argocd, selection: alb, probe: "bad backend-5xx: the backend answers 503, the other side 200",
			exit: 3, gate: "probe-new", reason: "block backend-5xx at ip-…:30444: the backend answers 503, the other side 200; see the application's log",
		},
		{
			fault: "host-slow", argument: argocd + ":1h", host: argocd, selection: alb, probe: "bad timeout: request: no answer in time",
			exit: 3, gate: "probe-new", reason: "block timeout at ip-…:30444: request: no answer in time; see what the gateway waits for",
		},
		{fault: "host-slow", argument: argocd + ":1s", host: argocd, selection: alb}, // It is slow, and good.
	} {
		t.Run(c.fault+" "+c.argument, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			probe := []string{"probe", "--host", c.host, "--side", "new", "--count", "1"}
			plan := append([]string{"plan", "--to", "new"}, c.selection...)
			shift := append([]string{"shift", "--to", "new", "--yes", "--wait", "1s", "--proof", "0"}, c.selection...)
			eventually(t, s, exits0, plan...)
			switchOn(t, s, c.fault, c.argument)

			o := ended(t, sandboxed(t, s, "", probe...))
			if said := strings.Join(strings.Fields(o.stdout), " "); (o.exit == 0) != (c.probe == "") || !strings.Contains(said, c.probe) {
				t.Errorf("probe: exit %d, want %q\n%s%s", o.exit, c.probe, o.stdout, o.stderr)
			}
			held := func(o outcome) bool {
				line := nodes().ReplaceAllString(o.gateLine(c.gate), "ip-…")
				return o.exit == c.exit && (c.gate == "" || strings.Contains(line, c.reason))
			}
			o = eventually(t, s, held, plan...)
			for _, other := range c.others {
				if gate, _, _ := strings.Cut(other, " "); !strings.HasPrefix(o.gateLine(gate), other) {
					t.Errorf("plan: %q, want %q", o.gateLine(gate), other)
				}
			}
			eventually(t, s, func(o outcome) bool { return strings.Contains(o.gateLine("target-health"), c.health) }, plan...)
			if c.exit != 0 {
				o = ended(t, sandboxed(t, s, "", shift...))
				o.expect(t, c.exit, "gate ", "what the gate names")
				nothingChanged(t, s)
			}
			switchOff(t, s, c.fault)
			eventually(t, s, exits0, probe...)
			eventually(t, s, exits0, plan...)
			eventually(t, s, exits0, shift...)
		})
	}
}

// nodes finds the sandbox's nodes' names in text.
func nodes() *regexp.Regexp { return regexp.MustCompile(`ip-[0-9-]+\.ec2\.internal`) }

// TestOneGatewayOfThreeDown: until it has been seen, some probes are reset; then
// the others do it all.
func TestOneGatewayOfThreeDown(t *testing.T) {
	t.Parallel()
	s := start(t)
	switchOn(t, s, "gateway-down", "new@1:1h")
	o := ended(t, sandboxed(t, s, "", "probe", "--host", argocd, "--count", "8", "--interval", "0s"))
	if o.exit != 1 || !strings.Contains(o.stdout, "bad  reset: ") || !strings.Contains(o.stdout, "new  ip-") || strings.Contains(o.stdout, "0/24") {
		t.Errorf("before it is seen: exit %d\n%s%s", o.exit, o.stdout, o.stderr)
	}
	switchOff(t, s, "gateway-down")
	switchOn(t, s, "gateway-down", "new@1:1ms")
	shift := []string{"shift", "--host", argocd, "--to", "new", "--yes"}
	o = eventually(t, s, exits0, shift...)
	if !strings.Contains(o.stdout, "proven on new") {
		t.Errorf("with two of three: %s%s", o.stdout, o.stderr)
	}
	switchOff(t, s, "gateway-down")
}

// TestWrongCertificateThatClientsSee: where TLS ends at a gateway behind a network
// load balancer, clients name the server and see what it presents.
func TestWrongCertificateThatClientsSee(t *testing.T) {
	t.Parallel()
	s := start(t)
	const host = "seen.bigbang.example"
	publishAtGateways(t, s, host)
	probe := []string{"probe", "--host", host, "--side", "new", "--count", "1"}
	plan := []string{"plan", "--lane", "passthrough", "--to", "new"}
	eventually(t, s, exits0, probe...)
	eventually(t, s, exits0, plan...)
	switchOn(t, s, "gateway-cert-nosni", "new") // Nobody is shown it here.
	if o := ended(t, sandboxed(t, s, "", probe...)); o.exit != 0 {
		t.Errorf("without SNI: exit %d\n%s%s", o.exit, o.stdout, o.stderr)
	}
	switchOn(t, s, "gateway-cert-sni", "new")
	o := ended(t, sandboxed(t, s, "", probe...))
	if o.exit != 1 || !strings.Contains(o.stdout, "bad  certificate: TLS handshake: ") {
		t.Errorf("with SNI: exit %d\n%s%s", o.exit, o.stdout, o.stderr)
	}
	o = ended(t, sandboxed(t, s, "", plan...))
	if o.exit != 3 || !strings.Contains(o.stdout, "certificate at ip-") {
		t.Errorf("plan: exit %d\n%s%s", o.exit, o.stdout, o.stderr)
	}
	switchOff(t, s, "gateway-cert-sni")
	eventually(t, s, exits0, probe...)
	eventually(t, s, exits0, plan...)
}

// publishAtGateways publishes a host on the network load balancer's lane whose
// TLS ends at both sides' gateways.
func publishAtGateways(t *testing.T, s *sandbox.Sandbox, host string) {
	t.Helper()
	gateways := schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: "gateways"}
	both := []any{"istio-system/passthrough", "istio-gateway/passthrough-ingressgateway"}
	for _, name := range both {
		namespace, name, _ := strings.Cut(name.(string), "/")
		g, err := s.Kube.Get(gateways, namespace, name)
		if err != nil {
			t.Fatal(err)
		}
		servers, _, _ := unstructured.NestedSlice(g.Object, "spec", "servers")
		servers = append(servers, map[string]any{
			"hosts": []any{host}, "port": map[string]any{"name": "https-seen", "number": int64(8443), "protocol": "HTTPS"},
			"tls": map[string]any{"mode": "SIMPLE", "credentialName": "public-cert"},
		})
		if err := unstructured.SetNestedSlice(g.Object, servers, "spec", "servers"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Kube.Update(g); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Kube.Create(&unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
		"metadata": map[string]any{"name": "seen", "namespace": "argocd"},
		"spec": map[string]any{"hosts": []any{host}, "gateways": both, "http": []any{map[string]any{"route": []any{
			map[string]any{"destination": map[string]any{"host": "argocd", "port": map[string]any{"number": int64(80)}}},
		}}}},
	}}); err != nil {
		t.Fatal(err)
	}
}

// TestOldSideDown: whoever flees to new is told how, and that it serves.
func TestOldSideDown(t *testing.T) {
	t.Parallel()
	s := start(t)
	eventually(t, s, exits0, "plan", "--host", argocd, "--to", "new")
	switchOn(t, s, "gateway-down", "old:1ms")
	o := ended(t, sandboxed(t, s, "", "probe", "--host", argocd, "--count", "1"))
	if o.exit != 1 || !strings.Contains(o.stdout, "bad  refused: connect: connection refused") ||
		!strings.Contains(o.stdout, "bad  differs: it answers 200, but the other side does not answer: connect: connection refused") {
		t.Errorf("probe: exit %d\n%s%s", o.exit, o.stdout, o.stderr)
	}
	shift := []string{"shift", "--host", argocd, "--to", "new", "--yes", "--wait", "1s"}
	ended(t, sandboxed(t, s, "", shift...)).expect(t, 8, "the old side has not been seen to answer for "+argocd+
		", so there is nothing to compare with; mend it, or override the gate with a reason", "")
	o = ended(t, sandboxed(t, s, "", append(shift, "--override", "probe-new", "--reason", "old is down")...))
	if o.exit != 0 || !strings.Contains(o.stdout, "proven on new by") {
		t.Errorf("shift: exit %d\n%s%s", o.exit, o.stdout, o.stderr)
	}
	if o := ended(t, sandboxed(t, s, "", "probe", "--host", argocd, "--side", "lb", "--count", "1")); o.exit != 0 {
		t.Errorf("through the load balancer: exit %d\n%s%s", o.exit, o.stdout, o.stderr)
	}
	switchOff(t, s, "gateway-down")
	if o := ended(t, sandboxed(t, s, "", "rollback", "--all", "--yes")); o.exit != 0 {
		t.Errorf("rollback: exit %d\n%s%s", o.exit, o.stdout, o.stderr)
	}
	nothingChanged(t, s)
}

// TestWayBackUnderGatewayTrouble: it is never held back, whatever probes say.
func TestWayBackUnderGatewayTrouble(t *testing.T) {
	t.Parallel()
	s := start(t)
	shift := []string{"shift", "--host", argocd, "--to", "new", "--yes", "--proof", "0"}
	for _, c := range []struct{ fault, argument string }{
		{"gateway-down", "new:1ms"},
		{"gateway-down", "old:1ms"},
		{"nodeport-filtered", "new"},
		{"nodeport-filtered", "old"},
		{"gateway-cert-nosni", "new"},
		{"host-503", ""},
		{"host-backend-503", ""},
		{"host-slow", argocd + ":1h"},
	} {
		eventually(t, s, exits0, shift...)
		switchOn(t, s, c.fault, c.argument)
		if o := ended(t, sandboxed(t, s, "", "rollback", "--all", "--yes")); o.exit != 0 || !strings.Contains(o.stdout, "rolled-back") {
			t.Errorf("%s %s: exit %d\n%s%s", c.fault, c.argument, o.exit, o.stdout, o.stderr)
		}
		nothingChanged(t, s)
		switchOff(t, s, c.fault)
	}
}

// shifted moves a host to new, tells the events as they come, and returns the
// exit code and all that was said.
func shifted(t *testing.T, s *sandbox.Sandbox, proof string, on func(event string)) (exit int, said string) {
	t.Helper()
	cmd := sandboxed(t, s, "", "shift", "--host", argocd, "--to", "new", "--yes", "--proof", proof, "-o", "json")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		all.WriteString(lines.Text() + "\n")
		var e struct{ Event string }
		if json.Unmarshal(lines.Bytes(), &e) == nil {
			on(e.Event)
		}
	}
	_ = cmd.Wait() // Its exit code is looked at.
	return cmd.ProcessState.ExitCode(), all.String()
}

// TestProofOutlastsTrouble: what ends before the time for proof does, and what
// does not keep requests from the new side, stand in no way.
func TestProofOutlastsTrouble(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault, argument string
		ends            bool
	}{
		{"gateway-down", "new:1h", true}, {"host-503", "", true}, {"host-backend-503", "", true}, {"gateway-cert-nosni", "new", false},
	} {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			s, err := sandbox.Start(t.Context(), sandbox.Options{StateDir: t.TempDir(), Propagation: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			waited := 0
			code, all := shifted(t, s, "90s", func(event string) {
				switch event {
				case "verified":
					switchOn(t, s, c.fault, c.argument)
				case "waiting":
					if waited++; waited == 3 && c.ends {
						switchOff(t, s, c.fault)
					}
				}
			})
			if code != 0 || !strings.Contains(all, "proven on new by") {
				t.Errorf("exit %d, want 0 and proof\n%s", code, all)
			}
		})
	}
}

// TestNewSideFailsDuringProof: what was begun in good health and has not come
// through is called neither proven nor new.
func TestNewSideFailsDuringProof(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault, argument string
		says            []string // one of them
	}{
		{"host-503", "", []string{"on new, but the gateway itself answers 503"}},
		{"host-backend-503", "", []string{"on new, but the backend answers 503"}},
		{"host-slow", argocd + ":1h", []string{"on new, but no answer came: request: no answer in time", "the NodePort does not answer: request: no answer in time"}},
		{"gateway-down", "new:1ms", []string{"no ready gateway pod is known on new", "the NodePort does not answer: connect: connection re"}},
		{"nodeport-filtered", "new", []string{"the NodePort does not answer: connect: no answer in time", "the NodePort does not answer: request: no answer in time", "through the load balancer: request: no answer in time"}},
	} {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			s, err := sandbox.Start(t.Context(), sandbox.Options{StateDir: t.TempDir(), Propagation: 3 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			code, all := shifted(t, s, "20s", func(event string) {
				if event == "verified" {
					switchOn(t, s, c.fault, c.argument)
				}
			})
			if code != 10 || strings.Contains(all, `"event":"proven"`) {
				t.Errorf("exit %d, want 10 and nothing proven\n%s", code, all)
			}
			if !slices.ContainsFunc(c.says, func(words string) bool { return strings.Contains(all, words) }) {
				t.Errorf("none of %q is said:\n%s", c.says, all)
			}
			if o := ended(t, sandboxed(t, s, "", "status")); !strings.Contains(o.stdout, "new, un") {
				t.Errorf("status does not say unproven or unconfirmed:\n%s", o.stdout)
			}
			journalWhole(t, s)
			if o := ended(t, sandboxed(t, s, "", "rollback", "--all", "--yes")); o.exit != 0 {
				t.Errorf("the way back: exit %d\n%s%s", o.exit, o.stdout, o.stderr)
			}
			switchOff(t, s, c.fault)
			nothingChanged(t, s)
		})
	}
}

// row waits until a line of the screen matches.
func (x *terminal) row(expression string) string {
	x.t.Helper()
	wanted := regexp.MustCompile(expression)
	for deadline := time.Now().Add(90 * time.Second); ; time.Sleep(50 * time.Millisecond) { // Between two looks at the screen.
		screen := x.screen()
		if line := wanted.FindString(screen); line != "" {
			return line
		}
		if time.Now().After(deadline) {
			x.t.Fatalf("%s never came:\n%s", expression, screen)
		}
	}
}

// TestGatewayTroubleInTheConsole: the hosts row and the Probes pane say what is
// wrong, the dialog why the host stays, and all of it heals by itself.
func TestGatewayTroubleInTheConsole(t *testing.T) {
	t.Parallel()
	type trouble struct {
		fault, argument string
		row             string // of the host, from its traffic on
		pane            string // what is wrong with new, as far as there is room
		node            string // new on one node
		verdict, dialog string
	}
	for name, list := range map[string][]trouble{
		"nodes": {
			{"gateway-down", "new:1h", `old +0 blocked: refused at`, "refused: connect: connection r", "refused", "block", "refused at ip-"},
			{"gateway-down", "new:1ms", `old +0 blocked: Service istio`, "refused: connect: connection r", "refused", "block", "has no ready pod"},
			{"nodeport-filtered", "new", `old .* 200 \S+ +filtered`, "filtered: connect: no answer i", "filtered", "wait", "filtered at ip-"},
			{"gateway-cert-nosni", "new", `old +0 blocked: certificate a`, "certificate: TLS handshake: ", "cert", "block", "certificate at ip-"},
		},
		"host": {
			{"host-503", "", `old +0 blocked: gateway-503 a`, "gateway-503: 503 by the gateway", "503", "block", "gateway-503 at ip-"},
			{"host-backend-503", "", `old +0 blocked: backend-5xx a`, "backend-5xx: the backend answer", "503", "block", "backend-5xx at ip-"},
			{"host-slow", argocd + ":2s", `old .* 200 \S+ +200 2.0s`, "", "200 2.0s", "", "ready"},
			{"host-slow", argocd + ":1h", `old +0 blocked: timeout at`, "timeout: request: no answer in", "timeout", "block", "timeout at ip-"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			x := consoleOn(t, s, "", 120, 40)
			x.line("cutover; echo ended: $?")
			x.until("Hosts: 0 of 24 on new", argocd)
			x.keys("/", "argocd", "Enter")
			x.until("1 of 1")
			well := argocd + `.* old .* 200 \S+ +200 (\d+ms|<1ms|0\.\ds)`
			x.row(well)
			for _, c := range list {
				switchOn(t, s, c.fault, c.argument)
				x.row(argocd + ".* " + c.row)
				x.row(`ip-\S+ old 200 \S+ +new ` + c.node)
				if c.pane != "" {
					x.until(c.pane)
				}
				x.keys("t")
				x.until("Move "+argocd+" to new", c.verdict, c.dialog)
				x.keys("Escape")
				x.until("? help", "1 of 1")
				switchOff(t, s, c.fault)
				x.row(well)
			}
			x.keys("t")
			x.until("Move "+argocd+" to new", "ready")
			x.keys("y")
			x.until("1 of 24 on new", "argocd → new proven")
			x.keys("q")
			x.until("ended: 0")
		})
	}
}

// TestNewSideFailsDuringProofInTheConsole: the console names what is wrong and
// calls the host proven when it is, not before.
func TestNewSideFailsDuringProofInTheConsole(t *testing.T) {
	t.Parallel()
	s, err := sandbox.Start(t.Context(), sandbox.Options{StateDir: t.TempDir(), Propagation: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	x := consoleOn(t, s, "", 120, 40)
	x.line("cutover; echo ended: $?")
	x.until("Hosts: 0 of 24 on new", argocd)
	x.keys("/", "argocd", "Enter")
	x.until("1 of 1")
	x.keys("t")
	x.until("Move "+argocd+" to new", "ready")
	x.keys("y")
	x.until("switched, unproven")
	switchOn(t, s, "host-503", "")
	screen := x.until("unproven: on new, but the", "503 gw")
	if strings.Contains(screen, "new, proven") || strings.Contains(screen, "new proven") {
		t.Errorf("it is called proven:\n%s", screen)
	}
	switchOff(t, s, "host-503")
	x.until("argocd → new proven")
	x.keys("z")
	x.until("Take the last run back")
	x.keys("y")
	x.until("0 of 24 on new", "argocd → old proven")
	x.keys("q")
	x.until("ended: 0")
}
