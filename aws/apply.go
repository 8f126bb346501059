package aws

import (
	"context"
	"fmt"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/istio-cutover/cutover/model"
)

// Read returns what the rule or the listener's default action is now: priority,
// conditions, actions and transforms, without tags. An OIDC client secret is
// never part of it. Errors by kind: not-found, access, throttled, unreachable,
// usage for a reference that cannot be read.
func (c *Client) Read(ctx context.Context, ref model.Ref) (model.RuleState, error) {
	switch ref.Op {
	case model.OpModifyRule:
		return c.readRule(ctx, ref.Rule)
	case model.OpModifyListener:
		return c.readListener(ctx, ref.Listener)
	default:
		return model.RuleState{}, unsupported("read", ref)
	}
}

func (c *Client) readRule(ctx context.Context, arn string) (model.RuleState, error) {
	const op = "DescribeRules"
	in := &elb.DescribeRulesInput{RuleArns: []string{arn}}
	out, err := describeCall(ctx, c, urgent, op, arn, in, c.elb.DescribeRules)
	if err != nil {
		return model.RuleState{}, err
	}
	if len(out.Rules) != 1 {
		return model.RuleState{}, absent(op, arn)
	}
	state, err := ruleState(out.Rules[0])
	return state, converted(op, arn, err)
}

func (c *Client) readListener(ctx context.Context, arn string) (model.RuleState, error) {
	const op = "DescribeListeners"
	in := &elb.DescribeListenersInput{ListenerArns: []string{arn}}
	out, err := describeCall(ctx, c, urgent, op, arn, in, c.elb.DescribeListeners)
	if err != nil {
		return model.RuleState{}, err
	}
	if len(out.Listeners) != 1 {
		return model.RuleState{}, absent(op, arn)
	}
	state, err := listenerState(out.Listeners[0])
	return state, converted(op, arn, err)
}

// Write makes the actions of the change's after true, of a rule or of a
// listener's default rule, and leaves everything else of it as it is. It
// compares nothing. Where actions authenticate by OIDC, the client secret that
// AWS has is kept. Actions with fields that the SDK does not know are refused
// (usage) and nothing is sent. After an error of kind unreachable the change
// may or may not have been made.
func (c *Client) Write(ctx context.Context, change model.Change) error {
	if change.Op != model.OpModifyRule && change.Op != model.OpModifyListener {
		return unsupported("write", change.Ref())
	}
	actions, err := parseActions(change.After.Actions)
	if err != nil {
		return &model.Error{
			Kind: model.KindUsage, Operation: string(change.Op), Object: change.Object(), Message: err.Error(),
			Remedy: "make this change with a newer cutover, or by hand", Err: err,
		}
	}
	if change.Op == model.OpModifyRule {
		in := &elb.ModifyRuleInput{RuleArn: &change.Rule, Actions: actions}
		err = modifyCall(ctx, c, "ModifyRule", change.Rule, in, c.writer.ModifyRule)
	} else {
		in := &elb.ModifyListenerInput{ListenerArn: &change.Listener, DefaultActions: actions}
		err = modifyCall(ctx, c, "ModifyListener", change.Listener, in, c.writer.ModifyListener)
	}
	// A failed write is looked at too: it may have been made all the same.
	c.touch(change.Listener)
	return err
}

func unsupported(verb string, ref model.Ref) error {
	return &model.Error{
		Kind: model.KindUsage, Operation: verb, Object: ref.Rule + ref.Listener,
		Message: fmt.Sprintf("there is no way to %s %q", verb, ref.Op),
	}
}

func absent(operation, arn string) error {
	return &model.Error{Kind: model.KindNotFound, Operation: operation, Object: arn, Message: "it does not exist"}
}

// converted makes the error of a conversion one that operators read; nil stays nil.
func converted(operation, object string, err error) error {
	if err == nil {
		return nil
	}
	return &model.Error{Kind: model.KindInternal, Operation: operation, Object: object, Err: err}
}
