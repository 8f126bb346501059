package sandbox

import "context"

// logFaults are those of what gateways show of themselves. That their counters
// cannot be read is "kube-forbidden pods/proxy".
func logFaults() []fault {
	return []fault{{
		name: "no-access-log", does: "the gateways write no access logs, as the mesh configuration names no file",
		on: func(_ context.Context, s *Sandbox, _ string) (*lasting, error) {
			if err := s.SetAccessLog(false); err != nil {
				return nil, err
			}
			return &lasting{
				now: "requests leave no line in the gateway pods' logs",
				off: func(context.Context) (string, error) { return "", s.SetAccessLog(true) },
			}, nil
		},
	}}
}
