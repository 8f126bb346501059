package tui

import (
	"fmt"
	"strings"
	"time"

	"github.com/istio-cutover/cutover/model"
)

// ago says a duration in at most three characters and a unit: 45s, 2m, 3h, 5d.
func ago(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}

// millis says a probe's duration: 8ms, 120ms, 1.2s, 12s.
func millis(ms float64) string {
	switch {
	case ms < 0.5:
		return "<1ms"
	case ms < 999.5:
		return fmt.Sprintf("%.0fms", ms)
	case ms < 9950:
		return fmt.Sprintf("%.1fs", ms/1000)
	default:
		return fmt.Sprintf("%.0fs", ms/1000)
	}
}

// shortMillis is millis in at most four columns: 99ms, 0.1s, 12s.
func shortMillis(ms float64) string {
	if ms >= 99.5 && ms < 9950 {
		return fmt.Sprintf("%.1fs", ms/1000)
	}
	return millis(ms)
}

// count says a number of things: 1 host, 2 hosts.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// some lists names and sums up those beyond the first few.
func some(names []string, most int) string {
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// shortError is a probe's error in at most 8 characters.
func shortError(k model.ProbeErrorKind) string {
	switch k {
	case model.ProbeTLSAlert:
		return "tls"
	case model.ProbeCertificate:
		return "cert"
	case model.ProbeNoRoute:
		return "404 gw"
	case model.ProbeGateway503:
		return "503 gw"
	case model.ProbeBackend5xx:
		return "5xx"
	default:
		return cut(model.Line(string(k)), 8)
	}
}

// trouble says what is wrong with an observation in a word.
func trouble(p model.Problem) string {
	switch p.Kind {
	case model.KindAccess:
		if strings.Contains(strings.ToLower(p.Message), "expired") {
			return "expired"
		}
		return "denied"
	case model.KindUnreachable:
		return "lost"
	case model.KindThrottled:
		return "throttled"
	case model.KindNotFound:
		return "missing"
	default:
		return "failed"
	}
}

// bar shows which share of width is on the new side.
func bar(newWeight, width int) field {
	n := (newWeight*width + 50) / 100
	if newWeight > 0 {
		n = max(n, 1)
	}
	if newWeight < 100 {
		n = min(n, width-1)
	}
	return field{{strings.Repeat("█", width-n), styleOld}, {strings.Repeat("░", n), styleNew}}
}

// spark draws values as a line of bars, the newest last. Bad samples are
// marked, as their height says nothing.
func spark(samples []Sample, width int) field {
	if len(samples) > width {
		samples = samples[len(samples)-width:]
	}
	top := 0.0
	for _, s := range samples {
		if s.Good {
			top = max(top, s.Total)
		}
	}
	levels := []string{"▁", "▂", "▃", "▄", "▅", "▆", "▇"}
	var f field
	for _, s := range samples {
		glyph, st := "×", styleBad
		if s.Good {
			i := 0
			if top > 0 {
				// Half the height is the usual; only what stands out is high.
				i = min(int(s.Total/top*float64(len(levels))*0.999), len(levels)-1)
			}
			glyph, st = levels[i], styleGood
		}
		if n := len(f); n > 0 && f[n-1].style == st {
			f[n-1].text += glyph
		} else {
			f = append(f, span{glyph, st})
		}
	}
	if pad := width - len(samples); pad > 0 {
		f = append(f, span{strings.Repeat(" ", pad), stylePlain})
	}
	return f
}

// sideStyle is the style of a side or state word.
func sideStyle(s string) style {
	switch s {
	case string(model.Old):
		return styleOld
	case string(model.New):
		return styleNew
	case string(model.Split), string(model.Mixed):
		return styleWarn
	default:
		return styleDim
	}
}

// severity orders verdicts from the best to the worst.
func severity(v model.Verdict) int {
	switch v {
	case model.Pass:
		return 0
	case model.Warn:
		return 1
	case model.Wait:
		return 2
	default:
		return 3
	}
}

// verdictStyle is the style of a verdict's word.
func verdictStyle(v model.Verdict) style {
	switch v {
	case model.Pass:
		return styleGood
	case model.Warn, model.Wait:
		return styleWarn
	default:
		return styleBad
	}
}
