package gateway

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestMostSpecificHostWins(t *testing.T) {
	hosts := newHostMap[string]()
	for _, pattern := range []string{"*.test", "*.A.test", "x.a.test", "*"} {
		hosts.put(pattern, pattern)
	}
	for name, want := range map[string]string{
		"x.a.test": "x.a.test", "X.A.Test": "x.a.test", "y.a.test": "*.A.test", "z.y.a.test": "*.A.test",
		"a.test": "*.test", "test": "*", "": "*", "other": "*",
	} {
		got, ok := hosts.match(name)
		if !ok || !strings.EqualFold(got, want) {
			t.Errorf("%q matches %q, %v, want %q", name, got, ok, want)
		}
	}
	hosts = newHostMap[string]()
	hosts.put("*.a.test", "wild")
	for _, name := range []string{"", "a.test", "b.test"} {
		if got, ok := hosts.match(name); ok {
			t.Errorf("%q matches %q", name, got)
		}
	}
}

func TestCommonHosts(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"*", "x.a.test", "x.a.test"},
		{"*.a.test", "x.a.test", "x.a.test"},
		{"x.a.test", "*.a.test", "x.a.test"},
		{"*.a.test", "*.b.a.test", "*.b.a.test"},
		{"*.a.test", "a.test", ""},
		{"x.a.test", "y.a.test", ""},
		{"*.a.test", "*.b.test", ""},
	} {
		if got, ok := common(c.a, c.b); got != c.want || ok != (c.want != "") {
			t.Errorf("%s and %s have %q, %v in common, want %q", c.a, c.b, got, ok, c.want)
		}
	}
}

// served compiles a cluster of one gateway with one server and one
// VirtualService and tells whether /path of the host has a route.
func served(t *testing.T, serverHost, virtualService, host string) bool {
	t.Helper()
	store := &memory{objects: map[string]*unstructured.Unstructured{}}
	store.apply(t, strings.ReplaceAll(strings.TrimSpace(cluster), "NODE", "127.66.0.11"))
	store.apply(t, fmt.Sprintf(`
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public, namespace: istio-system}
spec:
  selector: {app: gw}
  servers: [{hosts: [%q], port: {number: 80, protocol: HTTP, name: http}}]
`, serverHost))
	store.apply(t, fmt.Sprintf(`{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: app, namespace: app}, spec: {%s}}`, virtualService))
	compiled := compile(read(store, slog.New(slog.DiscardHandler)), slog.New(slog.DiscardHandler))
	pod := compiled.pods["istio-system/gw-1"]
	if pod == nil || pod.listeners[8080] == nil {
		t.Fatal("the pod has no listener")
	}
	found, ok := pod.listeners[8080].plain.match(host)
	return ok && found.find("GET", "/path") != nil
}

