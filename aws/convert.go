package aws

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/istio-cutover/cutover/model"
)

// plain turns a value of the SDK's types into what encoding/json makes of JSON,
// without what is absent: nil pointers, empty enums, empty lists. Pointers to
// zero values are present: a weight of 0 is one. ok is false when v itself is
// absent.
func plain(v reflect.Value) (value any, ok bool) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil, false
		}
		if value, ok = plain(v.Elem()); !ok && v.Elem().Kind() == reflect.String {
			return "", true
		}
		return value, ok
	case reflect.Struct:
		object := map[string]any{}
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if !field.IsExported() || field.Anonymous {
				continue
			}
			if value, ok := plain(v.Field(i)); ok {
				object[field.Name] = value
			}
		}
		return object, len(object) > 0
	case reflect.Slice:
		list := make([]any, 0, v.Len())
		for i := range v.Len() {
			item, ok := plain(v.Index(i))
			if !ok {
				item = zero(v.Index(i))
			}
			list = append(list, item)
		}
		return list, len(list) > 0
	case reflect.Map:
		object := map[string]any{}
		for _, key := range v.MapKeys() {
			if value, ok := plain(v.MapIndex(key)); ok {
				object[key.String()] = value
			} else {
				object[key.String()] = zero(v.MapIndex(key))
			}
		}
		return object, len(object) > 0
	case reflect.String:
		return v.String(), v.Len() > 0
	default:
		return v.Interface(), true
	}
}

// zero is what an absent item of a list or map is written as: items count.
func zero(v reflect.Value) any {
	if v.Kind() == reflect.String {
		return ""
	}
	return map[string]any{}
}

// canonical gives a list of the SDK's values as canonical JSON, "" when it is empty.
func canonical(list any) (model.JSON, error) {
	value, ok := plain(reflect.ValueOf(list))
	if !ok {
		return "", nil
	}
	return model.CanonicalOf(value)
}

// actionsJSON is canonical for actions. A client secret is never kept, even
// when an endpoint gives it back, which AWS does not; nor is the request to
// keep the secret, which is no state.
func actionsJSON(actions []types.Action) (model.JSON, error) {
	actions = slices.Clone(actions)
	for i, a := range actions {
		if a.AuthenticateOidcConfig != nil {
			oidc := *a.AuthenticateOidcConfig
			oidc.ClientSecret, oidc.UseExistingClientSecret = nil, nil
			actions[i].AuthenticateOidcConfig = &oidc
		}
	}
	return canonical(actions)
}

// parseActions turns canonical JSON into the SDK's actions. Fields that the
// SDK does not know are an error that names them: they would be lost. An OIDC
// client secret is never taken from there; the one that AWS has is kept.
func parseActions(text model.JSON) ([]types.Action, error) {
	dec := json.NewDecoder(strings.NewReader(string(text)))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return nil, fmt.Errorf("actions: %w", err)
	}
	if unknown := unknownFields(reflect.TypeFor[[]types.Action](), value, "Actions"); len(unknown) > 0 {
		return nil, fmt.Errorf("the AWS SDK does not know %s", strings.Join(unknown, ", "))
	}
	var actions []types.Action
	if err := json.NewDecoder(bytes.NewReader([]byte(text))).Decode(&actions); err != nil {
		return nil, fmt.Errorf("actions: %w", err)
	}
	if len(actions) == 0 {
		return nil, fmt.Errorf("there are no actions to write")
	}
	for i := range actions {
		if oidc := actions[i].AuthenticateOidcConfig; oidc != nil {
			oidc.ClientSecret = nil
			oidc.UseExistingClientSecret = awssdk.Bool(true)
		}
	}
	return actions, nil
}

