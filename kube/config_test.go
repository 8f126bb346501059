package kube

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/istio-cutover/cutover/kube/kubesim"
	"github.com/istio-cutover/cutover/model"
)

// kubeconfig writes one with two contexts.
func kubeconfig(t *testing.T, change func(*clientcmdapi.Config)) string {
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["one"] = &clientcmdapi.Cluster{Server: "https://127.0.0.1:1"}
	config.Clusters["two"] = &clientcmdapi.Cluster{Server: "https://127.0.0.2:1"}
	config.AuthInfos["ann"] = &clientcmdapi.AuthInfo{Token: "a"}
	config.AuthInfos["bob"] = &clientcmdapi.AuthInfo{Token: "b"}
	config.Contexts["first"] = &clientcmdapi.Context{Cluster: "one", AuthInfo: "ann"}
	config.Contexts["second"] = &clientcmdapi.Context{Cluster: "two", AuthInfo: "bob"}
	config.CurrentContext = "first"
	if change != nil {
		change(config)
	}
	path := filepath.Join(t.TempDir(), "config")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestNew(t *testing.T) {
	path := kubeconfig(t, nil)
	for _, test := range []struct {
		name                  string
		flags                 func(*genericclioptions.ConfigFlags)
		context, server, user string
		timeout               time.Duration
	}{
		{"the current context", func(*genericclioptions.ConfigFlags) {}, "first", "https://127.0.0.1:1", "ann", defaultTimeout},
		{"--context", func(f *genericclioptions.ConfigFlags) { *f.Context = "second" }, "second", "https://127.0.0.2:1", "bob", defaultTimeout},
		{"--user", func(f *genericclioptions.ConfigFlags) { *f.AuthInfoName = "bob" }, "first", "https://127.0.0.1:1", "bob", defaultTimeout},
		{"--server", func(f *genericclioptions.ConfigFlags) { *f.APIServer = "https://127.0.0.3:1" }, "first", "https://127.0.0.3:1", "ann", defaultTimeout},
		{"--request-timeout", func(f *genericclioptions.ConfigFlags) { *f.Timeout = "3s" }, "first", "https://127.0.0.1:1", "ann", 3 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			flags := flagsFor(path)
			test.flags(flags)
			c, err := New(flags, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if c.Context() != test.context || c.Server() != test.server || c.user != test.user || c.timeout != test.timeout || c.http.Timeout != 0 {
				t.Errorf("context %q, server %q, user %q, timeout %s, of all %s", c.Context(), c.Server(), c.user, c.timeout, c.http.Timeout)
			}
		})
	}
}

func TestUnusableKubeconfig(t *testing.T) {
	good := kubeconfig(t, nil)
	garbage := filepath.Join(t.TempDir(), "garbage")
	if err := os.WriteFile(garbage, []byte("clusters: {\x1b[31m"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := kubeconfig(t, func(c *clientcmdapi.Config) { *c = *clientcmdapi.NewConfig() })
	for _, test := range []struct {
		name, path, context, want string
	}{
		{"no such file", filepath.Join(t.TempDir(), "none"), "", "no such file"},
		{"garbage", garbage, "", "yaml"},
		{"unknown context", good, "third", `"third" does not exist`},
		{"nothing in it", empty, "", "names no cluster"},
		{"a missing certificate", kubeconfig(t, func(c *clientcmdapi.Config) { c.Clusters["one"].CertificateAuthority = "/nonexistent/ca" }), "", "/nonexistent/ca"},
	} {
		t.Run(test.name, func(t *testing.T) {
			flags := flagsFor(test.path)
			*flags.Context = test.context
			_, err := New(flags, Options{})
			if model.KindOf(err) != model.KindUsage {
				t.Fatalf("error %v", err)
			}
			text := err.Error()
			if !strings.Contains(text, test.want) || !strings.Contains(text, test.path) || strings.ContainsAny(text, "\x1b\n") {
				t.Errorf("error %q", text)
			}
		})
	}
}

// captured returns what is written to standard error meanwhile.
func captured(t *testing.T, do func()) string {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan string)
	go func() {
		var all bytes.Buffer
		_, _ = io.Copy(&all, read)
		said <- all.String()
	}()
	before := os.Stderr
	os.Stderr = write
	defer func() { os.Stderr = before }()
	do()
	os.Stderr = before
	if err := write.Close(); err != nil {
		t.Error(err)
	}
	return <-said
}

// A credential plugin's words belong into the error, not on the screen.
func TestCredentialPlugin(t *testing.T) {
	sim, s := simulated(t, kubesim.Config{}, nil)
	s.populate(t)
	path := sim.kubeconfig("")
	config, err := clientcmd.LoadFromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	config.AuthInfos["operator"] = &clientcmdapi.AuthInfo{Exec: &clientcmdapi.ExecConfig{
		APIVersion: "client.authentication.k8s.io/v1", InteractiveMode: clientcmdapi.IfAvailableExecInteractiveMode,
		Command: "sh", Args: []string{"-c", `echo 'noise' >&2; printf '\033[31mthe SSO session has expired\n' >&2; exit 1`, t.TempDir()}, // Unlike any before: client-go remembers plugins.
	}}
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	var seen model.Cluster
	screen := captured(t, func() { seen = clientFor(t, path, Options{}).Observe(t.Context()) })
	if screen != "" {
		t.Errorf("on the screen: %q", screen)
	}
	for _, p := range seen.Problems {
		if p.Kind != model.KindAccess || !strings.Contains(p.Message, "the SSO session has expired") || strings.ContainsRune(p.Message, 0x1b) {
			t.Errorf("problem %+v", p)
		}
	}
	if len(seen.Problems) != len(observed()) {
		t.Errorf("problems %+v", seen.Problems)
	}
}

// A plugin that waits for somebody to log in must not stop everything.
func TestCredentialPluginThatWaits(t *testing.T) {
	sim, _ := simulated(t, kubesim.Config{}, nil)
	path := sim.kubeconfig("")
	config, err := clientcmd.LoadFromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	gate := filepath.Join(t.TempDir(), "gate")
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	config.AuthInfos["operator"] = &clientcmdapi.AuthInfo{Exec: &clientcmdapi.ExecConfig{
		APIVersion: "client.authentication.k8s.io/v1", InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
		Command: "sh", Args: []string{"-c", "echo 'enter code 1234' >&2; while [ -e " + gate + " ]; do sleep 0.05; done; exit 1"},
	}}
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	c := clientFor(t, path, Options{})
	c.timeout = 300 * time.Millisecond
	began := time.Now()
	seen := c.Observe(t.Context())
	if took := time.Since(began); took > 5*time.Second || len(seen.Problems) != len(observed()) || !strings.Contains(seen.Problems[0].Message, "enter code 1234") {
		t.Errorf("after %s: %+v", took, seen.Problems)
	}
	if err := os.Remove(gate); err != nil { // It ends as often as it was asked.
		t.Error(err)
	}
}

func TestNothingOnTheScreen(t *testing.T) {
	sim, s := simulated(t, kubesim.Config{}, nil)
	s.populate(t)
	screen := captured(t, func() {
		w := watchWith(t, impatient(clientFor(t, s.admin, Options{})))
		w.until("everything", whole)
		sim.close()
		w.until("the loss", func(c model.Cluster) bool { return len(c.Problems) == len(observed()) })
		sim.open()
		w.until("healing", whole)
		w.end()
	})
	if screen != "" {
		t.Errorf("on the screen: %q", screen)
	}
}
