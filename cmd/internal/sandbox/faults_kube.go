package sandbox

import "context"

// kubeFaults are those of the Kubernetes API.
func kubeFaults() []fault {
	return []fault{
		{name: "kube-away", does: "the API server is away: connections are refused, watches are cut", on: kubeAway},
	}
}

func kubeAway(_ context.Context, s *Sandbox, _ string) (*lasting, error) {
	if err := s.api.stop(); err != nil {
		return nil, err
	}
	return &lasting{
		now: "the Kubernetes API refuses connections",
		off: func(ctx context.Context) error { return s.api.restart(ctx, s.net) },
	}, nil
}
