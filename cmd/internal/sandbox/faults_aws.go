package sandbox

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/istio-cutover/cutover/aws/awssim"
)

const (
	callsArgument = "CALLS[:TIMES]"
	delayArgument = "DURATION"
	limitArgument = "NAME=N"
)

// awsFaults are those of the AWS API.
func awsFaults() []fault {
	calls := func(name, does, standard, answer string, kind awssim.FaultKind) fault {
		return fault{name: name, does: does, argument: callsArgument, standard: standard, on: func(_ context.Context, s *Sandbox, argument string) (*lasting, error) {
			which, times, err := parseCalls(argument)
			if err != nil {
				return nil, err
			}
			return s.injectAWS(awssim.Fault{Kind: kind, Calls: which, Times: times}, calledOf(which, times)+" "+answer)
		}}
	}
	return []fault{
		calls("aws-throttle", "calls are throttled, as when other tools use up the account's quota", "all", "answered Throttling", awssim.Throttled),
		calls("aws-5xx", "AWS has trouble of its own", "all", "answered InternalFailure (500) and ServiceUnavailable (503) by turns", awssim.Failing),
		calls("aws-denied", "the IAM permission is missing", "all", "answered AccessDenied", awssim.Denied),
		{
			name: "aws-expired", does: "the session's credentials have run out",
			on: func(_ context.Context, s *Sandbox, _ string) (*lasting, error) {
				return s.injectAWS(awssim.Fault{Kind: awssim.Expired, Calls: awssim.AllCalls}, "all AWS calls are answered ExpiredToken")
			},
		},
		calls("aws-timeout-before", "calls are not carried out, and no answer comes", "all", "not carried out and never answered", awssim.Unheard),
		calls("aws-timeout-after", "calls are carried out, and no answer comes", "writes", "carried out and never answered", awssim.Unanswered),
		{
			name: "aws-slow", does: "answers come late", argument: delayArgument, standard: "2s",
			on: func(_ context.Context, s *Sandbox, argument string) (*lasting, error) {
				delay, err := parseDelay(argument)
				if err != nil {
					return nil, err
				}
				return s.injectAWS(awssim.Fault{Kind: awssim.Slow, Calls: awssim.AllCalls, Delay: delay}, fmt.Sprintf("all AWS calls are answered %s late", delay))
			},
		},
		{name: "aws-buckets", does: "calls are held to AWS's request quotas, as an account's are", on: throttleAWS},
		{
			name: "aws-limit", does: "a quota of the account is another", argument: limitArgument,
			standard: "rules-per-application-load-balancer=1", on: limitAWS,
		},
	}
}

func throttleAWS(_ context.Context, s *Sandbox, _ string) (*lasting, error) {
	quotas := awssim.DefaultThrottle()
	s.AWS.SetThrottle(quotas)
	return &lasting{
		now: fmt.Sprintf("each AWS service takes %s that read and %s that write; what is beyond is answered Throttling", quotas.Reads, quotas.Writes),
		off: func(context.Context) (string, error) {
			s.AWS.SetThrottle(awssim.Throttle{})
			return "", nil
		},
	}, nil
}

func limitAWS(_ context.Context, s *Sandbox, argument string) (*lasting, error) {
	name, number, _ := strings.Cut(argument, "=")
	most, err := strconv.Atoi(number)
	if err != nil || most < 0 {
		return nil, errArgument(fmt.Sprintf("%q is no quota, such as target-groups=10", argument))
	}
	before, err := s.AWS.SetLimit(name, most)
	if err != nil {
		return nil, errArgument(err.Error())
	}
	return &lasting{
		now: fmt.Sprintf("the account's quota %s is %d in place of %d; what is there already stays", name, most, before),
		off: func(context.Context) (string, error) {
			_, err := s.AWS.SetLimit(name, before)
			return "", err
		},
	}, nil
}

func (s *Sandbox) injectAWS(f awssim.Fault, now string) (*lasting, error) {
	injected, err := s.AWS.Inject(f)
	if err != nil {
		return nil, errArgument(err.Error() + ": all, reads, writes, or the name of an operation such as ModifyRule")
	}
	return &lasting{
		now: now, over: injected.Over,
		off: func(context.Context) (string, error) {
			injected.Remove()
			return "", nil
		},
	}, nil
}

// parseCalls takes "ModifyRule:2" apart; without a number all calls are meant.
func parseCalls(argument string) (which string, times int, err error) {
	which, number, limited := strings.Cut(argument, ":")
	if !limited {
		return which, 0, nil
	}
	if times, err = strconv.Atoi(number); err != nil || times < 1 {
		return "", 0, errArgument(fmt.Sprintf("%q is no number of calls", number))
	}
	return which, times, nil
}

// calledOf is the subject of a sentence about calls, with its verb.
func calledOf(which string, times int) string {
	calls := map[string]string{awssim.AllCalls: "AWS calls", awssim.ReadCalls: "AWS calls that only read", awssim.WriteCalls: "AWS calls that write"}[which]
	if calls == "" {
		calls = "calls of " + which
	}
	switch times {
	case 0:
		return "all " + calls + " are"
	case 1:
		return "the next of all " + calls + " is"
	default:
		return fmt.Sprintf("the next %d ", times) + calls + " are"
	}
}

func parseDelay(argument string) (time.Duration, error) {
	delay, err := time.ParseDuration(argument)
	if err != nil || delay <= 0 {
		return 0, errArgument(fmt.Sprintf("%q is no duration, such as 500ms or 2s", argument))
	}
	return delay, nil
}
