package model

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// refused adds the draft's refusals of one gate for a host.
func (x subject) refused(id GateID, f *findings) {
	for _, r := range x.draft.refusals[x.host.HostKey] {
		if r.gate == id {
			f.block("%s", r.reason)
		}
	}
}

// unrouted waits for what the belonging of target groups is read from where a
// host has no switchable rule, and reports whether any of it is unread: then it
// is not known which of its rules there are.
func (j *judge) unrouted(x subject, f *findings) bool {
	return len(x.uses) == 0 && f.unreadable(j.s, ResourceTargetGroups, ResourceTargetHealth, ResourceServices, ResourceNodes, ResourcePods)
}

func (j *judge) targetGroup(x subject) (f findings) {
	if f.unreadable(j.s, ResourceLoadBalancers, ResourceRules, ResourceTargetGroups) {
		return f
	}
	x.refused(GateTargetGroup, &f)
	if len(f.list) == 0 && j.unrouted(x, &f) {
		return f
	}
	if len(f.list) == 0 && len(x.uses) == 0 {
		f.warn("no listener sends the host to lane %s, nothing is switched", x.lane.Name)
	}
	var names []string
	for _, u := range x.uses {
		if name := groupName(u.to); u.to != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		f.fine = listed(names) + " can take over"
	}
	return f
}

func (j *judge) targetHealth(x subject) (f findings) {
	if f.unreadable(j.s, ResourceTargetGroups, ResourceTargetHealth) || j.unrouted(x, &f) {
		return f
	}
	f.fine = "there are enough healthy targets"
	if len(x.uses) == 0 {
		f.fine = fmt.Sprintf("no listener sends the host to lane %s", x.lane.Name)
	}
	for _, u := range x.uses {
		if to, ok := j.s.TargetGroup(u.to); ok {
			from, _ := j.s.TargetGroup(u.from)
			j.judgeHealth(x, u, from, to, &f)
		}
	}
	return f
}

// judgeHealth asks for as many healthy targets as the group left has, but for
// no more than there are nodes with ready pods, and for one at least; on a
// network load balancer also for one in each zone in which the group left has
// some, as it may not be cross-zone.
func (j *judge) judgeHealth(x subject, u use, from, to TargetGroup, f *findings) {
	if slices.ContainsFunc(to.Targets, func(t Target) bool { return t.State == "" }) {
		f.wait("the health of targets of %s is not known yet", to.Name)
		return
	}
	have := healthy(to)
	if unused := slices.ContainsFunc(to.Targets, func(t Target) bool { return t.State == "unused" }); unused && len(have) == 0 {
		f.wait("targets of %s are unused, health checks begin only when a rule names the group; add it to a rule at weight 0 to warm it up", to.Name)
		return
	}
	nodes := map[string]bool{}
	for _, p := range x.lane.Side(x.to).Pods {
		if n := j.podNode[p]; n != "" {
			nodes[n] = true
		}
	}
	need := len(healthy(from))
	if len(nodes) > 0 {
		need = min(need, len(nodes))
	}
	need = max(need, 1)
	if len(have) < need {
		f.wait("%s has %d healthy targets of %d that it needs%s", to.Name, len(have), need, firstSick(to))
		return
	}
	if u.view.lb.Type != Network {
		return
	}
	zones := map[string]bool{}
	for _, t := range healthy(from) {
		zones[t.Zone] = true
	}
	for _, t := range have {
		delete(zones, t.Zone)
	}
	delete(zones, "")
	if len(zones) > 0 {
		f.wait("%s has no healthy target in %s, where %s has", to.Name, strings.Join(slices.Sorted(maps.Keys(zones)), ", "), from.Name)
	}
}

func healthy(g TargetGroup) []Target {
	return slices.DeleteFunc(slices.Clone(g.Targets), func(t Target) bool { return t.State != "healthy" })
}

func firstSick(g TargetGroup) string {
	for _, t := range g.Targets {
		if t.State != "healthy" {
			return strings.TrimRight(fmt.Sprintf(": %s is %s %s", t.ID, t.State, t.Reason), " ") + healthRemedy(t.Reason)
		}
	}
	return "; register the nodes with it"
}

// healthRemedy is where to look for why health checks fail. A network load
// balancer gives one reason for all that there are.
func healthRemedy(reason string) string {
	switch reason {
	case "Target.Timeout":
		return "; usually a security group drops the health checks: admit the load balancer to their port"
	case "Target.FailedHealthChecks":
		return "; see whether the gateway's pods are ready, and whether a security group admits the health checks"
	case "Target.ResponseCodeMismatch":
		return "; see the port, path and codes of the group's health check"
	default:
		return ""
	}
}

func (j *judge) sharedRule(x subject) (f findings) {
	if f.unreadable(j.s, ResourceGateways, ResourceVirtualServices, ResourceLoadBalancers, ResourceRules) {
		return f
	}
	x.refused(GateSharedRule, &f)
	if len(f.list) == 0 && j.unrouted(x, &f) {
		return f
	}
	f.fine = "its rules serve nobody else"
	if x.draft.incomplete != nil {
		f.fine = fmt.Sprintf("on a network load balancer it moves with all of lane %s", x.lane.Name)
	}
	return f
}

func (j *judge) drift(x subject) (f findings) {
	if f.unreadable(j.s, ResourceLoadBalancers, ResourceRules) {
		return f
	}
	f.fine = "its rules are as planned"
	for _, c := range x.changes {
		now, ok := j.s.now(c.Ref())
		switch {
		case !ok:
			f.block("%s is gone since it was planned; plan again", c.Label)
		case !SameMeaning(now, c.Before) && !SameMeaning(now, c.After):
			f.block("%s was changed by somebody else: %s; plan again", c.Label, Difference(c.Before, now))
		}
	}
	if p, bad := j.s.Unreadable(ResourceTags); bad && len(x.uses) > 0 {
		f.warn("cannot tell whether a controller owns the load balancer: %s: %s", p.Operation, p.Message)
	}
	for _, u := range x.uses {
		for _, owned := range []struct {
			what string
			tags map[string]string
		}{{u.view.lb.Name, u.view.lb.Tags}, {j.s.RuleLabel(u.view.rule), u.view.rule.Tags}} {
			if tag := controllerTag(owned.tags); tag != "" {
				f.warn("%s carries the tag %s: what manages it may put the rule back; change it there too", owned.what, tag)
			}
		}
	}
	return f
}

// controllerTag returns the first tag by which another controller, or
// Terraform, marks what it manages; "" for none.
func controllerTag(tags map[string]string) string {
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		key, value := strings.ToLower(k), strings.ToLower(tags[k])
		switch {
		case key == "elbv2.k8s.aws/cluster", strings.HasPrefix(key, "ingress.k8s.aws/"),
			strings.HasPrefix(key, "service.k8s.aws/"), strings.HasPrefix(key, "kubernetes.io/"):
			return k
		case strings.HasPrefix(key, "terraform"), strings.HasPrefix(key, "terragrunt"):
			return k
		case key == "managedby" || key == "managed-by" || key == "managed_by":
			for _, tool := range []string{"terraform", "terragrunt", "tofu", "pulumi", "cloudformation"} {
				if strings.Contains(value, tool) {
					return k
				}
			}
		}
	}
	return ""
}
