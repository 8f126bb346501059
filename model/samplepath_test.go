package model

import "testing"

func TestSamplePath(t *testing.T) {
	for conditions, want := range map[JSON]string{
		``:         "",
		`[]`:       "",
		`not JSON`: "",
		`[{"Field":"host-header","Values":["a.example"]}]`:                         "",
		`[{"Field":"path-pattern","Values":["/api/*"]}]`:                           "/api/cutover-probe",
		`[{"Field":"path-pattern","PathPatternConfig":{"Values":["/v?/x","/y"]}}]`: "/vx/x",
		`[{"Field":"path-pattern","PathPatternConfig":{"RegexValues":["^/a"]}}]`:   "",
	} {
		if got := (Rule{Conditions: conditions}).SamplePath(); got != want {
			t.Errorf("%s: %q, want %q", conditions, got, want)
		}
	}
}
