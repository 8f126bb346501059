package awssim

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// The time that flows to an unhealthy target are given begins anew when it was
// healthy in between.
func TestDrainingOfATargetThatRecovers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sim := New(Config{})
		defer sim.Close()
		run := func(in any) any {
			t.Helper()
			out, err := sim.Call(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		arn := run(&elb.CreateTargetGroupInput{
			Name: new("old"), Protocol: types.ProtocolEnumTcp, Port: new(int32(80)), VpcId: new(defaultVPC), TargetType: types.TargetTypeEnumIp,
			HealthyThresholdCount: new(int32(2)), UnhealthyThresholdCount: new(int32(2)),
		}).(*elb.CreateTargetGroupOutput).TargetGroups[0].TargetGroupArn
		run(&elb.ModifyTargetGroupAttributesInput{TargetGroupArn: arn, Attributes: []types.TargetGroupAttribute{
			{Key: new(attrEndUnhealthy), Value: new("false")}, {Key: new(attrUnhealthyInterval), Value: new("60")},
		}})
		run(&elb.RegisterTargetsInput{TargetGroupArn: arn, Targets: []types.TargetDescription{{Id: new("127.0.0.1")}}})
		g := sim.group(*arn)
		target := g.targets[0]
		flow, end := context.WithCancel(t.Context())
		defer end()
		defer target.endpoint.use(end)()
		state := func() types.TargetHealthStateEnum {
			sim.mu.Lock()
			defer sim.mu.Unlock()
			return target.health.State
		}
		// No listener uses the group, so that nothing but this checks its target.
		checks := func(result outcome, want types.TargetHealthStateEnum) {
			t.Helper()
			for range 2 {
				sim.report(t.Context(), g, target, result)
			}
			if is := state(); is != want {
				t.Fatalf("the target is %s, want %s", is, want)
			}
		}
		checks(outcome{}, types.TargetHealthStateEnumHealthy)
		checks(failedChecks(), types.TargetHealthStateEnumUnhealthyDraining)
		time.Sleep(30 * time.Second)
		checks(outcome{}, types.TargetHealthStateEnumHealthy)
		checks(failedChecks(), types.TargetHealthStateEnumUnhealthyDraining)
		time.Sleep(59 * time.Second)
		synctest.Wait()
		if flow.Err() != nil || state() != types.TargetHealthStateEnumUnhealthyDraining {
			t.Errorf("a second before its time the target is %s, flow: %v", state(), flow.Err())
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if flow.Err() == nil || state() != types.TargetHealthStateEnumUnhealthy {
			t.Errorf("in its time the target is %s, flow: %v", state(), flow.Err())
		}
	})
}
