package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"sigs.k8s.io/yaml"

	"github.com/istio-cutover/cutover/model"
)

// print writes a command's result in the format that -o asks for.
func (g *globals) print(document any, table func(w io.Writer)) error {
	if g.output != outputJSON && g.output != outputYAML {
		table(g.out)
		return nil
	}
	raw, err := encode(document)
	if err != nil {
		return err
	}
	if g.output == outputYAML {
		raw, err = yaml.JSONToYAML(raw)
	} else {
		var indented bytes.Buffer
		err = json.Indent(&indented, raw, "", "  ")
		raw = append(indented.Bytes(), '\n')
	}
	if err != nil {
		return err
	}
	_, err = g.out.Write(raw)
	return err
}

// encode renders a document as JSON in which every string is one line of text,
// as a script may well print it.
func encode(document any) ([]byte, error) {
	var out bytes.Buffer
	if err := appendJSON(&out, document); err != nil {
		return nil, err
	}
	in := out.Bytes()
	if !bytes.Contains(in, []byte(`\`)) && !slices.ContainsFunc(in, func(b byte) bool { return b >= 0x7f }) {
		return in, nil
	}
	var clean bytes.Buffer
	for len(in) > 0 {
		begin := bytes.IndexByte(in, '"')
		if begin < 0 {
			break
		}
		end := begin + 1
		for in[end] != '"' { // What was encoded has an end to every string.
			if in[end] == '\\' {
				end++
			}
			end++
		}
		clean.Write(in[:begin])
		var text string
		if err := json.Unmarshal(in[begin:end+1], &text); err != nil {
			return nil, err
		}
		if err := appendJSON(&clean, model.Line(text)); err != nil {
			return nil, err
		}
		in = in[end+1:]
	}
	clean.Write(in)
	return clean.Bytes(), nil
}

// appendJSON appends a value as JSON that people can read too, without a newline.
func appendJSON(out *bytes.Buffer, value any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return err
	}
	out.Truncate(out.Len() - 1)
	return nil
}

// line writes one JSON document of a stream. In YAML it is a document of its own.
func (g *globals) line(document any) {
	raw, err := encode(document)
	if err == nil && g.output == outputYAML {
		if raw, err = yaml.JSONToYAML(raw); err == nil {
			_, _ = fmt.Fprintf(g.out, "---\n%s", raw)
		}
		return
	}
	if err == nil {
		_, _ = fmt.Fprintf(g.out, "%s\n", raw)
	}
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
