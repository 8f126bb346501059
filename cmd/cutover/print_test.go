package main

import (
	"encoding/json"
	"testing"
)

// TestEncode: strings become one line of text, everything else stays.
func TestEncode(t *testing.T) {
	for _, c := range []struct {
		name     string
		document any
		want     string
	}{
		{"plain", map[string]any{"a": "b<>&", "n": 1.5, "x": nil, "l": []int{}}, `{"a":"b<>&","l":[],"n":1.5,"x":null}`},
		{"quotes", `say "no" \ yes`, `"say \"no\" \\ yes"`},
		{"escape sequences", []string{"\x1b[31mred\x1b]0;title\x07", "a\r\nb\tc"}, `["red","a  b c"]`},
		{"C1 and direction", map[string]string{"k\u009bey": "\u202eabc\u2066"}, `{"key":"abc"}`},
		{"other languages", "Zürich 東京", `"Zürich 東京"`},
		{"raw JSON", json.RawMessage(`{"Values":["/\u001b[2J*"]}`), `{"Values":["/*"]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := encode(c.document); err != nil || string(got) != c.want {
				t.Errorf("%s, %v, want %s", got, err, c.want)
			}
		})
	}
}
