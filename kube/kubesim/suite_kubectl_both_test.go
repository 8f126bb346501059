package kubesim

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"

	"github.com/istio-cutover/cutover/kube/kubeapitest"
)

// TestKubectlOnBoth gives the same command lines to kubectl on kubesim and on a real API server, and wants the same output.
// The output depends on the version of kubectl, so that it is not recorded.
func TestKubectlOnBoth(t *testing.T) {
	kubectlPath(t)
	server := kubeapitest.Start(t)
	_, simulated := start(t, Config{})
	real := loadConfig(t, server.Kubeconfig)
	realViewer := loadConfig(t, server.ViewerKubeconfig)
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
