package kubesim

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// stripped is the same server without credentials that it knows.
func stripped(cfg *rest.Config) *rest.Config {
	cfg = rest.AnonymousClientConfig(cfg)
	cfg.QPS = -1
	cfg.BearerToken = "unknown"
	return cfg
}

// viewerName asks a real API server who the viewer is; kubesim has no such review.
func viewerName(t *testing.T, e *env) string {
	t.Helper()
	review, err := must(kubernetes.NewForConfig(e.viewer)).AuthenticationV1().SelfSubjectReviews().Create(e.ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return "viewer"
	}
	return review.Status.UserInfo.Username
}

// writeKubeconfig makes a kubeconfig of what a client was configured with.
func writeKubeconfig(t *testing.T, cfg *rest.Config) string {
	t.Helper()
	file := clientcmdapi.NewConfig()
	file.Clusters["c"] = &clientcmdapi.Cluster{Server: cfg.Host, CertificateAuthorityData: cfg.CAData, CertificateAuthority: cfg.CAFile}
	file.AuthInfos["u"] = &clientcmdapi.AuthInfo{
		Token: cfg.BearerToken, TokenFile: cfg.BearerTokenFile,
		ClientCertificateData: cfg.CertData, ClientKeyData: cfg.KeyData, ClientCertificate: cfg.CertFile, ClientKey: cfg.KeyFile,
	}
	file.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	file.CurrentContext = "x"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*file, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// kubectl is a command line of kubectl, with a home of its own.
type kubectl struct {
	path, kubeconfig, home string
}

func newKubectl(t *testing.T, cfg *rest.Config) *kubectl {
	t.Helper()
	return &kubectl{path: kubectlPath(t), kubeconfig: writeKubeconfig(t, cfg), home: t.TempDir()}
}

func (k *kubectl) run(t *testing.T, e *env, stdin string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(e.ctx, k.path, append([]string{"-n", e.ns}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + k.home, "KUBECONFIG=" + k.kubeconfig}
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

const gatewayManifest = `
apiVersion: networking.istio.io/v1beta1
kind: Gateway
metadata: {name: public}
spec: {selector: {app: public-ingressgateway}, servers: [{hosts: ["*"], port: {name: https, number: 8443, protocol: HTTPS}}]}
---
apiVersion: v1
kind: Service
metadata: {name: public}
spec: {type: NodePort, selector: {app: public-ingressgateway}, ports: [{name: https, port: 443, nodePort: 31445, targetPort: 8443}]}
---
apiVersion: v1
kind: Pod
metadata: {name: public-1, labels: {app: public-ingressgateway}}
spec: {containers: [{name: istio-proxy, image: proxyv2}]}
`

func testKubectl(t *testing.T, e *env) {
	k := newKubectl(t, e.cfg)
	e.virtualService(t, "argocd", "argocd.bigbang.example")
	want := func(args []string, stdin string, parts ...string) {
		t.Helper()
		out, err := k.run(t, e, stdin, args...)
		if err != nil {
			t.Errorf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		for _, part := range parts {
			if !strings.Contains(out, part) {
				t.Errorf("kubectl %s lacks %q:\n%s", strings.Join(args, " "), part, out)
			}
		}
	}
	want([]string{"create", "-f", "-"}, gatewayManifest, "gateway.networking.istio.io/public created", "service/public created", "pod/public-1 created")
	want([]string{"get", "vs", "-A"}, "", "NAMESPACE", "GATEWAYS", "HOSTS", `["argocd.bigbang.example"]`)
	want([]string{"get", "gateways"}, "", "NAME", "AGE", "public")
	want([]string{"get", "pods,svc", "-o", "wide"}, "", "READY", "0/1", "SELECTOR", "443:31445/TCP", "app=public-ingressgateway")
	want([]string{"get", "nodes"}, "")
	want([]string{"get", "vs", "argocd", "-o", "jsonpath={.spec.hosts[0]} {.apiVersion}"}, "", "argocd.bigbang.example networking.istio.io/v1")
	want([]string{"get", "virtualservices.v1beta1.networking.istio.io", "-o", "yaml"}, "", "apiVersion: networking.istio.io/v1beta1")
	want([]string{"describe", "vs", "argocd"}, "", "API Version:  networking.istio.io/v1", "argocd.bigbang.example")
	want([]string{"describe", "svc", "public"}, "", "NodePort:                 https  31445/TCP")
	want([]string{"describe", "pod", "public-1"}, "", "istio-proxy:")
	want([]string{"annotate", "gateway", "public", "--overwrite", "helm.sh/resource-policy=keep"}, "", "annotated")
	want([]string{"annotate", "svc", "public", "helm.sh/resource-policy=keep"}, "", "annotated")
	want([]string{"label", "vs", "argocd", "lane=public"}, "", "labeled")
	want([]string{"get", "vs", "-l", "lane=public", "-o", "name"}, "", "virtualservice.networking.istio.io/argocd")
	want([]string{"patch", "vs", "argocd", "--type=json", "-p", `[{"op":"add","path":"/spec/gateways/-","value":"istio-gateway/public-ingressgateway"}]`}, "", "patched")
	want([]string{"patch", "svc", "public", "-p", `{"spec":{"externalTrafficPolicy":"Local"}}`}, "", "patched")
	want([]string{"apply", "-f", "-"}, gatewayManifest, "gateway.networking.istio.io/public configured", "service/public configured")
	want([]string{"apply", "-f", "-"}, gatewayManifest, "gateway.networking.istio.io/public unchanged")
	want([]string{"auth", "can-i", "patch", "virtualservices"}, "", "yes")
	want([]string{"delete", "vs", "argocd"}, "", `deleted`)
	want([]string{"delete", "pod", "public-1", "--now"}, "", `deleted`)
	if out, err := k.run(t, e, "", "get", "vs", "argocd"); err == nil || !strings.Contains(out, `Error from server (NotFound): virtualservices.networking.istio.io "argocd" not found`) {
		t.Errorf("a VirtualService that was deleted: %v %s", err, out)
	}
	if out, err := k.run(t, e, "", "patch", "gateway", "public", "--type=json", "-p", `[{"op":"test","path":"/spec/selector/app","value":"other"}]`); err == nil || !strings.Contains(out, "The request is invalid") {
		t.Errorf("a failing test: %v %s", err, out)
	}
}
