package awssim

import (
	"net/url"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// Whatever a request to EC2 has in it, reading it and carrying it out ends
// without a panic.
func FuzzEC2(f *testing.F) {
	f.Add("GroupId=sg-0aaaaaaaaaaaaaaa1&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=1&IpPermissions.1.ToPort=2&IpPermissions.1.IpRanges.1.CidrIp=10.0.0.0/8")
	f.Add("GroupId=sg-0aaaaaaaaaaaaaaa1&IpPermissions.1.Groups.1.GroupId=sg-0aaaaaaaaaaaaaaa2&IpPermissions.1.IpProtocol=-1&TagSpecification.1.Tag.1.Key=k")
	f.Add("GroupName=nodes&SourceSecurityGroupName=nodes&IpPermissions.0=x&IpPermissions.99999999999=y&DryRun=true")
	f.Fuzz(func(t *testing.T, body string) {
		form, err := url.ParseQuery(body)
		if err != nil {
			t.Skip()
		}
		params, err := parseParams(form)
		if err != nil {
			return
		}
		sim := New(Config{})
		defer sim.Close()
		if err := sim.Add(testNetwork()); err != nil {
			t.Fatal(err)
		}
		for _, in := range []any{new(ec2.AuthorizeSecurityGroupIngressInput), new(ec2.RevokeSecurityGroupIngressInput), new(ec2.DescribeInstancesInput)} {
			if ec2Dialect().decode(params, in) != nil {
				continue
			}
			out, err := sim.Call(t.Context(), in)
			if err == nil {
				ec2Dialect().response("Action", "n", "id", out)
			}
		}
	})
}
