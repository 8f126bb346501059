package kubesim

import (
	_ "embed" // For crds.json.
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/jsonpath"
)

// crds holds what testdata/kubeapi defines, Istio's kinds among it, one definition a line. A test keeps the two equal.
//
//go:embed crds.json
var crds []byte

// definition is what a CustomResourceDefinition says of a kind. All its versions have one schema.
type definition struct {
	Group      string          `json:"group"`
	Kind       string          `json:"kind"`
	Plural     string          `json:"plural"`
	Short      []string        `json:"short,omitempty"`
	Categories []string        `json:"categories,omitempty"`
	Cluster    bool            `json:"cluster,omitempty"`
	Versions   []string        `json:"versions"`          // The preferred one first.
	Storage    string          `json:"storage,omitempty"` // The version that is kept, where it is not the preferred one.
	Status     bool            `json:"status,omitempty"`
	Rules      bool            `json:"rules,omitempty"` // The schema had CEL rules, which are left out.
	Columns    []definedColumn `json:"columns,omitempty"`
	Schema     json.RawMessage `json:"schema"`
}

type definedColumn struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	JSONPath string `json:"jsonPath"`
	Priority int32  `json:"priority,omitempty"`
}

// definitions lists the custom kinds: those of crds.json, and those of Kyverno, OpenReports and Flux, of which any content is
// taken.
func definitions() []definition {
	var list []definition
	if err := json.Unmarshal(crds, &list); err != nil {
		panic("crds.json: " + err.Error()) // It is part of the program.
	}
	return append(list,
		definition{Group: "wgpolicyk8s.io", Kind: "ClusterPolicyReport", Plural: "clusterpolicyreports", Short: []string{"cpolr"}, Cluster: true, Versions: []string{"v1alpha2"}},
		definition{Group: "openreports.io", Kind: "Report", Plural: "reports", Short: []string{"reps"}, Versions: []string{"v1alpha1"}},
		definition{Group: "openreports.io", Kind: "ClusterReport", Plural: "clusterreports", Short: []string{"creps"}, Cluster: true, Versions: []string{"v1alpha1"}},
		definition{Group: "kyverno.io", Kind: "ClusterPolicy", Plural: "clusterpolicies", Short: []string{"cpol"}, Categories: []string{"kyverno"}, Cluster: true, Versions: []string{"v1"}, Status: true},
		definition{Group: "helm.toolkit.fluxcd.io", Kind: "HelmRelease", Plural: "helmreleases", Short: []string{"hr"}, Versions: []string{"v2"}, Status: true},
	)
}

func (d definition) resource() *resource {
	if d.Schema == nil {
		d.Schema = json.RawMessage(`{"type":"object","x-kubernetes-preserve-unknown-fields":true}`)
	}
	columns := named()
	for _, c := range d.Columns {
		columns = append(columns, c.column())
	}
	if len(d.Columns) == 0 {
		columns = append(columns, definedColumn{Name: "Age", Type: "date", JSONPath: ".metadata.creationTimestamp"}.column())
	}
	return &resource{
		group: d.Group, versions: d.Versions, storage: d.Storage, kind: d.Kind, plural: d.Plural, short: d.Short, categories: d.Categories,
		namespaced: !d.Cluster, status: d.Status, generation: true, custom: true, validName: validation.NameIsDNSSubdomain,
		schema:  sync.OnceValue(func() *structural { return newStructural(d) }),
		columns: columns,
	}
}

// column reads a value as a real API server reads additionalPrinterColumns.
func (d definedColumn) column() column {
	c := column{name: d.Name, kind: d.Type, wide: d.Priority > 0, cell: func(time.Time, *unstructured.Unstructured) any { return nil }}
	path := jsonpath.New(d.Name).AllowMissingKeys(true)
	if err := path.Parse(fmt.Sprintf("{%s}", d.JSONPath)); err != nil {
		return c
	}
	var mu sync.Mutex // A JSONPath keeps state while it is evaluated.
	c.cell = func(now time.Time, o *unstructured.Unstructured) any {
		mu.Lock()
		defer mu.Unlock()
		results, err := path.FindResults(o.Object)
		if err != nil || len(results) == 0 || len(results[0]) == 0 {
			return nil
		}
		value := results[0][0].Interface()
		switch d.Type {
		case "date":
			then, err := time.Parse(time.RFC3339, fmt.Sprint(value))
			if err != nil {
				return "<invalid>"
			}
			return sinceText(now, metav1.NewTime(then))
		case "string":
			var b strings.Builder
			if err := path.PrintResults(&b, []reflect.Value{reflect.ValueOf(value)}); err != nil {
				return nil
			}
			return b.String()
		}
		return value
	}
	return c
}
