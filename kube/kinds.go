package kube

import (
	"context"
	"slices"
	"strings"

	networking "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/pager"

	"github.com/istio-cutover/cutover/model"
)

const (
	pageSize = 500
	// parallel is how many calls are under way at once at most.
	parallel = 8
)

// kind is one kind of object that is listed and watched.
type kind struct {
	resource model.Resource
	example  runtime.Object
	istio    bool
}

func gatewayKind() kind {
	return kind{model.ResourceGateways, &networking.Gateway{}, true}
}

func virtualServiceKind() kind {
	return kind{model.ResourceVirtualServices, &networking.VirtualService{}, true}
}
func serviceKind() kind { return kind{model.ResourceServices, &corev1.Service{}, false} }
func podKind() kind     { return kind{model.ResourcePods, &corev1.Pod{}, false} }
func nodeKind() kind    { return kind{model.ResourceNodes, &corev1.Node{}, false} }

// operation names a call on the kind as permissions do.
func (k kind) operation(verb string) string { return verb + " " + string(k.resource) }

func (c *Client) restClient(ctx context.Context, k kind) (rest.Interface, error) {
	if k.istio {
		return c.istioClient(ctx)
	}
	return c.core.RESTClient(), nil
}

// page reads one page of a kind, of all namespaces with "".
func (c *Client) page(ctx context.Context, k kind, namespace string, opts metav1.ListOptions) (list runtime.Object, err error) {
	err = c.call(ctx, k.operation("list"), namespace, func(ctx context.Context) error {
		client, err := c.restClient(ctx, k)
		if err != nil {
			return err
		}
		list, err = request(client, k, namespace, opts).Do(ctx).Get()
		return err
	})
	if k.istio && model.KindOf(err) == model.KindNotFound {
		c.forgetIstio()
	}
	return list, err
}

func request(client rest.Interface, k kind, namespace string, opts metav1.ListOptions) *rest.Request {
	return client.Get().NamespaceIfScoped(namespace, namespace != "").Resource(string(k.resource)).
		VersionedParams(&opts, metav1.ParameterCodec).MaxRetries(0)
}

// list reads all of a kind in pages.
func (c *Client) list(ctx context.Context, k kind, namespace string) (runtime.Object, error) {
	p := pager.New(func(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
		return c.page(ctx, k, namespace, opts)
	})
	p.PageSize = pageSize
	list, _, err := p.List(ctx, metav1.ListOptions{})
	return list, err
}

// listWatch is what a reflector lists and watches a kind with.
func (c *Client) listWatch(k kind, namespace string) *cache.ListWatch {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
			return c.page(ctx, k, namespace, opts)
		},
		WatchFuncWithContext: func(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
			opts.Watch = true
			return c.begin(ctx, k.operation("watch"), namespace, func(ctx context.Context) (watch.Interface, error) {
				client, err := c.restClient(ctx, k)
				if err != nil {
					return nil, err
				}
				return request(client, k, namespace, opts).Watch(ctx)
			})
		},
	}
}

// usualNamespaces are where ingress gateways are by convention (FACTS).
func usualNamespaces() []string { return []string{"istio-gateway", "istio-system"} }

// podNamespaces returns where the pods of ingress gateways can be, sorted: the
// usual namespaces, those of Gateways, and those of the Services that carry
// Gateways' traffic.
func podNamespaces(gateways []model.Gateway, services []model.Service) []string {
	found := usualNamespaces()
	for _, g := range gateways {
		found = append(found, g.Name.Namespace)
	}
	for _, s := range services {
		if ingress(s) && slices.ContainsFunc(gateways, func(g model.Gateway) bool { return compatible(g.Selector, s.Selector) }) {
			found = append(found, s.Name.Namespace)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// ingress reports whether a Service has a port for ingress traffic, by its
// number or its target (FACTS).
func ingress(s model.Service) bool {
	return len(s.Selector) > 0 && slices.ContainsFunc(s.Ports, func(p model.ServicePort) bool {
		return slices.Contains([]int{80, 443}, p.Port) || slices.Contains([]int{8080, 8443}, p.TargetPort)
	})
}

// compatible reports whether a pod can have the labels of both selectors and
// they have one in common.
func compatible(a, b map[string]string) bool {
	common := false
	for k, v := range a {
		if w, ok := b[k]; ok {
			if w != v {
				return false
			}
			common = true
		}
	}
	return common
}

// inNamespace completes a message about a part of a kind.
func inNamespace(message, namespace string) string {
	if namespace == "" || strings.Contains(message, namespace) {
		return message
	}
	return "namespace " + namespace + ": " + message
}
