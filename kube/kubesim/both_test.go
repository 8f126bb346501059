package kubesim

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"github.com/istio-cutover/cutover/kube/kubeapitest"
)

// TestOnBoth compares kubesim and a real API server in what is not recorded, because it depends on the client.
func TestOnBoth(t *testing.T) {
	server := kubeapitest.Start(t)
	_, simulated := start(t, Config{})
	real := loadConfig(t, server.Kubeconfig)
	t.Run("discovery", func(t *testing.T) { compareDiscovery(t, simulated, real) })
	t.Run("kubectl", func(t *testing.T) { compareKubectl(t, simulated, real, loadConfig(t, server.ViewerKubeconfig)) })
}

// compareKubectl gives the same command lines to kubectl on both, and wants the same output.
func compareKubectl(t *testing.T, simulated, real, realViewer *rest.Config) {
	t.Helper()
	data, err := os.ReadFile("testdata/kubectl.txt")
	if err != nil {
		t.Fatal(err)
	}
	ours := newTerminal(t, simulated, as(simulated, "viewer-token"))
	theirs := newTerminal(t, real, realViewer)
	for command := range strings.SplitSeq(string(data), "\n$ ") {
		line, stdin, _ := strings.Cut(strings.TrimPrefix(command, "$ "), "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		want, got := theirs.run(t, line, stdin), ours.run(t, line, stdin)
		if want != got {
			t.Errorf("%s\n(-real +kubesim)\n%s", line, cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")))
		}
		if testing.Verbose() {
			t.Logf("$ %s\n%s", line, want)
		}
	}
}

// terminal runs commands against one server, in a namespace of its own.
type terminal struct {
	ns, dir     string
	env, viewer []string
}

func newTerminal(t *testing.T, cfg, viewer *rest.Config) *terminal {
	t.Helper()
	term := &terminal{ns: "kubectl", dir: t.TempDir()}
	bin := filepath.Dir(kubectlPath(t))
	common := []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + term.dir, "EDITOR=sed -i s/edit-me/edited/", "KUBECTL_APPLYSET=false"}
	term.env = append([]string{"KUBECONFIG=" + writeKubeconfig(t, cfg)}, common...)
	term.viewer = append([]string{"KUBECONFIG=" + writeKubeconfig(t, viewer)}, common...)
	return term
}

// run gives a command line of a shell, in which k is kubectl in the namespace and v is the viewer's.
func (term *terminal) run(t *testing.T, line, stdin string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", "k() { kubectl -n "+term.ns+" \"$@\"; }; "+line)
	cmd.Env, cmd.Dir = term.env, term.dir
	if rest, ok := strings.CutPrefix(line, "v "); ok {
		cmd.Env = term.viewer
		cmd.Args[2] = "kubectl -n " + term.ns + " " + rest
	}
	cmd.Stdin = strings.NewReader(stdin)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	text := maskOutput(string(out))
	if err != nil {
		text += fmt.Sprintf("\n%v", err)
	}
	return text
}

// maskOutput takes out what no two servers have in common, and the widths of columns that depend on it.
func maskOutput(s string) string {
	for _, m := range []struct{ what, with string }{
		{`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`, "UID"},
		{`"?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"?`, "TIME"},
		{`(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w+ \d{4} \d\d:\d\d:\d\d [+-]\d{4}`, "TIME"},
		{`10\.96\.\d+\.\d+`, "10.96.x.x"},
		{`(resourceVersion"?: ?"?)\d+`, "${1}REV"},
		{`Resource Version:\s+\d+`, "Resource Version: REV"},
		{`(LIVE|MERGED)-\d+`, "$1"},
		{`/tmp/[^/ ]+/`, "/tmp/"},
		{`nodePort: 3\d{4}`, "nodePort: 3xxxx"},
		{`\b\d+(\.\d+)?(ms|s|m)\b`, "0s"},
		{`(?m)^(---|\+\+\+) .*$`, "$1"},
		{`kubectl-edit-\d+`, "kubectl-edit"},
		{` {2,}`, "  "},
		{`(?m) +$`, ""},
	} {
		s = regexp.MustCompile(m.what).ReplaceAllString(s, m.with)
	}
	return s
}

// compareDiscovery compares what discovery says of every resource that both serve.
func compareDiscovery(t *testing.T, simulated, real *rest.Config) {
	t.Helper()
	for _, legacy := range []bool{false, true} {
		ours, theirs := discover(t, simulated, legacy), discover(t, real, legacy)
		both := 0
		for gvr, got := range ours {
			want, ok := theirs[gvr]
			if !ok {
				continue
			}
			both++
			slices.Sort(got.Verbs)
			slices.Sort(want.Verbs)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("legacy %t: %v is\n%+v, want\n%+v", legacy, gvr, got, want)
			}
		}
		if both < 60 {
			t.Errorf("legacy %t: only %d resources are served by both", legacy, both)
		}
	}
}

func discover(t *testing.T, cfg *rest.Config, legacy bool) map[schema.GroupVersionResource]metav1.APIResource {
	t.Helper()
	client := must(discovery.NewDiscoveryClientForConfig(cfg))
	client.UseLegacyDiscovery = legacy
	_, lists, err := client.ServerGroupsAndResources()
	if err != nil {
		t.Fatal(err)
	}
	found := map[schema.GroupVersionResource]metav1.APIResource{}
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list.APIResources {
			found[gv.WithResource(r.Name)] = r
		}
	}
	return found
}
