package awssim

import "net/http"

// Serving gives the target groups, by ARN, to which a listener's data plane
// would send a request that came now, whatever the API says already. A network
// load balancer looks at no request; it may be nil then. Errors are those of
// DescribeListeners.
func (s *Sim) Serving(listenerARN string, r *http.Request) ([]string, error) {
	s.mu.Lock()
	l, err := s.findListener(&listenerARN)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	p := l.current(s.now())
	rule := &p.rules[len(p.rules)-1]
	if r != nil {
		rule = p.find(newView(r))
	}
	var arns []string
	for _, next := range rule.steps {
		if next.forward == nil {
			continue
		}
		for _, share := range next.forward.shares {
			if share.weight > 0 {
				arns = append(arns, share.id)
			}
		}
	}
	return arns, nil
}
