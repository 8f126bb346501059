package sandbox

import (
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// From a load balancer the way leads to the nodes, through the same names and
// ids, as it does in an account of AWS.
func TestAccountAroundTheLoadBalancers(t *testing.T) {
	s := start(t, Options{})
	config := s.aws(t)
	instances, scaling, balancers := ec2.NewFromConfig(config), autoscaling.NewFromConfig(config), elb.NewFromConfig(config)
	cluster, _ := s.kube(t)
	nodes, err := cluster.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var names, found []string
	for _, n := range nodes.Items {
		names = append(names, n.Name)
	}
	out, err := instances.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{
		Filters: []ec2types.Filter{{Name: new("private-dns-name"), Values: names}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var ids, groups []string
	for _, r := range out.Reservations {
		found, ids, groups = append(found, *r.Instances[0].PrivateDnsName), append(ids, *r.Instances[0].InstanceId), append(groups, *r.Instances[0].SecurityGroups[0].GroupId)
	}
	if slices.Sort(found); !slices.Equal(found, names) {
		t.Errorf("the nodes are %v, the instances %v", names, found)
	}
	alb, err := balancers.DescribeLoadBalancers(t.Context(), &elb.DescribeLoadBalancersInput{Names: []string{"public-alb"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(alb.LoadBalancers[0].SecurityGroups) != 1 || *alb.LoadBalancers[0].VpcId != vpc {
		t.Fatalf("the load balancer is %+v", alb.LoadBalancers[0])
	}
	rules, err := instances.DescribeSecurityGroupRules(t.Context(), &ec2.DescribeSecurityGroupRulesInput{
		Filters: []ec2types.Filter{{Name: new("group-id"), Values: groups[:1]}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []side{publicLane().old, publicLane().new} {
		for _, port := range []int{s.status, s.http, s.https} {
			if !slices.ContainsFunc(rules.SecurityGroupRules, func(r ec2types.SecurityGroupRule) bool {
				return *r.FromPort == int32(port) && r.ReferencedGroupInfo != nil && *r.ReferencedGroupInfo.GroupId == alb.LoadBalancers[0].SecurityGroups[0]
			}) {
				t.Errorf("nothing lets the load balancer in on port %d", port)
			}
		}
	}
	asgs, err := scaling.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{})
	if err != nil {
		t.Fatal(err)
	}
	if len(asgs.AutoScalingGroups) != 1 || len(asgs.AutoScalingGroups[0].Instances) != len(ids) || !slices.Contains(asgs.AutoScalingGroups[0].TargetGroupARNs, s.groupARN(t, "public-old-https")) {
		t.Fatalf("Auto Scaling groups: %+v", asgs.AutoScalingGroups)
	}
	eventually(t, "all attached target groups are in service", func() (string, bool) {
		states, err := scaling.DescribeLoadBalancerTargetGroups(t.Context(), &autoscaling.DescribeLoadBalancerTargetGroupsInput{AutoScalingGroupName: asgs.AutoScalingGroups[0].AutoScalingGroupName})
		if err != nil {
			t.Fatal(err)
		}
		for _, state := range states.LoadBalancerTargetGroups {
			if *state.State != "InService" {
				return fmt.Sprint(*state.LoadBalancerTargetGroupARN, " ", *state.State), false
			}
		}
		return "", true
	})
}
