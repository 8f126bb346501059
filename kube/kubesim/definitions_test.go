package kubesim

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apimachinery/pkg/version"
	"sigs.k8s.io/yaml"
)

// customResourceDefinition is what is read of a CRD's file.
type customResourceDefinition struct {
	Spec struct {
		Group, Scope string
		Names        struct {
			Kind, Plural           string
			ShortNames, Categories []string
		}
		Versions []struct {
			Name                     string
			Storage                  bool
			Subresources             map[string]any
			AdditionalPrinterColumns []definedColumn
			Schema                   struct{ OpenAPIV3Schema map[string]any }
		}
	}
}

// TestDefinitions holds crds.json to the definitions that the real API server of the tests has. -update writes it.
func TestDefinitions(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("[\n")
	for i, d := range readDefinitions(t) {
		if i > 0 {
			b.WriteString(",\n")
		}
		line, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(line)
	}
	b.WriteString("\n]\n")
	if *update {
		if err := os.WriteFile("crds.json", b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(b.Bytes(), crds) {
		t.Error("crds.json is not what testdata/kubeapi/crds says: run this test with -update")
	}
}

func readDefinitions(t *testing.T) []definition {
	t.Helper()
	paths, err := filepath.Glob("../../testdata/kubeapi/crds/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no definitions: %v", err)
	}
	var list []definition
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data))); ; {
			document, err := documents.Read()
			if errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			var crd customResourceDefinition
			if err := yaml.Unmarshal(document, &crd); err != nil {
				t.Fatal(err)
			}
			list = append(list, short(t, crd))
		}
	}
	return list
}

func short(t *testing.T, crd customResourceDefinition) definition {
	t.Helper()
	first := crd.Spec.Versions[0]
	d := definition{
		Group: crd.Spec.Group, Kind: crd.Spec.Names.Kind, Plural: crd.Spec.Names.Plural, Short: crd.Spec.Names.ShortNames,
		Categories: crd.Spec.Names.Categories, Cluster: crd.Spec.Scope == "Cluster", Columns: first.AdditionalPrinterColumns,
	}
	_, d.Status = first.Subresources["status"]
	schema := func(i int) []byte {
		data, err := json.Marshal(crd.Spec.Versions[i].Schema.OpenAPIV3Schema)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for i, v := range crd.Spec.Versions {
		d.Versions = append(d.Versions, v.Name)
		if !bytes.Equal(schema(i), schema(0)) {
			t.Errorf("version %s of %s has a schema of its own", v.Name, d.Kind)
		}
	}
	for _, v := range crd.Spec.Versions {
		if v.Storage {
			d.Storage = v.Name
		}
	}
	slices.SortFunc(d.Versions, func(a, b string) int { return version.CompareKubeAwareVersionStrings(b, a) })
	if d.Storage == d.Versions[0] {
		d.Storage = ""
	}
	d.Rules = withoutRules(first.Schema.OpenAPIV3Schema)
	d.Schema = schema(0)
	return d
}

// withoutRules removes the CEL rules, and says whether there were any.
func withoutRules(value any) bool {
	found := false
	switch v := value.(type) {
	case []any:
		for _, inner := range v {
			found = withoutRules(inner) || found
		}
	case map[string]any:
		if _, found = v["x-kubernetes-validations"]; found {
			delete(v, "x-kubernetes-validations")
		}
		for _, inner := range v {
			found = withoutRules(inner) || found
		}
	}
	return found
}
