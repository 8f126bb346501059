package sandbox

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/istio-cutover/cutover/model"
)

const argocdURL = "https://argocd.bigbang.example/"

func (s *Sandbox) node(n, port int) string {
	return fmt.Sprintf("%s:%d", s.net.address(byte(hostFirstNode+n)), port)
}

// switchOn is how another process switches a fault on.
func (s *Sandbox) switchOn(t *testing.T, name, argument string) (off func()) {
	t.Helper()
	control := Control{URL: s.ControlURL()}
	f, err := control.Fault(t.Context(), name, argument)
	if err != nil || !f.On || f.Now == "" {
		t.Fatalf("%+v, %v", f, err)
	}
	t.Logf("%s: %s", f.Name, f.Now)
	return func() {
		t.Helper()
		if f, err := control.FaultOff(t.Context(), name); err != nil || f.On || f.Note != "" {
			t.Fatalf("%+v, %v", f, err)
		}
	}
}

// reached is how a request ends: its status, or what is wrong with the connection.
func (s *Sandbox) reached(t *testing.T, r request) string {
	t.Helper()
	response, _, err := s.ask(t, r)
	var timeout net.Error
	switch {
	case err == nil:
		return fmt.Sprint(response.StatusCode)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET):
		return "reset"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	}
	return err.Error()
}

// health lists the states of a group's targets, each with its reason.
func (s *Sandbox) health(t *testing.T, group string) string {
	t.Helper()
	out, err := s.AWS.Call(t.Context(), &elb.DescribeTargetHealthInput{TargetGroupArn: new(s.groupARN(t, group))})
	if err != nil {
		t.Fatal(err)
	}
	var states []string
	for _, d := range out.(*elb.DescribeTargetHealthOutput).TargetHealthDescriptions {
		states = append(states, strings.TrimSpace(string(d.TargetHealth.State)+" "+string(d.TargetHealth.Reason)))
	}
	slices.Sort(states)
	return strings.Join(slices.Compact(states), ", ")
}

func (s *Sandbox) becomes(t *testing.T, group, want string) {
	t.Helper()
	eventually(t, group, func() (string, bool) {
		got := s.health(t, group)
		return got, got == want
	})
}

// pods lists the new side's public gateway pods as kubectl's columns have them.
func (s *Sandbox) pods(t *testing.T) []string {
	t.Helper()
	kube, _ := s.kube(t)
	list, err := kube.CoreV1().Pods("istio-gateway").List(t.Context(), metav1.ListOptions{LabelSelector: "app=public-ingressgateway"})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, pod := range list.Items {
		ready := corev1.ConditionUnknown
		for _, c := range pod.Status.Conditions {
			if c.Type == corev1.PodReady {
				ready = c.Status
			}
		}
		c := pod.Status.ContainerStatuses[0]
		state := "Running"
		if c.State.Waiting != nil {
			state = c.State.Waiting.Reason
		}
		all = append(all, fmt.Sprintf("%s %v %s %d", ready, c.Ready, state, c.RestartCount))
	}
	return all
}

func TestGatewayDown(t *testing.T) {
	s := start(t, Options{})
	s.becomes(t, "public-new-https", "healthy")
	new1 := func(n int) string { return s.reached(t, request{url: argocdURL, address: s.node(n, 30444)}) }

	// Until it has been seen, connections go to it in turn.
	off := s.switchOn(t, "gateway-down", "new@2:1h")
	got := map[string]int{}
	eventually(t, "through another node", func() (string, bool) {
		got[new1(0)]++
		return fmt.Sprint(got), got["200"] > 0 && got["reset"] > 0
	})
	if len(got) > 2 {
		t.Errorf("through another node: %v", got)
	}
	if pods := s.pods(t); !slices.Equal(pods, slices.Repeat([]string{"True true Running 0"}, 3)) {
		t.Errorf("before it was seen: %q", pods)
	}
	off()

	off = s.switchOn(t, "gateway-down", "new@"+s.net.nodes()[1].name+":1ms")
	eventually(t, "pods", func() (string, bool) {
		pods := s.pods(t)
		return strings.Join(pods, ", "), pods[1] == "False false CrashLoopBackOff 1" && pods[0] == "True true Running 0"
	})
	// The others take all from then on, on its node too.
	for n := range nodeCount {
		eventually(t, "node", func() (string, bool) {
			for range 3 {
				if got := new1(n); got != "200" {
					return got, false
				}
			}
			return "", true
		})
	}
	off()
	eventually(t, "pods", func() (string, bool) {
		pods := s.pods(t)
		return strings.Join(pods, ", "), pods[1] == "True true Running 1"
	})
}