func TestBinding(t *testing.T) {
	const route = "route: [{destination: {host: app, port: {number: 80}}}]"
	const full = "hosts: [x.a.test], gateways: [istio-system/public], http: [{" + route + "}]"
	for _, c := range []struct {
		name, server, vs string
		want             bool
	}{
		{"full name", "*", full, true},
		{"bare name of another namespace", "*", "hosts: [x.a.test], gateways: [public], http: [{" + route + "}]", false},
		{"mesh only", "*", "hosts: [x.a.test], http: [{" + route + "}]", false},
		{"another gateway", "*", "hosts: [x.a.test], gateways: [istio-gateway/public], http: [{" + route + "}]", false},
		{"server for its namespace", "app/*", full, true},
		{"server for the gateway's namespace", "./*", full, false},
		{"server for any namespace", "*/x.a.test", full, true},
		{"server for another host", "*.b.test", full, false},
		{"exported to all", "*", "exportTo: ['*'], " + full, true},
		{"exported to the gateway", "*", "exportTo: [istio-system], " + full, true},
		{"exported to itself", "*", "exportTo: ['.'], " + full, false},
		{"prefix", "*", "hosts: [x.a.test], gateways: [istio-system/public], http: [{match: [{uri: {prefix: /pa}}], " + route + "}]", true},
		{"other prefix", "*", "hosts: [x.a.test], gateways: [istio-system/public], http: [{match: [{uri: {prefix: /other}}], " + route + "}]", false},
		{"regex", "*", "hosts: [x.a.test], gateways: [istio-system/public], http: [{match: [{uri: {regex: '/p.*h'}}], " + route + "}]", true},
		{"regex that does not compile", "*", "hosts: [x.a.test], gateways: [istio-system/public], http: [{match: [{uri: {regex: '('}}], " + route + "}]", false},
		{"other method", "*", "hosts: [x.a.test], gateways: [istio-system/public], http: [{match: [{method: {exact: POST}}], " + route + "}]", false},
		{"match on another gateway", "*", "hosts: [x.a.test], gateways: [istio-system/public], http: [{match: [{gateways: [istio-gateway/public]}], " + route + "}]", false},
		{"match on this gateway", "*", "hosts: [x.a.test], gateways: [istio-system/public], http: [{match: [{gateways: [istio-system/public]}], " + route + "}]", true},
		{"wildcard", "*", "hosts: ['*.a.test'], gateways: [istio-system/public], http: [{" + route + "}]", true},
		{"not an object", "*", "hosts: 7", false},
		{"no destination", "*", "hosts: [x.a.test], gateways: [istio-system/public], http: [{name: empty}]", false},
	} {
		if got := served(t, c.server, c.vs, "x.a.test"); got != c.want {
			t.Errorf("%s: served %v, want %v", c.name, got, c.want)
		}
	}
}

func TestLocalTrafficPolicy(t *testing.T) {
	store := &memory{objects: map[string]*unstructured.Unstructured{}}
	store.apply(t, strings.ReplaceAll(strings.TrimSpace(cluster), "NODE", "127.66.0.11"))
	store.apply(t, `
apiVersion: v1
kind: Service
metadata: {name: gw, namespace: istio-system}
spec:
  externalTrafficPolicy: Local
  selector: {app: gw}
  ports: [{name: https, port: 443, targetPort: 8443, nodePort: 30443}]
`)
	compiled := compile(read(store, slog.New(slog.DiscardHandler)), slog.New(slog.DiscardHandler))
	behind := compiled.ports[30443]
	if here, there := len(behind.eligible("node-1")), len(behind.eligible("node-2")); here != 1 || there != 0 {
		t.Errorf("%d pods on the pod's node, %d on another, want 1 and 0", here, there)
	}
	if len(compiled.nodes) != 1 {
		t.Errorf("nodes %v: addresses beyond loopback are not for listening", compiled.nodes)
	}
}

// TestUpgrade speaks a protocol of its own through the gateway, as WebSocket clients do.
func TestUpgrade(t *testing.T) {
	w := start(t)
	w.apply(t, `{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: public, namespace: istio-system}, spec: {selector: {app: gw}, servers: [{hosts: ['*'], port: {number: 80, protocol: HTTP, name: http}}]}}`)
	w.apply(t, `{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: echo, namespace: app}, spec: {hosts: [echo.a.test], gateways: [istio-system/public], http: [{route: [{destination: {host: echo, port: {number: 80}}}]}]}}`)
	w.eventually(t, "200", 30080, "", "http://echo.a.test/")
	conn, err := net.Dial("tcp", w.node+":30080")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	say := func(text string) {
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
	}
	say("GET /echo HTTP/1.1\r\nHost: echo.a.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade: %v, %v", response, err)
	}
	say("hello\n")
	if line, err := reader.ReadString('\n'); err != nil || line != "hello\n" {
		t.Errorf("echo: %q, %v", line, err)
	}
	conn.Close()
	if line := waitForLine(t, w.mesh, `"GET /echo `); !strings.Contains(line, `HTTP/1.1" 101 `) {
		t.Errorf("log line %s is not that of an upgrade", line)
	}
}
