package sandbox

import (
	"context"
	"fmt"

	"github.com/istio-cutover/cutover/kube/kubesim"
)

// kubeFaults are those of the Kubernetes API.
func kubeFaults() []fault {
	return []fault{
		{name: "kube-away", does: "the API server is away: connections are refused, watches are cut", on: kubeAway},
		{
			name: "kube-watch-broken", does: "watches break off at once, lists work", argument: "end|error|gone", standard: "end",
			on: func(_ context.Context, s *Sandbox, argument string) (*lasting, error) {
				switch argument {
				case "end":
					return s.injectKube(kubesim.Fault{Kind: kubesim.WatchEnds}, "watches end as soon as they have begun")
				case "error":
					return s.injectKube(kubesim.Fault{Kind: kubesim.WatchFails}, "watches are answered with an internal error (500)")
				case "gone":
					return s.injectKube(kubesim.Fault{Kind: kubesim.WatchGone}, "watches are told that they are too far back (410)")
				default:
					return nil, errArgument(fmt.Sprintf("%q is no way in which a watch breaks", argument))
				}
			},
		},
		{
			name: "kube-expired", does: "the credentials for the cluster have run out",
			on: func(_ context.Context, s *Sandbox, _ string) (*lasting, error) {
				return s.injectKube(kubesim.Fault{Kind: kubesim.Unauthorized}, "the Kubernetes API does not accept the token (401)")
			},
		},
		{
			name: "kube-forbidden", does: "the permission for a resource is missing", argument: "RESOURCE", standard: "secrets",
			on: func(_ context.Context, s *Sandbox, argument string) (*lasting, error) {
				return s.injectKube(kubesim.Fault{Kind: kubesim.Forbidden, Resource: argument}, "whatever is asked of "+argument+" is forbidden (403)")
			},
		},
		{
			name: "kube-slow", does: "the API server answers late", argument: delayArgument, standard: "2s",
			on: func(_ context.Context, s *Sandbox, argument string) (*lasting, error) {
				delay, err := parseDelay(argument)
				if err != nil {
					return nil, err
				}
				return s.injectKube(kubesim.Fault{Kind: kubesim.Slow, Delay: delay}, fmt.Sprintf("every request to the Kubernetes API is answered %s late", delay))
			},
		},
	}
}

func kubeAway(_ context.Context, s *Sandbox, _ string) (*lasting, error) {
	if err := s.api.stop(); err != nil {
		return nil, err
	}
	return &lasting{
		now: "the Kubernetes API refuses connections",
		off: func(ctx context.Context) (string, error) { return "", s.api.restart(ctx, s.net) },
	}, nil
}

func (s *Sandbox) injectKube(f kubesim.Fault, now string) (*lasting, error) {
	injected, err := s.Kube.Inject(f)
	if err != nil {
		return nil, errArgument(err.Error() + ": the plural, as in RBAC, such as secrets or pods/log")
	}
	return &lasting{now: now, off: func(context.Context) (string, error) {
		injected.Remove()
		return "", nil
	}}, nil
}
