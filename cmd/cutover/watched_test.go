package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/charmbracelet/x/ansi"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/istio-cutover/cutover/cmd/internal/sandbox"
	"github.com/istio-cutover/cutover/tui"
)

// truth is what the load balancers' data planes do, whatever the API says.
type truth struct {
	t         *testing.T
	s         *sandbox.Sandbox
	listeners map[string][]string // by load balancer's name
	address   map[string]string   // of their https listeners
	https     map[string]string   // the ARNs of these
	side      map[string]string   // by target group's ARN
}

func newTruth(t *testing.T, s *sandbox.Sandbox) *truth {
	t.Helper()
	w := &truth{t: t, s: s, listeners: map[string][]string{}, address: map[string]string{}, https: map[string]string{}, side: map[string]string{}}
	groups, err := s.AWS.Call(t.Context(), &elb.DescribeTargetGroupsInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups.(*elb.DescribeTargetGroupsOutput).TargetGroups {
		side := "old"
		if strings.Contains(*g.TargetGroupName, "-new-") {
			side = "new"
		}
		w.side[*g.TargetGroupArn] = side
	}
	balancers, err := s.AWS.Call(t.Context(), &elb.DescribeLoadBalancersInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, lb := range balancers.(*elb.DescribeLoadBalancersOutput).LoadBalancers {
		listed, err := s.AWS.Call(t.Context(), &elb.DescribeListenersInput{LoadBalancerArn: lb.LoadBalancerArn})
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range listed.(*elb.DescribeListenersOutput).Listeners {
			if *l.Port == 443 || *l.Port == 8443 {
				w.address[*lb.LoadBalancerName] = fmt.Sprintf("%s:%d", *lb.DNSName, *l.Port)
				w.https[*lb.LoadBalancerName] = *l.ListenerArn
			}
			if w.serves(*l.ListenerArn, argocd) != "" { // Not the one that redirects to https.
				w.listeners[*lb.LoadBalancerName] = append(w.listeners[*lb.LoadBalancerName], *l.ListenerArn)
			}
		}
	}
	return w
}

// serves is the side to which a listener would send a request now, "" for
// none, "both" while it may be either.
func (w *truth) serves(listener, host string) string {
	arns, err := w.s.AWS.Serving(listener, &http.Request{Method: http.MethodGet, Host: host, URL: mustURL("/"), Header: http.Header{}})
	if err != nil {
		w.t.Error(err)
	}
	side := ""
	for _, arn := range arns {
		if side != "" && side != w.side[arn] {
			return "both"
		}
		side = w.side[arn]
	}
	return side
}

// on reports whether all of a host's traffic goes to a side.
func (w *truth) on(host, side string) bool {
	balancer := "passthrough-nlb"
	if host == argocd {
		balancer = "public-alb"
	}
	for _, l := range w.listeners[balancer] {
		if w.serves(l, host) != side {
			return false
		}
	}
	return true
}

// watched is a console of which every frame is compared with the truth.
type watched struct {
	app     *tui.App
	truth   *truth
	hosts   []string
	program *tea.Program

	mu     sync.Mutex
	frame  string
	frames int
	claims map[string]int  // how often a frame said so
	news   map[string]bool // what Activity and the footer have said
	early  []string
}

func (w *watched) Init() tea.Cmd { return w.app.Init() }

func (w *watched) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	_, cmd := w.app.Update(msg)
	return w, cmd
}

func (w *watched) View() tea.View {
	v := w.app.View()
	w.look(ansi.Strip(v.Content))
	return v
}

// look holds one frame's words against what is so at that moment.
func (w *watched) look(frame string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.frame = frame
	w.frames++
	claim := func(what string, so bool) {
		w.claims[what]++
		if !so && len(w.early) < 3 {
			w.early = append(w.early, what+" was said too early:\n"+frame)
		}
	}
	if m := regexp.MustCompile(`Hosts: (\d+) of \d+ on new`).FindStringSubmatch(frame); m != nil && m[1] != "0" {
		n, _ := strconv.Atoi(m[1])
		so := 0
		for _, h := range w.hosts {
			if w.truth.on(h, "new") {
				so++
			}
		}
		claim("on new", n <= so)
	}
	for _, h := range w.hosts {
		short, _, _ := strings.Cut(h, ".")
		for _, side := range []string{"old", "new"} {
			// In a row: a run's word, and after it what is known.
			said := regexp.MustCompile(`│[▸ ●]* *` + short + `\.\S+ .*?[an]lb:\d+ +(` + side + `, proven|new +[█░]+ +100 +[^u│ ])`)
			if m := said.FindStringSubmatch(frame); m != nil && (side == "new" || strings.Contains(m[1], "proven")) {
				claim(short+" "+side, w.truth.on(h, side))
			}
			// News is said once; later it is history.
			for _, m := range regexp.MustCompile(`(\d\d:\d\d:\d\d )?`+short+` → `+side+` proven`).FindAllString(frame, -1) {
				if !w.news[m] {
					w.news[m] = true
					claim(short+" → "+side, w.truth.on(h, side))
				}
			}
		}
	}
}

func (w *watched) keys(keys ...string) {
	for _, k := range keys {
		special := map[string]rune{"enter": tea.KeyEnter, "esc": tea.KeyEscape, "space": ' '}
		msg := tea.KeyPressMsg{Code: []rune(k)[0], Text: k}
		if code, ok := special[k]; ok {
			msg = tea.KeyPressMsg{Code: code}
			if k == "space" {
				msg.Text = " "
			}
		}
		w.program.Send(msg)
	}
}

func (w *watched) typed(s string) {
	for _, r := range s {
		w.keys(string(r))
	}
}

// until waits until a frame has all of the words.
func (w *watched) until(words ...string) {
	w.truth.t.Helper()
	deadline := time.Now().Add(90 * time.Second)
	for missing := "x"; missing != ""; time.Sleep(20 * time.Millisecond) {
		w.mu.Lock()
		frame := w.frame
		w.mu.Unlock()
		missing = ""
		for _, word := range words {
			if !regexp.MustCompile(word).MatchString(frame) {
				missing = word
			}
		}
		if missing != "" && time.Now().After(deadline) {
			w.truth.t.Fatalf("%q never came:\n%s", missing, frame)
		}
	}
}

// watchConsole opens a console on the sandbox in this process.
func watchConsole(t *testing.T, s *sandbox.Sandbox, hosts []string) *watched {
	t.Helper()
	for _, variable := range s.Env() {
		key, value, _ := strings.Cut(variable, "=")
		t.Setenv(key, value)
	}
	w := &watched{truth: newTruth(t, s), hosts: hosts, claims: map[string]int{}, news: map[string]bool{}}
	g := &globals{streams: streams{in: os.Stdin, out: io.Discard, err: io.Discard}, kube: genericclioptions.NewConfigFlags(true), output: outputTable}
	ctx, stop := context.WithCancel(t.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- g.consoleIn(ctx, func(app *tui.App) error {
			w.app = app
			w.program = tea.NewProgram(w, tea.WithContext(ctx), tea.WithInput(nil), tea.WithOutput(io.Discard), tea.WithoutSignalHandler(), tea.WithWindowSize(140, 60))
			close(ready)
			_, err := w.program.Run()
			return err
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	select {
	case <-ready:
	case err := <-ended:
		ended <- err
		t.Fatal(err)
	}
	return w
}
