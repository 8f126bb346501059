package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/istio-cutover/cutover/model"
)

const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// YAML returns an object as YAML for people: kind is Gateway, VirtualService,
// Service, Pod, Node or Secret; a Node's namespace is ignored. Managed fields
// are left out. Of a Secret's data only the facts of its certificate and sizes
// are there. The text is safe to show. Errors by kind: usage for another kind,
// not-found, access, unreachable, throttled.
func (c *Client) YAML(ctx context.Context, kind string, name model.ObjectName) (string, error) {
	object, err := c.fetch(ctx, kind, name)
	if err != nil {
		return "", err
	}
	raw, err := safeYAML(object)
	if err != nil {
		return "", &model.Error{Kind: model.KindInternal, Operation: "get " + kind, Object: name.String(), Message: err.Error(), Err: err}
	}
	return raw, nil
}

// safeYAML renders what is made of JSON's types and structs. Strings are
// cleaned one by one and beforehand, as YAML has escapes of its own for some
// control characters and refuses others.
func safeYAML(object any) (string, error) {
	raw, err := json.Marshal(object)
	if err != nil {
		return "", err
	}
	var document any
	if err := json.Unmarshal(raw, &document); err != nil {
		return "", err
	}
	raw, err = yaml.Marshal(textOnly(document))
	return model.Text(string(raw)), err
}

// textOnly takes control characters and escape sequences out of every string.
func textOnly(v any) any {
	switch v := v.(type) {
	case string:
		return model.Text(v)
	case []any:
		for i := range v {
			v[i] = textOnly(v[i])
		}
	case map[string]any:
		clean := make(map[string]any, len(v))
		for key, value := range v {
			clean[model.Text(key)] = textOnly(value)
		}
		return clean
	}
	return v
}

// fetch reads an object as it may be shown.
func (c *Client) fetch(ctx context.Context, kind string, name model.ObjectName) (map[string]any, error) {
	resource, istio := "", false
	switch kind {
	case "Gateway":
		resource, istio = string(model.ResourceGateways), true
	case "VirtualService":
		resource, istio = string(model.ResourceVirtualServices), true
	case "Service":
		resource = string(model.ResourceServices)
	case "Pod":
		resource = string(model.ResourcePods)
	case "Node":
		resource, name.Namespace = string(model.ResourceNodes), ""
	case "Secret":
		resource = string(model.ResourceSecrets)
	default:
		return nil, &model.Error{Kind: model.KindUsage, Operation: "get object", Object: name.String(), Message: fmt.Sprintf("there is no way to show a %q", kind)}
	}
	object := map[string]any{}
	err := c.call(ctx, "get "+resource, name.String(), func(ctx context.Context) error {
		client := c.core.RESTClient()
		if istio {
			var err error
			if client, err = c.istioClient(ctx); err != nil {
				return err
			}
		}
		raw, err := client.Get().NamespaceIfScoped(name.Namespace, name.Namespace != "").Resource(resource).Name(name.Name).
			SetHeader("Accept", "application/json").MaxRetries(0).Do(ctx).Raw()
		if err != nil {
			return err
		}
		defer clear(raw)
		if kind == "Secret" {
			object, err = secretDocument(raw)
			return err
		}
		return json.Unmarshal(raw, &object)
	})
	if err != nil {
		return nil, err
	}
	if metadata, ok := object["metadata"].(map[string]any); ok {
		delete(metadata, "managedFields")
	}
	return object, nil
}

// secretDocument is what may be shown of a Secret.
func secretDocument(raw []byte) (map[string]any, error) {
	var s corev1.Secret
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, err
	}
	data := map[string]any{}
	for name, content := range s.Data {
		data[name] = fmt.Sprintf("(%d bytes, not shown)", len(content))
	}
	delete(s.Annotations, lastApplied)
	document := map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": string(s.Type), "data": data,
		"metadata": metadataDocument(s.ObjectMeta),
	}
	document["certificate"] = certificateDocument(s.Data)
	return document, nil
}

func certificateDocument(data map[string][]byte) map[string]any {
	certificate, err := certificateOf(data)
	if err != nil {
		return map[string]any{"error": err.Error()}
	}
	return map[string]any{
		"subject":   certificate.Subject.String(),
		"issuer":    certificate.Issuer.String(),
		"dnsNames":  certificate.DNSNames,
		"notBefore": certificate.NotBefore.UTC().Format(time.RFC3339),
		"notAfter":  certificate.NotAfter.UTC().Format(time.RFC3339),
		"sha256":    fingerprint(certificate),
	}
}

func metadataDocument(m metav1.ObjectMeta) map[string]any {
	out := map[string]any{
		"name": m.Name, "namespace": m.Namespace, "uid": string(m.UID), "resourceVersion": m.ResourceVersion,
		"creationTimestamp": m.CreationTimestamp.UTC().Format(time.RFC3339),
	}
	if len(m.Labels) > 0 {
		out["labels"] = m.Labels
	}
	if len(m.Annotations) > 0 {
		out["annotations"] = m.Annotations
	}
	return out
}
