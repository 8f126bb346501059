package main

import (
	"context"
	"encoding/json"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/istio-cutover/cutover/model"
	"github.com/istio-cutover/cutover/tui"
)

// describe returns an object as YAML for the console's details.
func (l *live) describe(ctx context.Context, ref tui.Ref) (string, error) {
	switch ref.Kind {
	case tui.RefGateway, tui.RefSecret, tui.RefVirtualService:
		namespace, name, _ := strings.Cut(ref.Name, "/")
		return l.kube.YAML(ctx, string(ref.Kind), model.ObjectName{Namespace: namespace, Name: name})
	case tui.RefRule:
		if r, ok := l.snapshot().Rule(ref.Name); ok {
			return asYAML(ruleDocument(r))
		}
	case tui.RefListener:
		if v, lb, ok := l.snapshot().Listener(ref.Name); ok {
			document := map[string]any{"ListenerArn": v.ARN, "Port": v.Port, "Protocol": v.Protocol, "LoadBalancer": lb.Name}
			rules := []any{}
			for _, r := range v.Rules {
				rules = append(rules, ruleDocument(r))
			}
			document["Rules"] = rules
			return asYAML(document)
		}
	}
	return "", &model.Error{Kind: model.KindNotFound, Operation: "describe", Object: ref.Name, Err: errNotKnown, Remedy: "refresh with ctrl-r"}
}

func ruleDocument(r model.Rule) map[string]any {
	out := map[string]any{"RuleArn": r.ARN, "ListenerArn": r.Listener, "Priority": r.PriorityText(), "Tags": r.Tags}
	for key, part := range map[string]model.JSON{"Conditions": r.Conditions, "Actions": r.Actions, "Transforms": r.Transforms} {
		if part != "" {
			out[key] = json.RawMessage(part)
		}
	}
	return out
}

func asYAML(document any) (string, error) {
	raw, err := encode(document)
	if err == nil {
		raw, err = yaml.JSONToYAML(raw)
	}
	return string(raw), err
}
