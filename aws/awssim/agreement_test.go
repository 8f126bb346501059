package awssim

import (
	"cmp"
	"errors"
	"fmt"
	"net/http/httptest"
	"reflect"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/istio-cutover/cutover/aws/mototest"
)

// onlyLost makes a call again whose connection was lost: that is no answer, and
// any answer is what is looked for.
func onlyLost() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.Retryables = []retry.IsErrorRetryable{retry.RetryableConnectionError{}}
	})
}

// account is an account of either simulator with a security group of a VPC of its
// own, one instance in an Auto Scaling group and a target group.
type account struct {
	t        *testing.T
	network  *ec2.Client
	scaling  *autoscaling.Client
	balancer *elb.Client

	vpc, subnet, securityGroup, scalingGroup, targetGroup string
}

func newAccount(t *testing.T, endpoint string) *account {
	config := aws.Config{
		Region: "us-east-1", BaseEndpoint: &endpoint, Retryer: onlyLost,
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "not-a-secret", ""),
	}
	return &account{t: t, network: ec2.NewFromConfig(config), scaling: autoscaling.NewFromConfig(config), balancer: elb.NewFromConfig(config)}
}

func (a *account) addTargetGroup() {
	out, err := a.balancer.CreateTargetGroup(a.t.Context(), &elb.CreateTargetGroupInput{
		Name: new("new"), Protocol: types.ProtocolEnumHttp, Port: new(int32(30081)), VpcId: &a.vpc,
	})
	if err != nil {
		a.t.Fatal(err)
	}
	a.targetGroup = *out.TargetGroups[0].TargetGroupArn
}

func simAccount(t *testing.T) *account {
	sim := New(Config{})
	server := httptest.NewServer(sim.Handler())
	t.Cleanup(func() {
		server.Close()
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := sim.Add(testNetwork()); err != nil {
		t.Fatal(err)
	}
	a := newAccount(t, server.URL)
	a.vpc, a.subnet, a.securityGroup, a.scalingGroup = defaultVPC, "subnet-00000000000000001", balancer, "nodes"
	a.addTargetGroup()
	return a
}

func motoAccount(t *testing.T) *account {
	a := newAccount(t, mototest.Start(t).URL)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	vpc, err := a.network.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: new("10.0.0.0/16")})
	must(err)
	a.vpc = *vpc.Vpc.VpcId
	subnet, err := a.network.CreateSubnet(t.Context(), &ec2.CreateSubnetInput{VpcId: &a.vpc, CidrBlock: new("10.0.0.0/24")})
	must(err)
	a.subnet = *subnet.Subnet.SubnetId
	group, err := a.network.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{GroupName: new("balancer"), Description: new("balancer"), VpcId: &a.vpc})
	must(err)
	a.securityGroup = *group.GroupId
	images, err := a.network.DescribeImages(t.Context(), &ec2.DescribeImagesInput{})
	must(err)
	_, err = a.scaling.CreateLaunchConfiguration(t.Context(), &autoscaling.CreateLaunchConfigurationInput{
		LaunchConfigurationName: new("nodes"), ImageId: images.Images[0].ImageId, InstanceType: new("m5.large"),
	})
	must(err)
	a.scalingGroup = "nodes"
	_, err = a.scaling.CreateAutoScalingGroup(t.Context(), &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: &a.scalingGroup, LaunchConfigurationName: new("nodes"), MinSize: new(int32(1)), MaxSize: new(int32(1)), VPCZoneIdentifier: &a.subnet,
	})
	must(err)
	a.addTargetGroup()
	return a
}

// ending gives the code of the error of a call, or nothing.
func (a *account) ending(in any) string {
	a.t.Helper()
	name := reflect.TypeOf(in).Elem().Name()
	name = name[:len(name)-len("Input")]
	var client any = a.network
	for _, other := range []any{a.scaling, a.balancer} {
		method, ok := reflect.TypeOf(other).MethodByName(name)
		if ok && method.Type.In(2) == reflect.TypeOf(in) {
			client = other
		}
	}
	out := reflect.ValueOf(client).MethodByName(name).Call([]reflect.Value{reflect.ValueOf(a.t.Context()), reflect.ValueOf(in)})
	err, _ := out[1].Interface().(error)
	var failed smithy.APIError
	var response *smithyhttp.ResponseError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &failed):
		return failed.ErrorCode()
	case errors.As(err, &response):
		return fmt.Sprintf("HTTP %d", response.HTTPStatusCode())
	}
	a.t.Fatalf("%s: %v", name, err)
	return ""
}

