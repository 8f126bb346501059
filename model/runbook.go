package model

import (
	"fmt"
	"slices"
	"strings"
)

// StepState says how far a step of the procedure is.
type StepState string

// The states of a step.
const (
	StepTodo      StepState = "todo"
	StepPartial   StepState = "partial"
	StepDone      StepState = "done"
	StepBlocked   StepState = "blocked"
	StepNotNeeded StepState = "not-needed"
)

// RunbookStep is a step of the procedure with its live state.
type RunbookStep struct {
	Step   string    `json:"step"`
	Title  string    `json:"title"`
	State  StepState `json:"state"`
	Detail string    `json:"detail"`
}

const notObserved = "not observed by this version"

// Runbook returns the procedure's steps in order, each with the state that the
// observed world shows. What no observation shows is todo and says so.
func (s *Snapshot) Runbook() []RunbookStep {
	steps := []struct {
		step, title string
		judge       func() (StepState, string)
		needs       []Resource
	}{
		{"bind-virtual-services", "Bind VirtualServices to both gateways", s.bindStep, []Resource{ResourceVirtualServices, ResourceGateways}},
		{"keep-old-gateways", "Keep the old Gateways and their Secrets", s.keepStep, []Resource{ResourceGateways, ResourceSecrets}},
		{"values", "Give the new gateways NodePorts of their own", nil, nil},
		{"deploy-new-gateways", "Deploy the new gateways", s.deployStep, []Resource{ResourceGateways, ResourceServices, ResourcePods}},
		{"target-groups", "Make target groups for the new gateways", s.groupStep, []Resource{ResourceTargetGroups, ResourceTargetHealth, ResourceServices, ResourceNodes}},
		{"security-groups", "Admit the new NodePorts to the nodes", nil, nil},
		{"probe-new-gateways", "Probe the new gateways", func() (StepState, string) {
			return StepTodo, "probes are not recorded; `cutover probe --side new` makes them"
		}, nil},
		{"shift-hosts", "Shift the hosts", s.shiftStep, []Resource{ResourceLoadBalancers, ResourceRules, ResourceTargetGroups, ResourceVirtualServices}},
		{"finalize", "Take the old sides out of the rules", s.finalizeStep, []Resource{ResourceLoadBalancers, ResourceRules, ResourceTargetGroups}},
		{"pre-upgrade-checks", "Check the values before the upgrade", nil, nil},
		{"remove-policy", "Remove the mutation policy", nil, nil},
		{"remove-old-gateways", "Remove the old Gateways and Secrets", nil, nil},
		{"reconcile-iac", "Reconcile the infrastructure code", nil, nil},
	}
	list := make([]RunbookStep, 0, len(steps))
	for _, st := range steps {
		r := RunbookStep{Step: st.step, Title: st.title, State: StepTodo, Detail: notObserved}
		if st.judge != nil {
			r.State, r.Detail = st.judge()
		}
		for _, n := range st.needs {
			if p, bad := s.Unreadable(n); bad {
				r.State, r.Detail = StepBlocked, fmt.Sprintf("%s could not be read: %s", n, p.Message)
				break
			}
		}
		list = append(list, r)
	}
	return list
}

// progress is the state of a step of which some parts are done.
func progress(done, all int) StepState {
	switch {
	case done == all:
		return StepDone
	case done > 0:
		return StepPartial
	default:
		return StepTodo
	}
}

func (s *Snapshot) bindStep() (StepState, string) {
	var done, all int
	for _, vs := range s.Cluster.VirtualServices {
		switch b, _ := s.FoldedBinding(vs); b {
		case BindingBoth:
			done++
			all++
		case BindingOld, BindingNew:
			all++
		case BindingNone:
		}
	}
	if all == 0 {
		return StepNotNeeded, "no VirtualService lists a gateway of a lane"
	}
	return progress(done, all), fmt.Sprintf("%d of %d list both gateways", done, all)
}

