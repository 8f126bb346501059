package tui

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write golden frames anew")

// driver runs an App without a terminal, inside a synctest bubble: commands
// run in goroutines, messages are taken one at a time.
type driver struct {
	t      *testing.T
	app    *App
	msgs   chan tea.Msg
	worlds chan World
	probes chan ProbeView
	log    chan CommandLine
	quit   bool
}

func drive(t *testing.T, w, h int, cfg Config) *driver {
	t.Helper()
	d := &driver{
		t: t, msgs: make(chan tea.Msg, 1000),
		worlds: make(chan World, 10), probes: make(chan ProbeView, 10), log: make(chan CommandLine, 10),
	}
	cfg.Worlds, cfg.Probes, cfg.Commands = d.worlds, d.probes, d.log
	d.app = New(cfg)
	d.send(tea.WindowSizeMsg{Width: w, Height: h})
	d.run(d.app.Init())
	d.settle()
	t.Cleanup(func() {
		if err := d.app.Close(context.Background()); err != nil {
			t.Error(err)
		}
		for d.pump() {
		}
	})
	return d
}

// run carries a command out as the program would.
func (d *driver) run(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	go func() {
		switch msg := cmd().(type) {
		case nil:
		case tea.BatchMsg:
			for _, c := range msg {
				d.run(c)
			}
		default:
			d.msgs <- msg
		}
	}()
}

func (d *driver) send(msg tea.Msg) {
	if _, ok := msg.(tea.QuitMsg); ok {
		d.quit = true
		return
	}
	_, cmd := d.app.Update(msg)
	d.run(cmd)
}

func (d *driver) pump() bool {
	synctest.Wait()
	any := false
	for {
		select {
		case m := <-d.msgs:
			if !d.quit {
				d.send(m)
			}
			any = true
		default:
			return any
		}
	}
}

// settle takes messages until all goroutines wait.
func (d *driver) settle() {
	for d.pump() {
	}
}

// wait lets time pass, in steps that let commands run.
func (d *driver) wait(t time.Duration) {
	const step = 50 * time.Millisecond
	for ; t > 0; t -= step {
		time.Sleep(min(step, t))
		d.settle()
	}
}

// deliver hands a world over and lets it arrive.
func (d *driver) deliver(w World) {
	d.worlds <- w
	d.wait(2 * redrawEvery)
}

func (d *driver) observe(v ProbeView) {
	d.probes <- v
	d.wait(2 * redrawEvery)
}

// press presses keys, separated by spaces: "j j t y", "enter", "ctrl+c".
func (d *driver) press(keys string) {
	d.t.Helper()
	for _, k := range strings.Fields(keys) {
		d.send(keyPress(k))
		d.settle()
	}
}

// typed types a text letter by letter.
func (d *driver) typed(s string) {
	for _, r := range s {
		d.send(keyPress(string(r)))
	}
	d.settle()
}

func keyPress(name string) tea.KeyPressMsg {
	special := map[string]rune{
		"enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab, "up": tea.KeyUp, "down": tea.KeyDown,
		"pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "backspace": tea.KeyBackspace, "left": tea.KeyLeft, "right": tea.KeyRight,
		"home": tea.KeyHome, "end": tea.KeyEnd,
	}
	if name == "space" {
		return tea.KeyPressMsg{Code: ' ', Text: " "}
	}
	if c, ok := special[name]; ok {
		return tea.KeyPressMsg{Code: c}
	}
	if rest, ok := strings.CutPrefix(name, "ctrl+"); ok {
		return tea.KeyPressMsg{Code: []rune(rest)[0], Mod: tea.ModCtrl}
	}
	if rest, ok := strings.CutPrefix(name, "shift+"); ok {
		return tea.KeyPressMsg{Code: special[rest], Mod: tea.ModShift}
	}
	return tea.KeyPressMsg{Code: []rune(name)[0], Text: name}
}

// screen is the frame as plain text.
func (d *driver) screen() string { return ansi.Strip(d.app.View().Content) }

// sees fails unless the screen shows every text.
func (d *driver) sees(texts ...string) {
	d.t.Helper()
	s := d.screen()
	for _, want := range texts {
		if !strings.Contains(s, want) {
			d.t.Fatalf("the screen does not show %q:\n%s", want, s)
		}
	}
}

// lacks fails if the screen shows any of the texts.
func (d *driver) lacks(texts ...string) {
	d.t.Helper()
	s := d.screen()
	for _, bad := range texts {
		if strings.Contains(s, bad) {
			d.t.Fatalf("the screen shows %q:\n%s", bad, s)
		}
	}
}

// golden compares the screen with testdata/NAME.txt.
func (d *driver) golden(name string) {
	d.t.Helper()
	compareGolden(d.t, name, d.screen()+"\n")
}

func compareGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (run with -update to accept):\n%s", path, diff)
	}
}
