package awssim

import (
	"strings"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// describeLoadBalancerAttributes reports AWS's defaults; they cannot be changed.
func (s *Sim) describeLoadBalancerAttributes(in *elb.DescribeLoadBalancerAttributesInput) (*elb.DescribeLoadBalancerAttributesOutput, error) {
	lb, err := s.findLoadBalancer(in.LoadBalancerArn)
	if err != nil {
		return nil, err
	}
	pairs := [][2]string{
		{"access_logs.s3.bucket", ""},
		{"access_logs.s3.enabled", "false"},
		{"access_logs.s3.prefix", ""},
		{"deletion_protection.enabled", "false"},
	}
	if lb.isApplication() {
		pairs = append(pairs, [][2]string{
			{"client_keep_alive.seconds", "3600"},
			{"idle_timeout.timeout_seconds", "60"},
			{"load_balancing.cross_zone.enabled", "true"},
			{"routing.http.desync_mitigation_mode", "defensive"},
			{"routing.http.drop_invalid_header_fields.enabled", "false"},
			{"routing.http.preserve_host_header.enabled", "false"},
			{"routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "false"},
			{"routing.http.xff_client_port.enabled", "false"},
			{"routing.http.xff_header_processing.mode", "append"},
			{"routing.http2.enabled", "true"},
			{"waf.fail_open.enabled", "false"},
			{"zonal_shift.config.enabled", "false"},
		}...)
	} else {
		pairs = append(pairs, [][2]string{
			{"dns_record.client_routing_policy", "any_availability_zone"},
			{"ipv6.deny_all_igw_traffic", "false"},
			{"load_balancing.cross_zone.enabled", "false"},
			{"zonal_shift.config.enabled", "false"},
		}...)
	}
	attributes := make([]types.LoadBalancerAttribute, len(pairs))
	for i, pair := range pairs {
		attributes[i] = types.LoadBalancerAttribute{Key: new(pair[0]), Value: new(pair[1])}
	}
	return &elb.DescribeLoadBalancerAttributesOutput{Attributes: attributes}, nil
}

// describeListenerAttributes reports AWS's defaults; they cannot be changed.
func (s *Sim) describeListenerAttributes(in *elb.DescribeListenerAttributesInput) (*elb.DescribeListenerAttributesOutput, error) {
	l, err := s.findListener(in.ListenerArn)
	if err != nil {
		return nil, err
	}
	attributes := []types.ListenerAttribute{}
	add := func(key, value string) {
		attributes = append(attributes, types.ListenerAttribute{Key: new(key), Value: new(value)})
	}
	if l.lb.isApplication() {
		add("routing.http.response.server.enabled", "true")
		for _, header := range []string{
			"access_control_allow_credentials", "access_control_allow_headers", "access_control_allow_methods",
			"access_control_allow_origin", "access_control_expose_headers", "access_control_max_age", "content_security_policy",
			"strict_transport_security", "x_content_type_options", "x_frame_options",
		} {
			add("routing.http.response."+header+".header_value", "")
		}
	}
	switch l.view.Protocol {
	case types.ProtocolEnumHttps:
		for _, header := range []string{
			"X-Amzn-Mtls-Clientcert", "X-Amzn-Mtls-Clientcert-Issuer", "X-Amzn-Mtls-Clientcert-Leaf",
			"X-Amzn-Mtls-Clientcert-Serial-Number", "X-Amzn-Mtls-Clientcert-Subject", "X-Amzn-Mtls-Clientcert-Validity",
			"X-Amzn-Tls-Cipher-Suite", "X-Amzn-Tls-Version",
		} {
			add("routing.http.request."+strings.ToLower(strings.ReplaceAll(header, "-", "_"))+".header_name", header)
		}
	case types.ProtocolEnumTcp:
		add("tcp.idle_timeout.seconds", "350")
	default:
	}
	return &elb.DescribeListenerAttributesOutput{Attributes: attributes}, nil
}