func (s *Snapshot) keepStep() (StepState, string) {
	var kept, all int
	var missing []string
	note := func(name string, keep bool) {
		all++
		if keep {
			kept++
		} else {
			missing = append(missing, name)
		}
	}
	seen := map[ObjectName]bool{}
	for _, l := range s.Lanes {
		if l.Old.Gateway == nil {
			continue
		}
		g, _ := s.Gateway(*l.Old.Gateway)
		note("Gateway "+g.Name.String(), g.Keep)
		for _, n := range s.GatewaySecrets(g) {
			if v, ok := s.Secret(n); ok && v.Exists && !seen[n] {
				note("Secret "+n.String(), v.Keep)
				seen[n] = true
			}
		}
	}
	if all == 0 {
		return StepNotNeeded, "there is no old Gateway"
	}
	detail := fmt.Sprintf("%d of %d are kept", kept, all)
	if len(missing) > 0 {
		detail += "; not yet: " + strings.Join(missing, ", ")
	}
	return progress(kept, all), detail
}

func (s *Snapshot) deployStep() (StepState, string) {
	return s.perLane(func(l Lane) string {
		switch {
		case l.New.Gateway == nil:
			return "no new Gateway"
		case l.New.Service == nil:
			return "no ingress Service"
		case l.New.NodePorts.HTTP == 0 && l.New.NodePorts.HTTPS == 0:
			return "no NodePorts"
		case len(l.New.Pods) == 0:
			return "no ready pod"
		default:
			return ""
		}
	})
}

func (s *Snapshot) groupStep() (StepState, string) {
	return s.perLane(func(l Lane) string {
		oldKinds, newKinds := s.kindsOf(l.Old), s.kindsOf(l.New)
		if len(oldKinds) == 0 && len(newKinds) == 0 {
			return "no target groups on either side"
		}
		for _, k := range oldKinds {
			if !slices.Contains(newKinds, k) {
				return fmt.Sprintf("no %s target group on the new side", k)
			}
		}
		return ""
	})
}

func (s *Snapshot) kindsOf(side Side) []PortKind {
	var kinds []PortKind
	for _, arn := range side.TargetGroups {
		if k := s.GroupKind(arn); !slices.Contains(kinds, k) {
			kinds = append(kinds, k)
		}
	}
	slices.Sort(kinds)
	return kinds
}

// perLane judges a step that every lane has to take; lacks says what a lane
// still lacks, "" for nothing.
func (s *Snapshot) perLane(lacks func(Lane) string) (StepState, string) {
	if len(s.Lanes) == 0 {
		return StepTodo, "no lane was found"
	}
	var details []string
	for _, l := range s.Lanes {
		if why := lacks(l); why != "" {
			details = append(details, l.Name+": "+why)
		}
	}
	done := len(s.Lanes) - len(details)
	details = append([]string{fmt.Sprintf("%d of %d lanes", done, len(s.Lanes))}, details...)
	return progress(done, len(s.Lanes)), strings.Join(details, "; ")
}

func (s *Snapshot) shiftStep() (StepState, string) {
	var moved, begun, all int
	for _, h := range s.Hosts {
		switch h.State {
		case StateNew:
			moved++
			all++
		case StateSplit, StateMixed:
			begun++
			all++
		case StateOld, StateUnknown:
			all++
		case StateUnrouted:
		}
	}
	if all == 0 {
		return StepTodo, "no published host has a route to either side"
	}
	state := progress(moved, all)
	if state == StepTodo && begun > 0 {
		state = StepPartial
	}
	return state, fmt.Sprintf("%d of %d on new", moved, all)
}

// finalizeStep counts the rules that name no group of the old side any more.
func (s *Snapshot) finalizeStep() (StepState, string) {
	var done, all int
	for _, lb := range s.AWS.LoadBalancers {
		for _, l := range lb.Listeners {
			for _, r := range l.Rules {
				forwards := s.index.forwards[r.ARN]
				if !switchable(forwards, s.sideOfAny) {
					continue
				}
				all++
				if !s.namesOld(forwards) {
					done++
				}
			}
		}
	}
	if all == 0 {
		return StepTodo, "no rule forwards to either side"
	}
	return progress(done, all), fmt.Sprintf("%d of %d rules name the new side alone", done, all)
}

// namesOld reports whether forwards name a group of any lane's old side.
func (s *Snapshot) namesOld(forwards []Forward) bool {
	return slices.ContainsFunc(forwards, func(f Forward) bool {
		return slices.ContainsFunc(f.Groups, func(g WeightedGroup) bool { return s.sideOfAny(g.ARN) == Old })
	})
}