func TestAllGatewaysDown(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	s.becomes(t, "public-new-https", "healthy")
	off := s.switchOn(t, "gateway-down", "new:1ms")
	for _, port := range []int{30022, 30081, 30444, 32444} {
		if got := s.reached(t, request{url: argocdURL, address: s.node(0, port)}); got != "refused" {
			t.Errorf("port %d: %s, want refused", port, got)
		}
	}
	if got := s.reached(t, request{url: argocdURL, address: s.node(0, 30443)}); got != "200" {
		t.Errorf("old: %s", got)
	}
	s.becomes(t, "public-new-https", "unhealthy Target.FailedHealthChecks")
	off()
	s.becomes(t, "public-new-https", "healthy")
	if got := s.reached(t, request{url: argocdURL, address: s.node(0, 30444)}); got != "200" {
		t.Errorf("healed: %s", got)
	}
}

func TestNodePortFiltered(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	s.becomes(t, "public-new-https", "healthy")
	off := s.switchOn(t, "nodeport-filtered", "new@"+s.net.nodes()[0].address.String())
	s.becomes(t, "public-new-https", "healthy, unhealthy Target.Timeout")
	if got := s.reached(t, request{url: argocdURL, address: s.node(0, 30444), within: time.Second}); got != "timeout" {
		t.Errorf("it is %s, want timeout", got)
	}
	for _, address := range []string{s.node(1, 30444), s.node(0, 30443)} {
		if got := s.reached(t, request{url: argocdURL, address: address}); got != "200" {
			t.Errorf("%s is %s", address, got)
		}
	}
	off()
	s.becomes(t, "public-new-https", "healthy")
	if got := s.reached(t, request{url: argocdURL, address: s.node(0, 30444)}); got != "200" {
		t.Errorf("healed: %s", got)
	}
}

func TestWrongCertificate(t *testing.T) {
	s := start(t, Options{})
	// issuer says who has signed what a gateway presents.
	issuer := func(port int, noSNI bool) string {
		t.Helper()
		response, _, err := s.ask(t, request{url: argocdURL, address: s.node(0, port), noSNI: noSNI, insecure: true})
		if err != nil {
			t.Fatal(err)
		}
		return response.TLS.PeerCertificates[0].Issuer.CommonName
	}
	const right, wrong = "Cutover sandbox", "Somebody else"
	for _, c := range []struct {
		fault, side   string
		port, other   int
		with, without string
	}{
		{"gateway-cert-sni", "new", 30444, 30443, wrong, right},
		{"gateway-cert-nosni", "", 30444, 30443, right, wrong},
		{"gateway-cert-nosni", "old", 30443, 30444, right, wrong},
	} {
		off := s.switchOn(t, c.fault, c.side)
		if with, without := issuer(c.port, false), issuer(c.port, true); with != c.with || without != c.without {
			t.Errorf("%s %s: signed by %s with SNI and by %s without, want %s and %s", c.fault, c.side, with, without, c.with, c.without)
		}
		if with, without := issuer(c.other, false), issuer(c.other, true); with != right || without != right {
			t.Errorf("%s %s: the other side has %s and %s", c.fault, c.side, with, without)
		}
		off()
		if with, without := issuer(c.port, false), issuer(c.port, true); with != right || without != right {
			t.Errorf("%s %s, healed: %s and %s", c.fault, c.side, with, without)
		}
	}
}

