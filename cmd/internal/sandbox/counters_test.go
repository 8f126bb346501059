package sandbox

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestCountersByKubectl: the gateways' counters are where a real cluster has
// them, and say which side a request went to.
func TestCountersByKubectl(t *testing.T) {
	if _, err := exec.LookPath("kubectl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("kubectl is missing")
		}
		t.Skip("kubectl is missing: install it to run this test")
	}
	s := start(t, Options{})
	address, _ := s.balancer(t, "public-alb")
	if got := s.status(t, request{url: "https://argocd." + domain + "/", address: address}); got != "200" {
		t.Fatal(got)
	}
	core, _ := s.kube(t)
	counted := func(namespace string) (n int) {
		pods, err := core.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app=public-ingressgateway"})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range pods.Items {
			//nolint:gosec // The names are the sandbox's.
			cmd := exec.CommandContext(t.Context(), "kubectl", "--kubeconfig", s.Kubeconfig(), "get", "--raw",
				"/api/v1/namespaces/"+namespace+"/pods/"+p.Name+":15090/proxy/stats/prometheus")
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for line := range strings.Lines(string(out)) {
				if strings.HasPrefix(line, "istio_requests_total{") && strings.Contains(line, `destination_service="argocd.argocd.svc.cluster.local"`) &&
					strings.Contains(line, `response_code="200"`) && strings.HasSuffix(line, " 1\n") {
					n++
				}
			}
		}
		return n
	}
	if old, fresh := counted("istio-system"), counted("istio-gateway"); old != 1 || fresh != 0 {
		t.Errorf("one request through old was counted %d times there and %d times on new", old, fresh)
	}

	if err := s.SetAccessLog(false); err != nil {
		t.Fatal(err)
	}
	eventually(t, "no access log", func() (string, bool) {
		agent := "probe-" + randomUUID()
		s.status(t, request{url: "https://argocd." + domain + "/", address: address, agent: agent})
		return "", s.answered(t, agent) == ""
	})
}
