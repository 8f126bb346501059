package kubesim

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

const manyServices = 2000

// many makes 2,000 VirtualServices, as many as a large cluster has.
func many(b testing.TB) (*Server, *rest.Config) {
	b.Helper()
	s, cfg := start(b, Config{})
	for i := range manyServices {
		mustCreate(b, s, object("networking.istio.io/v1", "VirtualService", "default", fmt.Sprintf("vs-%04d", i), map[string]any{"spec": map[string]any{"hosts": []string{fmt.Sprintf("h%d.example", i)}, "gateways": []string{"istio-system/public"}}}))
	}
	return s, cfg
}

const virtualServicesPath = "/apis/networking.istio.io/v1/virtualservices"

func read(b *testing.B, client *http.Client, url string) {
	b.Helper()
	resp, err := client.Get(url)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkList lists 2,000 VirtualServices over the wire, as an informer's first request does.
func BenchmarkList(b *testing.B) {
	_, cfg := many(b)
	client := must(rest.HTTPClientFor(cfg))
	for b.Loop() {
		read(b, client, cfg.Host+virtualServicesPath)
	}
}

// BenchmarkTable prints them, as kubectl get does.
func BenchmarkTable(b *testing.B) {
	s, _ := many(b)
	res, err := s.resource(virtualServices())
	if err != nil {
		b.Fatal(err)
	}
	records := sorted(s.shelves[res.groupResource()].objects, "")
	req := &request{Request: must(http.NewRequestWithContext(b.Context(), http.MethodGet, "/", http.NoBody)), res: res}
	for b.Loop() {
		if _, err := s.table(req, records, true); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPages lists them in pages of 100 over the wire.
func BenchmarkPages(b *testing.B) {
	_, cfg := many(b)
	client := must(dynamic.NewForConfig(cfg)).Resource(virtualServices())
	for b.Loop() {
		opts := metav1.ListOptions{Limit: 100}
		for n := 0; ; {
			list, err := client.List(b.Context(), opts)
			if err != nil {
				b.Fatal(err)
			}
			n += len(list.Items)
			if opts.Continue = list.GetContinue(); opts.Continue == "" {
				if n != manyServices {
					b.Fatalf("%d items in all", n)
				}
				break
			}
		}
	}
}

// BenchmarkPatch patches one of them over the wire, with ten watches on all.
func BenchmarkPatch(b *testing.B) {
	s, cfg := many(b)
	client := must(dynamic.NewForConfig(cfg)).Resource(virtualServices())
	for range 10 {
		w, err := client.Watch(b.Context(), metav1.ListOptions{ResourceVersion: fmt.Sprint(s.revision())})
		if err != nil {
			b.Fatal(err)
		}
		defer w.Stop()
		go func() {
			for range w.ResultChan() {
				// The watch is kept up with.
			}
		}()
	}
	n := 0
	for b.Loop() {
		n++
		if _, err := client.Namespace("default").Patch(b.Context(), "vs-0007", types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"annotations":{"n":"%d"}}}`, n), metav1.PatchOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkApply applies one of them in process, as the server does for kubectl apply --server-side.
func BenchmarkApply(b *testing.B) {
	s := New(Config{})
	res, err := s.resource(virtualServices())
	if err != nil {
		b.Fatal(err)
	}
	patch := func() map[string]any {
		return map[string]any{"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": map[string]any{"name": "a", "namespace": "default"}, "spec": map[string]any{"hosts": []any{"a.example"}}}
	}
	var live *unstructured.Unstructured
	for b.Loop() {
		if live, err = s.apply(res, "v1", "", live, patch(), "me", false); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNew starts a server.
func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		New(Config{}).Close()
	}
}