// unknownFields gives the paths of fields in value that t does not have, sorted.
func unknownFields(t reflect.Type, value any, path string) []string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var unknown []string
	switch value := value.(type) {
	case []any:
		if t.Kind() == reflect.Slice {
			for i, item := range value {
				unknown = append(unknown, unknownFields(t.Elem(), item, path+"["+strconv.Itoa(i)+"]")...)
			}
		}
	case map[string]any:
		if t.Kind() != reflect.Struct {
			return nil // A map takes any key; a mismatch is for the decoder to find.
		}
		for name, item := range value {
			// Names count exactly: encoding/json alone would accept any case.
			field, ok := t.FieldByName(name)
			if !ok || !field.IsExported() {
				unknown = append(unknown, path+"."+name)
				continue
			}
			unknown = append(unknown, unknownFields(field.Type, item, path+"."+name)...)
		}
	}
	slices.Sort(unknown)
	return unknown
}

// ruleOf converts a rule of a listener.
func ruleOf(listener string, r types.Rule) (model.Rule, error) {
	state, err := ruleState(r)
	if err != nil {
		return model.Rule{}, err
	}
	rule := model.Rule{
		ARN:        awssdk.ToString(r.RuleArn),
		Listener:   listener,
		Conditions: state.Conditions,
		Actions:    state.Actions,
		Transforms: state.Transforms,
	}
	if state.Priority != defaultPriority {
		if rule.Priority, err = strconv.Atoi(state.Priority); err != nil {
			return model.Rule{}, fmt.Errorf("priority of %s: %w", rule.ARN, err)
		}
	}
	return rule, nil
}

// defaultPriority is what the API calls the priority of default rules.
const defaultPriority = "default"

func ruleState(r types.Rule) (model.RuleState, error) {
	state := model.RuleState{Priority: awssdk.ToString(r.Priority)}
	if awssdk.ToBool(r.IsDefault) {
		state.Priority = defaultPriority
	}
	var err error
	if state.Actions, err = actionsJSON(r.Actions); err != nil {
		return state, fmt.Errorf("actions: %w", err)
	}
	if state.Conditions, err = canonical(r.Conditions); err != nil {
		return state, fmt.Errorf("conditions: %w", err)
	}
	if state.Transforms, err = canonical(r.Transforms); err != nil {
		return state, fmt.Errorf("transforms: %w", err)
	}
	return state, nil
}

// listenerState is the part of a listener that a change replaces.
func listenerState(l types.Listener) (model.RuleState, error) {
	actions, err := actionsJSON(l.DefaultActions)
	if err != nil {
		return model.RuleState{}, fmt.Errorf("default actions: %w", err)
	}
	return model.RuleState{Priority: defaultPriority, Actions: actions}, nil
}

func groupOf(g types.TargetGroup) model.TargetGroup {
	balancers := slices.Clone(g.LoadBalancerArns)
	slices.Sort(balancers)
	return model.TargetGroup{
		ARN:           awssdk.ToString(g.TargetGroupArn),
		Name:          awssdk.ToString(g.TargetGroupName),
		Protocol:      string(g.Protocol),
		Port:          int(awssdk.ToInt32(g.Port)),
		TargetType:    string(g.TargetType),
		VPC:           awssdk.ToString(g.VpcId),
		HealthPort:    awssdk.ToString(g.HealthCheckPort),
		LoadBalancers: slices.Compact(balancers),
	}
}

func targetsOf(descriptions []types.TargetHealthDescription) []model.Target {
	targets := make([]model.Target, 0, len(descriptions))
	for _, d := range descriptions {
		if d.Target == nil {
			continue
		}
		t := model.Target{
			ID:   awssdk.ToString(d.Target.Id),
			Port: int(awssdk.ToInt32(d.Target.Port)),
			Zone: awssdk.ToString(d.Target.AvailabilityZone),
		}
		if d.TargetHealth != nil {
			t.State, t.Reason = string(d.TargetHealth.State), string(d.TargetHealth.Reason)
		}
		targets = append(targets, t)
	}
	slices.SortFunc(targets, func(a, b model.Target) int {
		if a.ID != b.ID {
			return strings.Compare(a.ID, b.ID)
		}
		return a.Port - b.Port
	})
	return targets
}