func TestOneHostFails(t *testing.T) {
	s := start(t, Options{})
	const grafana, keycloak = "https://grafana.bigbang.example/", "https://keycloak.bigbang.example/"
	for _, c := range []struct {
		fault, argument, url string
		port                 int
		want, healed         string
	}{
		{"host-503", "", argocdURL, 30444, "503", "200"},
		{"host-503", "Grafana.bigbang.example", grafana, 30444, "503", "302"},
		{"host-503", "*.pages.bigbang.example", "https://team.pages.bigbang.example/", 30444, "503", "200"},
		{"host-503", "keycloak.bigbang.example", keycloak, 32444, "reset", "200"},
		{"host-backend-503", "", argocdURL, 30444, "503", "200"},
		{"host-slow", "argocd.bigbang.example:1h", argocdURL, 30444, "timeout", "200"},
		{"host-slow", "keycloak.bigbang.example:1h", keycloak, 32444, "timeout", "200"},
	} {
		t.Run(c.fault+" "+cmp.Or(c.argument, "default"), func(t *testing.T) {
			off := s.switchOn(t, c.fault, c.argument)
			r := request{url: c.url, address: s.node(0, c.port)}
			if c.want == "timeout" {
				r.within = time.Second
			}
			if got := s.reached(t, r); got != c.want {
				t.Errorf("%s on new, want %s", got, c.want)
			}
			for address, url := range map[string]string{s.node(0, c.port-1): c.url, s.node(0, 30444): "https://kiali.bigbang.example/"} {
				if got := s.reached(t, request{url: url, address: address}); got != "200" && got != "302" {
					t.Errorf("%s at %s: %s", url, address, got)
				}
			}
			off()
			if got := s.reached(t, request{url: c.url, address: s.node(0, c.port)}); got != c.healed {
				t.Errorf("healed: %s, want %s", got, c.healed)
			}
		})
	}
}

func TestArgumentsOfGatewayFaults(t *testing.T) {
	s := start(t, Options{})
	control := Control{URL: s.ControlURL()}
	for _, c := range []struct{ fault, argument, says string }{
		{"gateway-down", "newer", `"newer" is no side`},
		{"gateway-down", "new@4", `"4" is no node`},
		{"gateway-down", "new@ip-10-0-0-1", `"ip-10-0-0-1" is no node`},
		{"gateway-down", "new:soon", `"soon" is no duration`},
		{"nodeport-filtered", "@1", `"" is no side`},
		{"gateway-cert-sni", "new@0", `"0" is no node`},
		{"host-503", "nobody.example", `no application is published as "nobody.example"`},
		{"host-slow", "argocd.bigbang.example:-1s", `"-1s" is no duration`},
		{"host-backend-503", "keycloak.bigbang.example", "ends in its application"},
	} {
		_, err := control.Fault(t.Context(), c.fault, c.argument)
		var known *model.Error
		if !errors.As(err, &known) || known.Kind != model.KindUsage || !strings.Contains(known.Message, c.says) || !strings.Contains(known.Remedy, c.fault) {
			t.Errorf("%s %s: %v, want usage with %s", c.fault, c.argument, err, c.says)
		}
	}
	if all := on(t, control); len(all) > 0 {
		t.Errorf("%v are on", all)
	}
}

// TestCloseWithGatewayFaults: by TestMain nothing is left running.
func TestCloseWithGatewayFaults(t *testing.T) {
	s := start(t, Options{})
	s.switchOn(t, "gateway-down", "old:1h")
	s.switchOn(t, "nodeport-filtered", "")
	s.switchOn(t, "gateway-cert-nosni", "")
	s.switchOn(t, "host-slow", "argocd.bigbang.example:1h")
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