// What the tool asks of EC2 and Auto Scaling ends alike on awssim and on moto, in
// this order, but for what moto is seen to do unlike AWS: it adds the rules of a
// request that come before one that is there (EC2 API, AuthorizeSecurityGroupIngress:
// InvalidPermission.Duplicate), and an unknown Auto Scaling group is an error of its
// own (Auto Scaling API, common errors: ValidationError).
func TestAgreementWithMoto(t *testing.T) {
	rule := func(port int32) []ec2types.IpPermission {
		return []ec2types.IpPermission{tcp(port, port, fromCIDR("10.0.0.0/8"))}
	}
	for _, from := range []struct {
		name  string
		start func(*testing.T) *account
	}{{"awssim", simAccount}, {"moto", motoAccount}} {
		t.Run(from.name, func(t *testing.T) {
			a := from.start(t)
			authorize := func(port int32) *ec2.AuthorizeSecurityGroupIngressInput {
				return &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &a.securityGroup, IpPermissions: rule(port)}
			}
			dry := authorize(30081)
			dry.DryRun = new(true)
			nowhere := authorize(30081)
			nowhere.GroupId = new("sg-0123456789abcdef0")
			revoke := &ec2.RevokeSecurityGroupIngressInput{GroupId: &a.securityGroup, IpPermissions: rule(30081)}
			attach := &autoscaling.AttachLoadBalancerTargetGroupsInput{AutoScalingGroupName: &a.scalingGroup, TargetGroupARNs: []string{a.targetGroup}}
			for _, tc := range []struct {
				name string
				in   any
				code string
				moto string // where it is another one
			}{
				{"dry run", dry, "DryRunOperation", ""},
				{"a rule", authorize(30081), "", ""},
				{"the rule again", authorize(30081), "InvalidPermission.Duplicate", ""},
				{"two, one of them there", &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &a.securityGroup, IpPermissions: append(rule(30022), rule(30081)...)}, "InvalidPermission.Duplicate", ""},
				{"the other of the two", authorize(30022), "", "InvalidPermission.Duplicate"},
				{"a group that is not there", nowhere, "InvalidGroup.NotFound", ""},
				{"revoked", revoke, "", ""},
				{"revoked again", revoke, "InvalidPermission.NotFound", ""},
				{"groups", &ec2.DescribeSecurityGroupsInput{GroupIds: []string{a.securityGroup}}, "", ""},
				{"no such group", &ec2.DescribeSecurityGroupsInput{GroupIds: []string{"sg-0123456789abcdef0"}}, "InvalidGroup.NotFound", ""},
				{"rules", &ec2.DescribeSecurityGroupRulesInput{Filters: []ec2types.Filter{filter("group-id", a.securityGroup)}}, "", ""},
				{"no such instance", &ec2.DescribeInstancesInput{InstanceIds: []string{"i-0123456789abcdef0"}}, "InvalidInstanceID.NotFound", ""},
				{"no such subnet", &ec2.DescribeSubnetsInput{SubnetIds: []string{"subnet-0123456789abcdef0"}}, "InvalidSubnetID.NotFound", ""},
				{"no such VPC", &ec2.DescribeVpcsInput{VpcIds: []string{"vpc-0123456789abcdef0"}}, "InvalidVpcID.NotFound", ""},
				{"attached", attach, "", ""},
				{"attached again", attach, "", ""},
				{"to no group", &autoscaling.AttachLoadBalancerTargetGroupsInput{AutoScalingGroupName: new("others"), TargetGroupARNs: []string{a.targetGroup}}, "ValidationError", "HTTP 500"},
				{"states", &autoscaling.DescribeLoadBalancerTargetGroupsInput{AutoScalingGroupName: &a.scalingGroup}, "", ""},
				{"detached", &autoscaling.DetachLoadBalancerTargetGroupsInput{AutoScalingGroupName: &a.scalingGroup, TargetGroupARNs: []string{a.targetGroup}}, "", ""},
				{"deleted", &elb.DeleteTargetGroupInput{TargetGroupArn: &a.targetGroup}, "", ""},
			} {
				want := tc.code
				if from.name == "moto" {
					want = cmp.Or(tc.moto, want)
				}
				if got := a.ending(tc.in); got != want {
					t.Errorf("%s: got %q, want %q", tc.name, got, want)
				}
			}
		})
	}
}
