package awssim

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	scalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/google/go-cmp/cmp"
)

// Whatever can be read by pages gives on all of them, as small as they can be,
// what it gives at once.
func TestEveryListHasPages(t *testing.T) {
	w := networked(t)
	var more Network
	asg := scalingtypes.AutoScalingGroup{AutoScalingGroupName: new("many")}
	for i := range 12 {
		more.VPCs = append(more.VPCs, ec2types.Vpc{VpcId: new(fmt.Sprintf("vpc-%d", i))})
		more.Subnets = append(more.Subnets, ec2types.Subnet{SubnetId: new(fmt.Sprintf("subnet-%d", i)), VpcId: new(defaultVPC), AvailabilityZone: new("us-east-1a")})
		more.SecurityGroups = append(more.SecurityGroups, ec2types.SecurityGroup{GroupId: new(fmt.Sprintf("sg-%d", i)), VpcId: new(defaultVPC)})
		more.Instances = append(more.Instances, ec2types.Instance{InstanceId: new(fmt.Sprintf("i-%d", i)), SubnetId: new("subnet-0")})
		more.AutoScalingGroups = append(more.AutoScalingGroups, scalingtypes.AutoScalingGroup{AutoScalingGroupName: new(fmt.Sprintf("asg-%d", i))})
	}
	more.AutoScalingGroups = append(more.AutoScalingGroups, asg)
	if err := w.sim.Add(more); err != nil {
		t.Fatal(err)
	}
	required := map[string]any{"AutoScalingGroupName": new("many"), "PrefixListId": new(prefixes)}
	for i := range 3 {
		lb := w.loadBalancerIn(fmt.Sprintf("lb-%d", i), "subnet-00000000000000001", "subnet-00000000000000002")
		arn := w.group(fmt.Sprintf("g-%d", i), types.ProtocolEnumHttp, 80, nil)
		run[autoscaling.AttachLoadBalancerTargetGroupsOutput](w, &autoscaling.AttachLoadBalancerTargetGroupsInput{AutoScalingGroupName: new("many"), TargetGroupARNs: []string{arn}})
		for port := range 3 {
			l := w.listener(lb, types.ProtocolEnumHttps, 443+port, answerWith("404", ""))
			w.rule(l, 1, "a.example", answerWith("200", ""))
			required["LoadBalancerArn"], required["ListenerArn"] = lb.LoadBalancerArn, l.ListenerArn
		}
	}
	// What can be described all at once needs no parent.
	alone := []string{"DescribeLoadBalancersInput", "DescribeTargetGroupsInput"}

	paged := 0
	everyOperation(t, func(t *testing.T, _ api, name string, op operation) {
		size, least := sizeOf(op.input.Elem())
		if size == "" {
			return
		}
		paged++
		input := func() reflect.Value {
			in := reflect.New(op.input.Elem())
			for field, value := range required {
				if f := in.Elem().FieldByName(field); f.IsValid() && !slices.Contains(alone, op.input.Elem().Name()) {
					f.Set(reflect.ValueOf(value))
				}
			}
			return in
		}
		read := func(in reflect.Value) (items []any, next reflect.Value) {
			t.Helper()
			out, err := w.sim.Call(t.Context(), in.Interface())
			if err != nil {
				t.Fatal(err)
			}
			for i := range reflect.TypeOf(out).Elem().NumField() {
				field := reflect.ValueOf(out).Elem().Field(i)
				switch {
				case field.Kind() == reflect.Slice:
					for j := range field.Len() {
						items = append(items, withoutNil(field.Index(j)))
					}
				case field.Type() == reflect.TypeFor[*string]():
					next = field
				}
			}
			return items, next
		}
		want, _ := read(input())
		if len(want) == 0 {
			t.Fatal("there is nothing to read")
		}
		var got []any
		in := input()
		in.Elem().FieldByName(size).Set(reflect.ValueOf(&least))
		for {
			items, next := read(in)
			if len(items) > int(least) {
				t.Fatalf("%d items on a page of %d", len(items), least)
			}
			got = append(got, items...)
			if next.IsNil() {
				break
			}
			marker := in.Elem().FieldByName("Marker")
			if !marker.IsValid() {
				marker = in.Elem().FieldByName("NextToken")
			}
			marker.Set(next)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s at once (-) and by pages (+): %s", name, diff)
		}
	})
	if paged != 15 {
		t.Errorf("%d operations have pages, want 15", paged)
	}
}

// sizeOf names the field of an input that bounds a page, and the smallest page.
func sizeOf(input reflect.Type) (field string, least int32) {
	for _, field := range []string{"PageSize", "MaxRecords", "MaxResults"} {
		if _, ok := input.FieldByName(field); ok {
			if field == "MaxResults" && input.Name() != "GetManagedPrefixListEntriesInput" {
				return field, 5
			}
			return field, 1
		}
	}
	return "", 0
}
