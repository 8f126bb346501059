package kubesim

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

// A session of testdata/sessions is a list of requests with the answers of a real API server:
//
//	> POST /api/v1/namespaces/NS/configmaps
//	> Content-Type: application/yaml
//	metadata: {name: a}
//	< 201
//	apiVersion: v1
//	...
//
// NS is the namespace that the session has for itself, LAST.uid, LAST.resourceVersion and LAST.continue are of the newest
// answer that has one, "> As: viewer" sends the viewer's credentials. In the answers uids, resource versions, times and
// addresses are masked. To record the answers anew, run TestSuiteOnKubernetes with -update.
type exchange struct {
	comment      string
	method, path string
	header       [][2]string
	body         string
	answer       string
}

// requestLine tells the first line of a request from its headers.
var requestLine = regexp.MustCompile(`^> [A-Z]+ /`)

var update = flag.Bool("update", false, "record the answers of the real API server")

func readSession(t *testing.T, path string) []*exchange {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []*exchange
	var comment string
	var x *exchange
	answering := true
	for line := range strings.Lines(string(data)) {
		switch {
		case strings.HasPrefix(line, "# "):
			comment += line
			answering = true
			x = nil
		case requestLine.MatchString(line):
			method, path, _ := strings.Cut(strings.TrimSpace(line[2:]), " ")
			x = &exchange{comment: comment, method: method, path: path}
			all, comment, answering = append(all, x), "", false
		case x == nil:
		case strings.HasPrefix(line, "> "):
			name, value, _ := strings.Cut(strings.TrimSpace(line[2:]), ": ")
			x.header = append(x.header, [2]string{name, value})
		case strings.HasPrefix(line, "< "):
			answering = true
			x.answer = line
		case answering:
			x.answer += line
		default:
			x.body += line
		}
	}
	return all
}

func writeSession(t *testing.T, path string, all []*exchange) {
	t.Helper()
	var b strings.Builder
	for _, x := range all {
		b.WriteString(x.comment)
		fmt.Fprintf(&b, "> %s %s\n", x.method, x.path)
		for _, h := range x.header {
			fmt.Fprintf(&b, "> %s: %s\n", h[0], h[1])
		}
		b.WriteString(x.body)
		b.WriteString(x.answer)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// testSessions asks what the sessions ask, and wants the recorded answers.
func testSessions(t *testing.T, e *env) {
	paths, err := filepath.Glob("testdata/sessions/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no sessions: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			own := *e
			own.ns = own.namespace(t)
			all := readSession(t, path)
			p := &player{env: &own, last: map[string]string{}}
			for _, x := range all {
				got := p.play(t, x)
				if *update && e.real {
					x.answer = got
				} else if got != x.answer {
					t.Errorf("%s %s\n%s(-recorded +got)\n%s", x.method, x.path, x.body, cmp.Diff(strings.Split(x.answer, "\n"), strings.Split(got, "\n")))
				}
			}
			if *update && e.real {
				writeSession(t, path, all)
			}
		})
	}
}

// player sends the requests of one session.
type player struct {
	*env
	last map[string]string
}

var lastField = regexp.MustCompile(`LAST\.(\w+)`)

func (p *player) fill(s string) string {
	s = strings.ReplaceAll(s, "NS", p.ns)
	return lastField.ReplaceAllStringFunc(s, func(match string) string { return p.last[strings.TrimPrefix(match, "LAST.")] })
}

