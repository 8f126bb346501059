package kube

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	networking "istio.io/client-go/pkg/apis/networking/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/istio-cutover/cutover/model"
)

// picture is what is known of the cluster, kind by kind. It is safe for
// concurrent use.
type picture struct {
	client   *Client
	gateways *shelf[*networking.Gateway, model.Gateway]
	virtual  *shelf[*networking.VirtualService, model.VirtualService]
	services *shelf[*corev1.Service, model.Service]
	nodes    *shelf[*corev1.Node, model.Node]
	changed  func()

	mu         sync.Mutex
	pods       map[string]*shelf[*corev1.Pod, model.Pod] // by namespace
	secrets    map[model.ObjectName]model.Secret
	secretsFor map[model.ObjectName]bool // what secrets was read for; nil before
	noSecrets  *trouble
	uid, user  string
	noUID      *trouble
	identified bool // identity was read, or has failed
	connection *trouble
	contact    time.Time // when the API server last answered
}

func newPicture(c *Client, changed func()) *picture {
	return &picture{
		client: c, changed: changed, user: c.user,
		gateways: newShelf(convertGateway, changed),
		virtual:  newShelf(convertVirtualService, changed),
		services: newShelf(convertService, changed),
		nodes:    newShelf(convertNode, changed),
		pods:     map[string]*shelf[*corev1.Pod, model.Pod]{},
		secrets:  map[model.ObjectName]model.Secret{},
	}
}

// inContact notes that the API server has answered.
func (p *picture) inContact(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at.After(p.contact) {
		p.contact = at
	}
}

// allPods returns the pods of all namespaces that are looked at.
func (p *picture) allPods() []model.Pod {
	p.mu.Lock()
	shelves := make([]*shelf[*corev1.Pod, model.Pod], 0, len(p.pods))
	for _, namespace := range slices.Sorted(maps.Keys(p.pods)) {
		shelves = append(shelves, p.pods[namespace])
	}
	p.mu.Unlock()
	var all []model.Pod
	for _, s := range shelves {
		all = append(all, s.values()...)
	}
	return all
}

func (p *picture) wantedNamespaces() []string {
	return podNamespaces(p.gateways.values(), p.services.values())
}

func (p *picture) wantedSecrets() map[model.ObjectName]bool {
	return secretNames(p.gateways.values(), p.services.values(), p.allPods())
}

// identify reads which cluster this is and who we are there.
func (p *picture) identify(ctx context.Context) error {
	c := p.client
	var uid, user string
	var asking sync.WaitGroup
	asking.Go(func() { user = c.whoAmI(ctx) })
	err := c.call(ctx, "get namespaces", metav1.NamespaceSystem, func(ctx context.Context) error {
		ns, err := c.core.Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
		if err == nil {
			uid = string(ns.UID)
		}
		return err
	})
	asking.Wait()
	if interrupted(ctx) {
		return ctx.Err()
	}
	p.mu.Lock()
	p.noUID, p.identified = p.noUID.after(err, time.Now()), true
	if err == nil {
		p.uid = uid
	}
	if user != "" {
		p.user = user
	}
	p.mu.Unlock()
	p.changed()
	return err
}

// whoAmI returns the name that the API server has for us, "" where it does not
// say (Kubernetes before 1.28, or denied).
func (c *Client) whoAmI(ctx context.Context) string {
	var name string
	_ = c.call(ctx, "create selfsubjectreviews", "", func(ctx context.Context) error { // The kubeconfig's name will do.
		review, err := c.auth.SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
		if err == nil {
			name = review.Status.UserInfo.Username
		}
		return err
	})
	return name
}

// takeSecrets notes what became of reading the Secrets that were wanted.
func (p *picture) takeSecrets(wanted map[model.ObjectName]bool, r secretsRead, now time.Time) {
	p.mu.Lock()
	old := p.secrets
	p.secrets, p.secretsFor = r.secrets, wanted
	for name, err := range r.failures {
		// Without an answer the last known value is still the best there is.
		if last, ok := old[name]; ok && last.Readable && model.KindOf(err) != model.KindAccess {
			p.secrets[name] = last
		}
	}
	p.noSecrets = p.noSecrets.after(firstFailure(r.failures), now)
	p.mu.Unlock()
	p.changed()
}

// firstFailure says what failed, by the first of several objects.
func firstFailure(failures map[model.ObjectName]error) error {
	if len(failures) == 0 {
		return nil
	}
	names := slices.SortedFunc(maps.Keys(failures), model.ObjectName.Compare)
	err := failures[names[0]]
	e := &model.Error{Kind: model.KindOf(err), Message: names[0].String() + ": " + message(err), Err: err}
	if more := len(names) - 1; more > 0 {
		e.Message += fmt.Sprintf(" (and %d more)", more)
	}
	return e
}

// settled reports whether everything was read, or has failed.
func (p *picture) settled() bool {
	if !p.gateways.read() || !p.virtual.read() || !p.services.read() || !p.nodes.read() {
		return false
	}
	wanted := p.wantedSecrets()
	for _, namespace := range p.wantedNamespaces() {
		p.mu.Lock()
		s := p.pods[namespace]
		p.mu.Unlock()
		if s == nil || !s.read() {
			return false
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.identified && p.secretsFor != nil && maps.Equal(p.secretsFor, wanted)
}

// cluster makes a value of what is known.
func (p *picture) cluster() model.Cluster {
	out := model.Cluster{
		Context: p.client.context, Server: p.client.server,
		Gateways: p.gateways.values(), VirtualServices: p.virtual.values(), Services: p.services.values(),
		Nodes: p.nodes.values(), Pods: p.allPods(),
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	out.UID, out.User, out.ObservedAt = p.uid, p.user, p.contact
	for _, name := range slices.SortedFunc(maps.Keys(p.secrets), model.ObjectName.Compare) {
		out.Secrets = append(out.Secrets, p.secrets[name])
	}
	out.Problems = p.problems()
	return out
}

// problems says what cannot be observed. It is called with the lock held.
func (p *picture) problems() []model.Problem {
	var out []model.Problem
	add := func(operation string, resource model.Resource, namespace string, own *trouble) {
		if found, ok := problem(operation, resource, namespace, own, p.connection); ok {
			out = append(out, found)
		}
	}
	for _, s := range []struct {
		kind  kind
		shelf interface{ state() *trouble }
	}{{gatewayKind(), p.gateways}, {virtualServiceKind(), p.virtual}, {serviceKind(), p.services}, {nodeKind(), p.nodes}} {
		add(s.kind.operation("list"), s.kind.resource, "", s.shelf.state())
	}
	podsFine := true
	for _, namespace := range slices.Sorted(maps.Keys(p.pods)) {
		if own := p.pods[namespace].state(); own != nil && podsFine {
			// One says enough: all of them make pods unknown.
			podsFine = false
			add(podKind().operation("list"), model.ResourcePods, namespace, own)
		}
	}
	if podsFine {
		add(podKind().operation("list"), model.ResourcePods, "", nil)
	}
	add("get secrets", model.ResourceSecrets, "", p.noSecrets)
	if p.connection == nil {
		add("get namespaces", "", metav1.NamespaceSystem, p.noUID)
	}
	slices.SortFunc(out, compareProblems)
	return out
}
