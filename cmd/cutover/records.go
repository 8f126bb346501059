package main

import (
	"context"
	"slices"
	"strings"

	"github.com/istio-cutover/cutover/model"
	"github.com/istio-cutover/cutover/model/run"
)

// recorded returns the changes that the journal holds as made. What an
// interrupted run left without an outcome is settled first, by reading: in the
// journal with mayWrite, else only in what is returned. A journal that is
// broken is said, and what is whole of it is used.
func (l *live) recorded(ctx context.Context, s *model.Snapshot, mayWrite bool) ([]model.Record, error) {
	entries, err := l.entries(s)
	if err != nil {
		if len(entries) == 0 {
			return nil, err
		}
		l.globals.say("cutover: %v", err)
		mayWrite = false
	}
	if len(model.Unsettled(entries)) == 0 {
		return model.Records(entries), nil
	}
	if mayWrite {
		w, settled, err := l.write(ctx, s)
		if err != nil {
			return nil, err
		}
		l.saySettled(settled)
		if err := w.Close(); err != nil {
			return nil, err
		}
		entries, err = l.entries(s)
		return model.Records(entries), err
	}
	outcomes := &outcomes{}
	settled, err := run.Recover(ctx, l.aws, outcomes, entries)
	l.saySettled(settled)
	return model.Records(append(slices.Clone(entries), outcomes.entries...)), err
}

// unproven returns the changes in force that sent hosts of the intent to the
// side on which they are and of which there is no proof yet, each with those
// hosts alone.
func unproven(s *model.Snapshot, entries []model.Entry, intent model.Intent) []model.Change {
	states := model.HostStatesOf(entries)
	asked := model.KeySet(intent.Hosts)
	missing := func(k model.HostKey) bool {
		h, _ := s.Host(k)
		proof := states[k].Current(h.State).Proof
		return asked[k] && states[k].To == intent.To && (proof == model.ProofUnproven || proof == model.ProofUnconfirmed)
	}
	newest := map[model.Ref]model.Change{}
	var order []model.Ref
	for _, r := range model.Records(entries) {
		if r.To != intent.To || r.WayBack {
			continue
		}
		c := r.Change
		c.Hosts = slices.DeleteFunc(slices.Clone(c.Hosts), func(k model.HostKey) bool { return !missing(k) })
		if _, known := newest[c.Ref()]; !known {
			order = append(order, c.Ref())
		}
		newest[c.Ref()] = c
	}
	var out []model.Change
	for _, ref := range order {
		if c := newest[ref]; len(c.Hosts) > 0 {
			out = append(out, c)
		}
	}
	return out
}

func (l *live) saySettled(settled []run.Settled) {
	for _, s := range settled {
		l.globals.say("settled: %s", s)
	}
}

// outcomes is a journal that only remembers what a recovery would write.
type outcomes struct{ entries []model.Entry }

func (o *outcomes) Append(e model.Entry) (uint64, error) {
	o.entries = append(o.entries, e)
	return 0, nil
}

func (*outcomes) KeepScript(string, string) (string, error) { return "", nil }

// narrowed returns the records of the selection's rule, listener and load
// balancer.
func narrowed(records []model.Record, sel model.Selection) []model.Record {
	return slices.DeleteFunc(slices.Clone(records), func(r model.Record) bool {
		name, arn := balancerOf(r.Change.Listener)
		return sel.Rule != "" && sel.Rule != r.Change.Rule ||
			sel.Listener != "" && sel.Listener != r.Change.Listener ||
			sel.LoadBalancer != "" && sel.LoadBalancer != name && sel.LoadBalancer != arn
	})
}

// balancerOf returns the name and ARN of the load balancer that a listener's ARN
// names: …:listener/app/NAME/ID/ID of …:loadbalancer/app/NAME/ID. Taking back
// must not need AWS to say so.
func balancerOf(listener string) (name, arn string) {
	end := strings.LastIndex(listener, "/")
	if end < 0 {
		return "", ""
	}
	arn = strings.Replace(listener[:end], ":listener/", ":loadbalancer/", 1)
	if parts := strings.Split(arn, "/"); len(parts) == 4 {
		name = parts[2]
	}
	return name, arn
}

// chosen returns the selected hosts among those that the records know, so that
// a rollback needs neither Kubernetes nor the host to be published still. nil
// stands for all. A name that neither the records nor the world know is a
// usage error.
func chosen(s *model.Snapshot, records []model.Record, sel model.Selection) ([]model.HostKey, error) {
	if len(sel.Hosts) == 0 && sel.Lane == "" {
		return nil, nil
	}
	keys := []model.HostKey{}
	found := map[string]bool{}
	for _, r := range records {
		for _, h := range r.Change.Hosts {
			named := slices.ContainsFunc(sel.Hosts, func(n string) bool { return strings.EqualFold(n, h.Host) })
			if named {
				found[strings.ToLower(h.Host)] = true
			}
			if (named || len(sel.Hosts) == 0) && (sel.Lane == "" || sel.Lane == h.Lane) && !slices.Contains(keys, h) {
				keys = append(keys, h)
			}
		}
	}
	rest := model.Selection{Lane: sel.Lane}
	for _, n := range sel.Hosts {
		if !found[strings.ToLower(n)] {
			rest.Hosts = append(rest.Hosts, n)
		}
	}
	if len(rest.Hosts) > 0 || len(keys) == 0 {
		if _, err := s.Select(rest, model.Old); err != nil && len(rest.Hosts)+len(keys) > 0 {
			return nil, err
		}
	}
	return keys, nil
}
