package model

import (
	"cmp"
	"slices"
)

// planDocument is a plan as the command line prints it (CLI.md, plan -o json).
type planDocument struct {
	ID       string           `json:"id"`
	Intent   Intent           `json:"intent"`
	Changes  []changeDocument `json:"changes"`
	Gates    []gateDocument   `json:"gates"`
	Verdict  Verdict          `json:"verdict"`
	Warnings []string         `json:"warnings"`
}

type changeDocument struct {
	Op         Op        `json:"op"`
	Listener   string    `json:"listener"`
	Rule       *string   `json:"rule"`
	Hosts      []string  `json:"hosts"`
	AlsoServes []string  `json:"alsoServes"`
	Before     RuleState `json:"before"`
	After      RuleState `json:"after"`
	AWS        string    `json:"aws"`
}

type gateDocument struct {
	Host string `json:"host"`
	Gate
	Lane       string `json:"lane"`
	Overridden string `json:"overridden,omitempty"`
}

// Document returns the plan as a value that marshals as CLI.md's plan -o json.
// Lists are never null. A verdict that is not judged yet, and warn, are pass.
// Region goes into the AWS CLI commands, "" leaves it out.
func (p Plan) Document(region string) any {
	d := planDocument{
		ID: p.ID, Intent: p.Intent, Verdict: p.Verdict,
		Changes: []changeDocument{}, Gates: []gateDocument{}, Warnings: append([]string{}, p.Warnings...),
	}
	if d.Verdict == "" || d.Verdict == Warn {
		d.Verdict = Pass
	}
	for _, c := range p.Changes {
		doc := changeDocument{
			Op: c.Op, Listener: c.Listener, Hosts: hostNames(c.Hosts), AlsoServes: append([]string{}, c.AlsoServes...),
			Before: c.Before, After: c.After, AWS: c.Command(region),
		}
		if c.Rule != "" {
			doc.Rule = &c.Rule
		}
		d.Changes = append(d.Changes, doc)
	}
	order := GateIDs()
	for _, g := range slices.SortedStableFunc(slices.Values(p.Gates), func(a, b HostGate) int {
		// A host that is published in two lanes has each gate twice.
		return cmp.Or(cmp.Compare(a.Host.Host, b.Host.Host), cmp.Compare(slices.Index(order, a.ID), slices.Index(order, b.ID)))
	}) {
		d.Gates = append(d.Gates, gateDocument{Host: g.Host.Host, Gate: g.Gate, Lane: g.Host.Lane, Overridden: g.Overridden})
	}
	return d
}