func (p *player) play(t *testing.T, x *exchange) string {
	t.Helper()
	cfg := p.cfg
	req, err := http.NewRequestWithContext(p.ctx, x.method, cfg.Host+p.fill(x.path), strings.NewReader(p.fill(x.body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("User-Agent", "suite")
	req.Header.Set("Content-Type", "application/json")
	for _, h := range x.header {
		if h[0] != "As" {
			req.Header.Set(h[0], p.fill(h[1]))
		} else if h[1] == "viewer" {
			cfg = p.viewer
		}
	}
	client := must(rest.HTTPClientFor(cfg))
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b strings.Builder
	fmt.Fprintf(&b, "< %d", resp.StatusCode)
	if media := resp.Header.Get("Content-Type"); media != "application/json" {
		b.WriteString(" " + media)
	}
	b.WriteString("\n")
	for _, name := range []string{"Warning", "Retry-After", "Allow"} {
		for _, value := range resp.Header.Values(name) {
			fmt.Fprintf(&b, "%s: %s\n", name, p.mask(value))
		}
	}
	body := bufio.NewReader(resp.Body)
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		b.WriteString(p.mask(strings.TrimSuffix(readAll(t, body), "\n")) + "\n")
		return b.String()
	}
	for decoder := json.NewDecoder(body); ; {
		var value any
		if err := decoder.Decode(&value); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%s %s: %v", x.method, x.path, err)
		}
		if event, ok := value.(map[string]any); ok && event["type"] == "BOOKMARK" && !strings.Contains(fmt.Sprint(event), "initial-events-end") {
			continue // They come when the server likes.
		}
		p.note(value)
		text, err := yaml.Marshal(p.masked(value))
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(p.mask(string(text)))
	}
	return b.String()
}

// note keeps what later requests may name.
func (p *player) note(value any) {
	object, _ := value.(map[string]any)
	if inner, ok := object["object"].(map[string]any); ok {
		object = inner
	}
	meta, _ := object["metadata"].(map[string]any)
	for _, name := range []string{"uid", "resourceVersion", "continue"} {
		if s, ok := meta[name].(string); ok && s != "" {
			p.last[name] = s
		}
	}
}

// masked replaces what no two servers have in common.
func (p *player) masked(value any) any {
	switch v := value.(type) {
	case []any:
		for i := range v {
			v[i] = p.masked(v[i])
		}
		if len(v) > 0 && isCause(v[0]) {
			slices.SortFunc(v, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
			return slices.CompactFunc(v, func(a, b any) bool { return fmt.Sprint(a) == fmt.Sprint(b) })
		}
		if len(v) > 0 && isManager(v[0]) {
			for i := range v {
				v[i] = managerLine(v[i])
			}
			slices.SortFunc(v, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
	case map[string]any:
		kind, _ := v["kind"].(string)
		if kind == "Status" {
			shortStatus(v)
		}
		if strings.HasSuffix(kind, "Review") {
			v["metadata"] = nil // Kubesim has no owners of what it does not keep.
		}
		_, isTable := v["columnDefinitions"]
		for name := range v {
			s, isString := v[name].(string)
			switch {
			case name == "uid" && isString:
				if _, err := strconv.Atoi(strings.ReplaceAll(s, "-", "")[:min(1, len(s))]); len(s) == 36 || err == nil {
					v[name] = "UID"
				}
			case name == "resourceVersion" && isString && s != "", name == "continue" && isString && s != "":
				v[name] = strings.ToUpper(name)
			case isString && strings.HasPrefix(s, `Invalid value: "{\"apiVersion`):
				v[name] = "Invalid value: OBJECT: " + s[strings.LastIndex(s, `}": `)+4:] // The order of its fields is not the same.
			case name == "resources" && kind == "APIResourceList":
				list, _ := v[name].([]any)
				slices.SortFunc(list, func(a, b any) int {
					return strings.Compare(fmt.Sprint(a.(map[string]any)["name"]), fmt.Sprint(b.(map[string]any)["name"]))
				})
			case isTable && name == "columnDefinitions":
				columns, _ := v[name].([]any)
				for _, c := range columns {
					delete(c.(map[string]any), "description")
				}
			default:
				v[name] = p.masked(v[name])
			}
		}
	}
	return value
}

// shortStatus leaves out what every status has, and the message that repeats the causes.
func shortStatus(status map[string]any) {
	delete(status, "apiVersion")
	delete(status, "code")
	if meta, _ := status["metadata"].(map[string]any); len(meta) == 0 {
		delete(status, "metadata")
	}
	if details, _ := status["details"].(map[string]any); status["reason"] == "Invalid" && details["causes"] != nil {
		delete(status, "message")
	}
}

// isCause tells a cause of a status: a schema's errors come in any order.
func isCause(value any) bool {
	cause, ok := value.(map[string]any)
	return ok && cause["reason"] != nil && cause["message"] != nil && cause["involvedObject"] == nil
}

func isManager(value any) bool {
	entry, ok := value.(map[string]any)
	return ok && entry["fieldsType"] != nil
}

// managerLine is an entry of managedFields on one line.
func managerLine(value any) any {
	entry, ok := value.(map[string]any)
	if !ok {
		return value
	}
	fields, err := json.Marshal(entry["fieldsV1"])
	if err != nil {
		return value
	}
	line := fmt.Sprint(entry["manager"], " ", entry["operation"], " ", entry["apiVersion"], " ", string(fields))
	if sub, ok := entry["subresource"]; ok {
		line += fmt.Sprint(" of ", sub)
	}
	return line
}

var masks = []struct {
	what *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "UID"},
	{regexp.MustCompile(`"?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"?`), "TIME"},
	{regexp.MustCompile(`\b10\.96\.\d+\.\d+\b`), "10.96.x.x"},
	{regexp.MustCompile(`\b(nodePort: |443:)3\d{4}\b`), "${1}3xxxx"},
	{regexp.MustCompile(`resource version: (\d+) \(\d+\)`), "resource version: $1 (REV)"},
	{regexp.MustCompile(`\bBad_[a-z0-9]{5}\b`), "Bad_xxxxx"},
	{regexp.MustCompile(`current: \d+`), "current: REV"},
	{regexp.MustCompile(`in record \(\d+\)`), "in record (REV)"},
	{regexp.MustCompile(`(?m)^(\s+- )(\d+[dhms]+)+$`), "${1}AGE"},
	{regexp.MustCompile(`in scheme "[^"]*"`), "in scheme"},
	{regexp.MustCompile(`(resourceVersion(?:\\?"|): ?\\?"?)\d+`), "${1}REV"},
}

func (p *player) mask(s string) string {
	s = strings.ReplaceAll(s, p.ns, "NS")
	for _, m := range masks {
		s = m.what.ReplaceAllString(s, m.with)
	}
	return s
}
