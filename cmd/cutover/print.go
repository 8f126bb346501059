package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"sigs.k8s.io/yaml"

	"github.com/istio-cutover/cutover/model"
)

// print writes a command's result in the format that -o asks for.
func (g *globals) print(document any, table func(w io.Writer)) error {
	switch g.output {
	case outputJSON:
		enc := json.NewEncoder(g.out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(document)
	case outputYAML:
		raw, err := yaml.Marshal(document)
		if err != nil {
			return err
		}
		_, err = g.out.Write(raw)
		return err
	default:
		table(g.out)
		return nil
	}
}

// line writes one JSON document of a stream. In YAML it is a document of its own.
func (g *globals) line(document any) {
	if g.output == outputYAML {
		raw, err := yaml.Marshal(document)
		if err == nil {
			_, _ = fmt.Fprintf(g.out, "---\n%s", raw)
		}
		return
	}
	enc := json.NewEncoder(g.out)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(document)
}

// table writes rows in aligned columns, every cell sanitized.
func table(w io.Writer, header []string, rows [][]string) {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	write := func(cells []string) {
		for i, c := range cells {
			if i > 0 {
				_, _ = io.WriteString(t, "\t")
			}
			_, _ = io.WriteString(t, model.Line(c))
		}
		_, _ = io.WriteString(t, "\n")
	}
	write(header)
	for _, r := range rows {
		write(r)
	}
	_ = t.Flush()
}

// say writes a line for people to standard error, sanitized.
func (g *globals) say(format string, args ...any) {
	_, _ = fmt.Fprintln(g.err, model.Line(fmt.Sprintf(format, args...)))
}
