package kubeapitest

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

func TestStart(t *testing.T) {
	server := Start(t)
	const (
		gateways = "/apis/networking.istio.io/v1/gateways"
		reports  = "/apis/wgpolicyk8s.io/v1alpha2/policyreports"
	)
	for _, test := range []struct {
		user, kubeconfig, path string
		status                 int
	}{
		{"admin", server.Kubeconfig, "/readyz", http.StatusOK},
		{"admin", server.Kubeconfig, gateways, http.StatusOK},
		{"admin", server.Kubeconfig, "/apis/networking.istio.io/v1beta1/virtualservices", http.StatusOK},
		{"admin", server.Kubeconfig, reports, http.StatusOK},
		{"admin", server.Kubeconfig, "/api/v1/secrets", http.StatusOK},
		{"viewer", server.ViewerKubeconfig, "/readyz", http.StatusOK},
		{"viewer", server.ViewerKubeconfig, gateways, http.StatusOK},
		{"viewer", server.ViewerKubeconfig, "/api/v1/services", http.StatusOK},
		{"viewer", server.ViewerKubeconfig, "/api/v1/secrets", http.StatusForbidden},
		{"viewer", server.ViewerKubeconfig, "/api/v1/nodes", http.StatusForbidden},
		{"viewer", server.ViewerKubeconfig, reports, http.StatusForbidden},
	} {
		t.Run(test.user+test.path, func(t *testing.T) {
			status, body := get(t, test.kubeconfig, server.URL+test.path)
			if status != test.status {
				t.Errorf("status %d, want %d: %s", status, test.status, body)
			}
		})
	}
	for _, path := range []string{server.Kubeconfig, server.ViewerKubeconfig} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %o, want 600", filepath.Base(path), mode)
		}
	}
}

// A client that still watches must not delay the end, which the cleanup of
// Start checks.
func TestStopUnderAWatch(t *testing.T) {
	var watch *http.Response
	t.Cleanup(func() {
		if watch != nil {
			watch.Body.Close()
		}
	})
	server := Start(t)
	watch = open(context.Background(), t, server.Kubeconfig, server.URL+"/apis/networking.istio.io/v1/gateways?watch=true")
	if watch.StatusCode != http.StatusOK {
		t.Errorf("watch: %s", watch.Status)
	}
}

func open(ctx context.Context, t *testing.T, kubeconfig, url string) *http.Response {
	t.Helper()
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func get(t *testing.T, kubeconfig, url string) (status int, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	response := open(ctx, t, kubeconfig, url)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(content)
}

func TestMissingBinary(t *testing.T) {
	t.Setenv("CUTOVER_KUBEAPI", filepath.Join(t.TempDir(), "none"))
	if path, err := findBinary(); err == nil {
		t.Errorf("found %s", path)
	}
}

// The server carries a copy of Istio's definitions, because go:embed does not
// reach into another module.
func TestIstioDefinitionsAreThoseOfTheModule(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	output, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "istio.io/api").Output()
	if err != nil {
		t.Skipf("no go command to find the module istio.io/api with: %v", err)
	}
	want, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(output)), "kubernetes", "customresourcedefinitions.gen.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(root, "testdata", "kubeapi", "crds", "istio.yaml")
	got, err := os.ReadFile(copied)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s differs from the version of istio.io/api in go.mod: copy it anew", copied)
	}
}
