package kube

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/istio-cutover/cutover/model"
)

const caSuffix = "-cacert"

// certificateNames are the entries of a Secret that hold certificates, the
// leaf's first: kubernetes.io/tls, Istio's generic form, and authorities.
func certificateNames() []string { return []string{"tls.crt", "cert", "ca.crt", "cacert"} }

// certificateOf takes the first certificate of a Secret's PEM, and erases all
// its data, keys among them, whatever comes of it. It is the only function of
// the package that reads a Secret's data.
func certificateOf(data map[string][]byte) (*x509.Certificate, error) {
	defer func() {
		for name := range data {
			clear(data[name])
			delete(data, name)
		}
	}()
	for _, name := range certificateNames() {
		content := bytes.TrimSpace(data[name])
		if len(content) == 0 {
			continue
		}
		for {
			var block *pem.Block
			block, content = pem.Decode(content)
			if block == nil {
				return nil, fmt.Errorf("%s holds no certificate", name)
			}
			if block.Type != "CERTIFICATE" {
				clear(block.Bytes) // Somebody has put a key here.
				continue
			}
			certificate, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			return certificate, nil
		}
	}
	return nil, errors.New("it has neither tls.crt nor cert")
}

// convertSecret keeps the public part and erases the rest of s.
func convertSecret(s *corev1.Secret) model.Secret {
	out := model.Secret{Name: nameOf(s), Exists: true, Readable: true, Keep: kept(s)}
	certificate, err := certificateOf(s.Data)
	if err != nil {
		out.Error = model.Line(err.Error())
		return out
	}
	out.NotBefore, out.NotAfter = certificate.NotBefore, certificate.NotAfter
	out.DNSNames = slices.Clone(certificate.DNSNames)
	out.SHA256 = fingerprint(certificate)
	return out
}

func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// secretNames returns the Secrets that Gateways name, and whether each has to
// exist: authorities of their own are optional beside a Secret that has them.
// They are in the namespace of the pods that a Gateway selects, its own one
// first; where there are none, in its own.
func secretNames(gateways []model.Gateway, services []model.Service, pods []model.Pod) map[model.ObjectName]bool {
	names := map[model.ObjectName]bool{}
	for _, g := range gateways {
		namespaces := workloadNamespaces(g, services, pods)
		for _, server := range g.Servers {
			if server.CredentialName == "" || server.Passthrough() {
				continue
			}
			for _, namespace := range namespaces {
				names[model.ObjectName{Namespace: namespace, Name: server.CredentialName}] = true
				ca := model.ObjectName{Namespace: namespace, Name: server.CredentialName + caSuffix}
				if mutual := server.TLSMode == "MUTUAL" || server.TLSMode == "OPTIONAL_MUTUAL"; mutual && !names[ca] {
					names[ca] = false
				}
			}
		}
	}
	return names
}

func workloadNamespaces(g model.Gateway, services []model.Service, pods []model.Pod) []string {
	found := map[string]bool{}
	for _, p := range pods {
		if selects(g.Selector, p.Labels) {
			found[p.Name.Namespace] = true
		}
	}
	for _, s := range services {
		if ingress(s) && selects(g.Selector, s.Selector) {
			found[s.Name.Namespace] = true
		}
	}
	if len(found) == 0 || found[g.Name.Namespace] {
		return []string{g.Name.Namespace}
	}
	return slices.Sorted(maps.Keys(found))
}

// selects reports whether a selector, which must not be empty, picks labels.
func selects(selector, labels map[string]string) bool {
	for k, v := range selector {
		if w, ok := labels[k]; !ok || w != v {
			return false
		}
	}
	return len(selector) > 0
}

// readSecret reads the public part of one Secret. One that does not exist is
// no error.
func (c *Client) readSecret(ctx context.Context, name model.ObjectName) (model.Secret, error) {
	var out model.Secret
	err := c.call(ctx, "get secrets", name.String(), func(ctx context.Context) error {
		s, err := c.core.Secrets(name.Namespace).Get(ctx, name.Name, metav1.GetOptions{})
		if err == nil {
			out = convertSecret(s)
		}
		return err
	})
	if model.KindOf(err) == model.KindNotFound {
		return model.Secret{Name: name, Readable: true}, nil
	}
	if err != nil {
		return model.Secret{Name: name}, err
	}
	return out, nil
}

// secretsRead is the outcome of reading Secrets.
type secretsRead struct {
	secrets  map[model.ObjectName]model.Secret
	failures map[model.ObjectName]error
}

// readSecrets reads Secrets side by side. Authorities that need not and do not
// exist are left out.
func (c *Client) readSecrets(ctx context.Context, names map[model.ObjectName]bool) secretsRead {
	out := secretsRead{secrets: map[model.ObjectName]model.Secret{}, failures: map[model.ObjectName]error{}}
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(parallel)
	for name, needed := range names {
		group.Go(func() error {
			s, err := c.readSecret(ctx, name)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				out.failures[name] = err
			}
			if needed || s.Exists || err != nil {
				out.secrets[name] = s
			}
			return nil // A failure is part of the outcome: the others go on.
		})
	}
	_ = group.Wait() // No reading returns an error.
	return out
}
