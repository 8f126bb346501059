package awssim

import (
	"cmp"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

func (s *Sim) createListener(in *elb.CreateListenerInput) (*elb.CreateListenerOutput, error) {
	lb, err := s.findLoadBalancer(in.LoadBalancerArn)
	if err != nil {
		return nil, err
	}
	if in.Port == nil || *in.Port < 1 || *in.Port > 65535 {
		return nil, invalid("A listener port between 1 and 65535 must be specified")
	}
	l := &listener{lb: lb, asked: *in.Port, view: types.Listener{
		AlpnPolicy:           in.AlpnPolicy,
		Certificates:         in.Certificates,
		LoadBalancerArn:      new(lb.arn()),
		MutualAuthentication: in.MutualAuthentication,
		Port:                 new(s.boundPort(*in.Port)),
		Protocol:             in.Protocol,
		SslPolicy:            in.SslPolicy,
	}}
	if err := s.checkListener(l); err != nil {
		return nil, err
	}
	actions, err := s.acceptActions(l, in.DefaultActions, nil)
	if err != nil {
		return nil, err
	}
	for _, other := range lb.listeners {
		if other.asked != l.asked && *other.view.Port != *l.view.Port {
			continue
		}
		// The call is idempotent.
		if sameSettings(other.view, l.view) && sameActions(other.defaultRule().actions, actions) {
			return &elb.CreateListenerOutput{Listeners: []types.Listener{other.describe()}}, nil
		}
		return nil, apiError("DuplicateListener", "A listener already exists on this port for this load balancer '%s'", lb.arn())
	}
	if most := s.limit(lb, limitListeners); len(lb.listeners) >= most {
		return nil, apiError("TooManyListeners", "The maximum number of listeners on load balancer '%s' is '%d'", lb.arn(), most)
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	socket, err := s.bind(l)
	if err != nil {
		return nil, err
	}
	resource := strings.TrimPrefix(lb.arn(), s.arnOf("loadbalancer/")) + "/" + s.cfg.NewID()
	l.view.ListenerArn = new(s.arnOf("listener/" + resource))
	l.rules = []*rule{{
		listener: l,
		arn:      s.arnOf("listener-rule/" + resource + "/" + s.cfg.NewID()),
		actions:  actions,
	}}
	lb.listeners = append(lb.listeners, l)
	s.setTags(l.arn(), in.Tags)
	s.publish(l)
	l.server = s.serve(l, socket)
	return &elb.CreateListenerOutput{Listeners: []types.Listener{l.describe()}}, nil
}

// sameSettings says whether two listeners on a port are the same but for their
// actions.
func sameSettings(a, b types.Listener) bool {
	return a.Protocol == b.Protocol && aws.ToString(a.SslPolicy) == aws.ToString(b.SslPolicy) && slices.Equal(a.AlpnPolicy, b.AlpnPolicy) &&
		reflect.DeepEqual(a.Certificates, b.Certificates) && reflect.DeepEqual(a.MutualAuthentication, b.MutualAuthentication)
}

// boundPort gives the port to bind for the one that is asked for.
func (s *Sim) boundPort(asked int32) int32 {
	if s.cfg.ListenerPort == nil {
		return asked
	}
	return int32(s.cfg.ListenerPort(int(asked)))
}

// bind opens the socket of a listener and puts the port it got into its view.
func (s *Sim) bind(l *listener) (net.Listener, error) {
	address := net.JoinHostPort(aws.ToString(l.lb.view.DNSName), fmt.Sprint(*l.view.Port))
	socket, err := new(net.ListenConfig).Listen(s.ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("binding a listener of load balancer %s: %w", aws.ToString(l.lb.view.LoadBalancerName), err)
	}
	if bound, ok := socket.Addr().(*net.TCPAddr); ok {
		l.view.Port = new(int32(bound.Port))
	}
	return socket, nil
}

// checkListener holds protocol, certificates and policy to AWS's rules and
// fills in the default policy.
func (s *Sim) checkListener(l *listener) error {
	secure := false
	switch l.view.Protocol {
	case types.ProtocolEnumHttp, types.ProtocolEnumHttps:
		secure = l.view.Protocol == types.ProtocolEnumHttps
		if !l.lb.isApplication() {
			return apiError("UnsupportedProtocol", "Listener protocol '%s' is not supported by a network load balancer", l.view.Protocol)
		}
	case types.ProtocolEnumTcp, types.ProtocolEnumTls:
		secure = l.view.Protocol == types.ProtocolEnumTls
		if l.lb.isApplication() {
			return apiError("UnsupportedProtocol", "Listener protocol '%s' is not supported by an application load balancer", l.view.Protocol)
		}
	default:
		return apiError("UnsupportedProtocol", "Listener protocol '%s' is not supported", shorten(string(l.view.Protocol)))
	}
	if err := checkSecurity(l.view); err != nil {
		return err
	}
	if !secure {
		if len(l.view.Certificates) > 0 || l.view.SslPolicy != nil {
			return apiError("InvalidConfigurationRequest", "A certificate cannot be specified for %s listeners", l.view.Protocol)
		}
		return nil
	}
	if len(l.view.Certificates) != 1 {
		return apiError("CertificateNotFound", "Exactly one certificate must be specified for %s listeners", l.view.Protocol)
	}
	arn := aws.ToString(l.view.Certificates[0].CertificateArn)
	if s.certificates[arn] == nil {
		return apiError("CertificateNotFound", "Certificate ARN '%s' is not valid", shorten(arn))
	}
	l.view.Certificates = []types.Certificate{{CertificateArn: new(arn)}}
	if l.view.SslPolicy == nil {
		l.view.SslPolicy = new("ELBSecurityPolicy-2016-08")
	}
	return nil
}

// checkSecurity holds what only listeners of one protocol have to its values.
func checkSecurity(view types.Listener) error {
	alpn := []string{"HTTP1Only", "HTTP2Only", "HTTP2Optional", "HTTP2Preferred", "None"}
	switch {
	case len(view.AlpnPolicy) > 0 && view.Protocol != types.ProtocolEnumTls:
		return apiError("InvalidConfigurationRequest", "An ALPN policy cannot be specified for %s listeners", view.Protocol)
	case len(view.AlpnPolicy) > 1 || len(view.AlpnPolicy) == 1 && !slices.Contains(alpn, view.AlpnPolicy[0]):
		return apiError("ALPNPolicyNotFound", "The ALPN policy must be one of '%v'", alpn)
	case view.MutualAuthentication != nil && view.Protocol != types.ProtocolEnumHttps:
		return apiError("InvalidConfigurationRequest", "Mutual authentication cannot be specified for %s listeners", view.Protocol)
	case view.SslPolicy != nil && !strings.HasPrefix(*view.SslPolicy, "ELBSecurityPolicy-"):
		return apiError("SSLPolicyNotFound", "SSL policy '%s' not found", shorten(*view.SslPolicy))
	case len(view.Certificates) > 0 && view.Certificates[0].IsDefault != nil:
		return invalid("You cannot set the isDefault parameter for a certificate here")
	}
	return nil
}

// describe gives the listener with its default actions, no secret in them.
func (l *listener) describe() types.Listener {
	view := l.view
	view.DefaultActions = echoActions(l.defaultRule().actions)
	return view
}

func (s *Sim) describeListeners(in *elb.DescribeListenersInput) (*elb.DescribeListenersOutput, error) {
	if (in.LoadBalancerArn == nil) == (len(in.ListenerArns) == 0) {
		return nil, invalid("You must specify either listener ARNs or a load balancer ARN")
	}
	var views []types.Listener
	if in.LoadBalancerArn != nil {
		lb, err := s.findLoadBalancer(in.LoadBalancerArn)
		if err != nil {
			return nil, err
		}
		for _, l := range lb.listeners {
			views = append(views, l.describe())
		}
	}
	for _, arn := range in.ListenerArns {
		l, err := s.findListener(&arn)
		if err != nil {
			return nil, err
		}
		views = append(views, l.describe())
	}
	views, next, err := page(views, func(v types.Listener) string { return *v.ListenerArn }, in.Marker, in.PageSize, elbPages())
	if err != nil {
		return nil, err
	}
	return &elb.DescribeListenersOutput{Listeners: views, NextMarker: next}, nil
}

// modifyListener changes what is given and leaves the rest. Another port or
// protocol moves the listener to a new socket.
func (s *Sim) modifyListener(in *elb.ModifyListenerInput) (*elb.ModifyListenerOutput, error) {
	l, err := s.findListener(in.ListenerArn)
	if err != nil {
		return nil, err
	}
	changed := &listener{lb: l.lb, asked: l.asked, view: l.view, rules: l.rules}
	if in.Port != nil && *in.Port != *l.view.Port && *in.Port != l.asked {
		if *in.Port < 1 || *in.Port > 65535 {
			return nil, invalid("A listener port must be between 1 and 65535")
		}
		changed.asked, changed.view.Port = *in.Port, new(s.boundPort(*in.Port))
		for _, other := range l.lb.listeners {
			if other != l && (other.asked == changed.asked || *other.view.Port == *changed.view.Port) {
				return nil, apiError("DuplicateListener", "A listener already exists on this port for this load balancer '%s'", l.lb.arn())
			}
		}
	}
	changed.view.Protocol = cmp.Or(in.Protocol, l.view.Protocol)
	if in.Certificates != nil {
		changed.view.Certificates = in.Certificates
	}
	if in.SslPolicy != nil {
		changed.view.SslPolicy = in.SslPolicy
	}
	if in.AlpnPolicy != nil {
		changed.view.AlpnPolicy = in.AlpnPolicy
	}
	if in.MutualAuthentication != nil {
		changed.view.MutualAuthentication = in.MutualAuthentication
	}
	if changed.view.Protocol == types.ProtocolEnumHttp || changed.view.Protocol == types.ProtocolEnumTcp {
		if in.Protocol != "" && in.Certificates == nil && in.SslPolicy == nil {
			changed.view.Certificates, changed.view.SslPolicy = nil, nil
		}
	}
	if err := s.checkListener(changed); err != nil {
		return nil, err
	}
	actions := l.defaultRule().actions
	if in.DefaultActions != nil || changed.view.Protocol != l.view.Protocol {
		given := actions
		if in.DefaultActions != nil {
			given = in.DefaultActions
		}
		if actions, err = s.acceptActions(changed, given, l.defaultRule()); err != nil {
			return nil, err
		}
	}
	if err := s.moveListener(l, changed); err != nil {
		return nil, err
	}
	l.defaultRule().actions = actions
	s.publish(l)
	s.cfg.Modified(l.arn(), echoActions(actions))
	return &elb.ModifyListenerOutput{Listeners: []types.Listener{l.describe()}}, nil
}

// moveListener gives a listener its changed view. Where the port changes the new
// socket is opened first and the old one closed only then; where only the protocol
// does, it is served on the socket there is. A new certificate is taken up as it is.
func (s *Sim) moveListener(l, changed *listener) error {
	samePort := *changed.view.Port == *l.view.Port
	if samePort && changed.view.Protocol == l.view.Protocol {
		l.view = changed.view
		l.server.certificate.Store(s.certificateOf(l))
		return nil
	}
	open := func() (net.Listener, error) { return s.bind(changed) }
	if samePort {
		open = l.server.share
	}
	socket, err := open()
	if err != nil {
		return err
	}
	l.server.close()
	l.view, l.asked = changed.view, changed.asked
	l.server = s.serve(l, socket)
	return nil
}

func (s *Sim) deleteListener(in *elb.DeleteListenerInput) (*elb.DeleteListenerOutput, error) {
	l, err := s.findListener(in.ListenerArn)
	if err != nil {
		return nil, err
	}
	l.lb.listeners = slices.DeleteFunc(l.lb.listeners, func(other *listener) bool { return other == l })
	s.forget(l)
	return &elb.DeleteListenerOutput{}, nil
}

// forget closes a listener that is no more, and takes the tags that it and its
// rules have.
func (s *Sim) forget(l *listener) {
	for _, r := range l.rules {
		delete(s.tags, r.arn)
	}
	delete(s.tags, l.arn())
	l.server.close()
}

// describeListenerCertificates gives the one certificate that a listener has.
func (s *Sim) describeListenerCertificates(in *elb.DescribeListenerCertificatesInput) (*elb.DescribeListenerCertificatesOutput, error) {
	l, err := s.findListener(in.ListenerArn)
	if err != nil {
		return nil, err
	}
	var certificates []types.Certificate
	for _, c := range l.view.Certificates {
		certificates = append(certificates, types.Certificate{CertificateArn: c.CertificateArn, IsDefault: new(true)})
	}
	certificates, next, err := page(certificates, func(c types.Certificate) string { return *c.CertificateArn }, in.Marker, in.PageSize, elbPages())
	if err != nil {
		return nil, err
	}
	return &elb.DescribeListenerCertificatesOutput{Certificates: certificates, NextMarker: next}, nil
}
