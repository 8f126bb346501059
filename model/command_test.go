package model_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/istio-cutover/cutover/model"
)

func TestCommand(t *testing.T) {
	rule, listener := lawARN("listener-rule/app/alb", "r1"), lawARN("listener/app/alb", "443")
	tests := []struct {
		change model.Change
		region string
		want   string
	}{
		{
			model.Change{Op: model.OpModifyRule, Rule: rule, Listener: listener, After: model.RuleState{Actions: planForward("a", 0, "b", 100)}},
			"us-gov-west-1",
			`aws elbv2 modify-rule --rule-arn ` + rule + ` --actions '[{"ForwardConfig":{"TargetGroups":[{"TargetGroupArn":"a","Weight":0},{"TargetGroupArn":"b","Weight":100}]},"Type":"forward"}]' --region us-gov-west-1`,
		},
		{
			model.Change{Op: model.OpModifyListener, Listener: listener, After: model.RuleState{Actions: planForward("a")}},
			"",
			`aws elbv2 modify-listener --listener-arn ` + listener + ` --default-actions '[{"TargetGroupArn":"a","Type":"forward"}]'`,
		},
	}
	for _, test := range tests {
		if got := test.change.Command(test.region); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}

// A shell hands the AWS CLI exactly what the change says, whatever is in it,
// and a script's comments stay comments.
func TestScriptIsSafeAndExact(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("needs a POSIX shell")
	}
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	fake := "#!/bin/sh\nfor a in \"$@\"; do printf '%s\\n' \"$a\" >>" + out + "; done\n"
	if err := os.WriteFile(filepath.Join(dir, "aws"), []byte(fake), 0o700); err != nil {
		t.Fatal(err)
	}
	nasty := "it's $(touch pwned) `x` \\ \" é \u202e 😀\x1b[31m\ttab"
	first := model.Change{
		Op: model.OpModifyRule, Rule: "arn:first", Label: "alb\n touch pwned", Hosts: public("a.x.io\ntouch pwned"), AlsoServes: []string{"b\rtouch pwned"},
		Before: model.RuleState{Actions: lawJSON([]any{map[string]any{"Type": "redirect", "RedirectConfig": map[string]any{"Path": nasty}}})},
		After:  model.RuleState{Actions: planForward("a")},
	}
	second := model.Change{Op: model.OpModifyListener, Listener: "arn:second; touch pwned", Label: "nlb:443", Before: model.RuleState{Actions: planForward("old")}, After: model.RuleState{Actions: planForward("new")}}
	script := model.Script([]model.Change{first, second}, "r", "The way back\ntouch pwned")
	cmd := exec.Command(sh, "-c", script)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH")}
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s\n%s", err, b, script)
	}
	if _, err := os.Stat(filepath.Join(dir, "pwned")); err == nil {
		t.Fatal("the script ran what was only text")
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	args := strings.Split(strings.TrimSpace(string(b)), "\n")
	if len(args) != 16 || args[1] != "modify-listener" || args[3] != "arn:second; touch pwned" || args[9] != "modify-rule" || args[11] != "arn:first" {
		t.Fatalf("arguments %q", args)
	}
	var got []map[string]map[string]string
	if err := json.Unmarshal([]byte(strings.Replace(args[13], `,"Type":"redirect"`, "", 1)), &got); err != nil || got[0]["RedirectConfig"]["Path"] != nasty {
		t.Errorf("actions %s: %v", args[13], err)
	}
	for _, line := range strings.Split(script, "\n") {
		for _, r := range line {
			if r < 0x20 || r == 0x7f {
				t.Errorf("control character in %q", line)
			}
		}
	}
	if strings.Contains(script, "\u202e") {
		t.Error("a direction override came through")
	}
}

func TestScriptOfNothing(t *testing.T) {
	if s := model.Script(nil, "", "t"); !strings.Contains(s, "# Nothing was changed") {
		t.Error(s)
	}
}
