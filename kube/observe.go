package kube

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/klog/v2"

	"github.com/istio-cutover/cutover/model"
)

// Observe reads everything now: Gateways, VirtualServices, Services, nodes, the
// pods where ingress gateways can be and the Secrets that Gateways name, and
// who we are. What cannot be read is a Problem; the rest goes on. Lists come in
// pages, and every call has a deadline.
func (c *Client) Observe(ctx context.Context) model.Cluster {
	ctx = klog.NewContext(ctx, klog.Logger{})
	p := newPicture(c, func() {})
	began := time.Now()
	var group sync.WaitGroup
	group.Go(func() {
		if p.identify(ctx) == nil {
			p.inContact(began)
		}
	})
	group.Go(func() { readOnce(ctx, p, gatewayKind(), "", p.gateways, began) })
	group.Go(func() { readOnce(ctx, p, virtualServiceKind(), "", p.virtual, began) })
	group.Go(func() { readOnce(ctx, p, serviceKind(), "", p.services, began) })
	group.Go(func() { readOnce(ctx, p, nodeKind(), "", p.nodes, began) })
	group.Wait()
	p.readPods(ctx, began)
	wanted := p.wantedSecrets()
	if read := c.readSecrets(ctx, wanted); !interrupted(ctx) {
		p.takeSecrets(wanted, read, began)
	}
	seen := p.cluster()
	if interrupted(ctx) {
		seen.Problems = nil // Nobody knows whether there would be one.
	}
	return seen
}

// readPods reads the pods of all namespaces that matter. Where nothing at all
// has answered they are not asked for.
func (p *picture) readPods(ctx context.Context, began time.Time) {
	lost := p.services.state()
	var pods errgroup.Group
	pods.SetLimit(parallel)
	for _, namespace := range p.wantedNamespaces() {
		s := newShelf(convertPod, p.changed)
		p.pods[namespace] = s
		if p.contact.IsZero() && lost != nil {
			s.failed(lost.err, began)
			continue
		}
		pods.Go(func() error {
			readOnce(ctx, p, podKind(), namespace, s, began)
			return nil // A failure is on the shelf.
		})
	}
	_ = pods.Wait() // No reading returns an error.
}

// readOnce fills a shelf. What was interrupted is no trouble.
func readOnce[O runtime.Object, T any](ctx context.Context, p *picture, k kind, namespace string, s *shelf[O, T], now time.Time) {
	list, err := p.client.list(ctx, k, namespace)
	if err == nil {
		var objects []any
		err = meta.EachListItem(list, func(obj runtime.Object) error {
			objects = append(objects, obj)
			return nil
		})
		if err == nil {
			err = s.Replace(objects, "")
		}
	}
	switch {
	case interrupted(ctx):
	case err != nil:
		s.failed(p.client.classify(k.operation("list"), namespace, err), now)
	default:
		p.inContact(now)
	}
}
