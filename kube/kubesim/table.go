package kubesim

import (
	"encoding/json"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"
)

// column is what one column of a table shows of an object.
type column struct {
	name string
	wide bool   // only with kubectl's -o wide
	kind string // "string" unless set
	cell func(now time.Time, obj *unstructured.Unstructured) any
}

// table prints records as kubectl shows them, with or without the columns' definitions.
func (s *Server) table(req *request, records []*record, withColumns bool) (*metav1.Table, error) {
	table := &metav1.Table{TypeMeta: metav1.TypeMeta{Kind: "Table", APIVersion: metav1.SchemeGroupVersion.String()}, Rows: []metav1.TableRow{}}
	if withColumns {
		for _, c := range req.res.columns {
			table.ColumnDefinitions = append(table.ColumnDefinitions, c.definition())
		}
	}
	now := s.now()
	for _, rec := range records {
		row := metav1.TableRow{}
		for _, c := range req.res.columns {
			row.Cells = append(row.Cells, c.cell(now, rec.obj))
		}
		raw, err := rowObject(req, rec)
		if err != nil {
			return nil, err
		}
		row.Object = runtime.RawExtension{Raw: raw}
		table.Rows = append(table.Rows, row)
	}
	return table, nil
}

func (c column) definition() metav1.TableColumnDefinition {
	def := metav1.TableColumnDefinition{Name: c.name, Type: c.kind, Description: c.name}
	if def.Type == "" {
		def.Type = "string"
	}
	if c.name == "Name" {
		def.Format = "name"
	}
	if c.wide {
		def.Priority = 1
	}
	return def
}

// rowObject is what of the object goes along with its row.
func rowObject(req *request, rec *record) ([]byte, error) {
	switch metav1.IncludeObjectPolicy(req.query.Get("includeObject")) {
	case metav1.IncludeNone:
		return []byte("null"), nil
	case metav1.IncludeObject:
		return rec.JSON(req.apiVersion())
	default:
		raw, err := json.Marshal(partial(rec.obj))
		if err != nil {
			return nil, fmt.Errorf("encode the metadata of %s: %w", rec.key(), err)
		}
		return raw, nil
	}
}

// sinceText is an age as kubectl prints it.
func sinceText(now time.Time, then metav1.Time) string {
	if then.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(now.Sub(then.Time))
}
