package kube

import (
	"testing"
)

func TestSafeYAML(t *testing.T) {
	got, err := safeYAML(map[string]any{
		"annotations": map[string]string{"note": "\x1b[31mred\x1b]0;title\x07 \u009b2J\u202e\x7f\x00end", "two": "a\nb"},
		"hosts":       []string{"a\x1b[2J.example"}, "generation": 12345678,
	})
	want := "annotations:\n  note: red 2Jend\n  two: |-\n    a\n    b\ngeneration: 12345678\nhosts:\n- a.example\n"
	if err != nil || got != want {
		t.Errorf("%v, got\n%s\nwant\n%s", err, got, want)
	}
}
