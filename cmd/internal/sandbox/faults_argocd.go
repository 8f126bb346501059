package sandbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// What Argo CD writes on what it manages.
const (
	argoLabel      = "argocd.argoproj.io/instance"
	argoAnnotation = "argocd.argoproj.io/tracking-id"
	argoName       = "bigbang"
)

func virtualServices() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: "virtualservices"}
}

// takeBack keeps the VirtualServices of a host as a repository that knows of
// the old side only has them, as an Argo CD with self-heal does. Switching it
// off leaves them as they were before.
func takeBack(_ context.Context, s *Sandbox, host string) (*lasting, error) {
	var before []*unstructured.Unstructured
	for _, vs := range s.Kube.List(virtualServices(), "") {
		hosts, _, _ := unstructured.NestedStringSlice(vs.Object, "spec", "hosts")
		if slices.Contains(hosts, host) && len(oldOnly(vs)) > 0 {
			before = append(before, vs)
		}
	}
	if len(before) == 0 {
		return nil, errArgument(fmt.Sprintf("no VirtualService with an old gateway publishes %q", host))
	}
	var mu sync.Mutex
	ended := false
	reconcile := func() error {
		mu.Lock()
		defer mu.Unlock()
		var failed []error
		for _, vs := range before {
			if !ended {
				failed = append(failed, s.setGateways(vs, oldOnly(vs), true))
			}
		}
		return errors.Join(failed...)
	}
	cancel := s.Kube.OnChange(func(changed schema.GroupVersionResource) {
		if changed.Resource == virtualServices().Resource {
			_ = reconcile() // It is tried again at the next change.
		}
	})
	end := func() {
		cancel()
		mu.Lock()
		defer mu.Unlock()
		ended = true
	}
	if err := reconcile(); err != nil {
		end()
		return nil, err
	}
	return &lasting{
		now: fmt.Sprintf("Argo CD keeps the VirtualServices of %s at %s alone", host, strings.Join(oldOnly(before[0]), ", ")),
		off: func(context.Context) (string, error) {
			end()
			var failed []error
			for _, vs := range before {
				gateways, _, _ := unstructured.NestedStringSlice(vs.Object, "spec", "gateways")
				failed = append(failed, s.setGateways(vs, gateways, false))
			}
			return "", errors.Join(failed...)
		},
	}, nil
}

// oldOnly are those gateways of a VirtualService that are of the old side.
func oldOnly(vs *unstructured.Unstructured) []string {
	gateways, _, _ := unstructured.NestedStringSlice(vs.Object, "spec", "gateways")
	return slices.DeleteFunc(gateways, func(g string) bool { return !strings.HasPrefix(g, publicLane().old.namespace+"/") })
}

// setGateways sees to it that a VirtualService has these gateways, and Argo CD's
// marks or not. One that was deleted is left alone.
func (s *Sandbox) setGateways(vs *unstructured.Unstructured, gateways []string, managed bool) error {
	for {
		is, err := s.Kube.Get(virtualServices(), vs.GetNamespace(), vs.GetName())
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		now, _, _ := unstructured.NestedStringSlice(is.Object, "spec", "gateways")
		if _, is := is.GetLabels()[argoLabel]; is == managed && slices.Equal(now, gateways) {
			return nil
		}
		tracking := fmt.Sprintf("%s:networking.istio.io/VirtualService:%s/%s", argoName, is.GetNamespace(), is.GetName())
		is.SetLabels(marked(is.GetLabels(), argoLabel, argoName, managed))
		is.SetAnnotations(marked(is.GetAnnotations(), argoAnnotation, tracking, managed))
		if err := unstructured.SetNestedStringSlice(is.Object, gateways, "spec", "gateways"); err != nil {
			return err
		}
		// Somebody may have written in between; then it is looked at again.
		if _, err := s.Kube.Update(is); !apierrors.IsConflict(err) {
			return err
		}
	}
}

// marked adds one entry, or takes it away; without any there is nothing.
func marked(m map[string]string, key, value string, set bool) map[string]string {
	delete(m, key)
	if set {
		if m == nil {
			m = map[string]string{}
		}
		m[key] = value
	}
	if len(m) == 0 {
		return nil
	}
	return m
}
