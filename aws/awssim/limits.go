package awssim

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// The default quotas of an account that the simulator holds callers to.
const (
	maxRules           = 100 // per load balancer, default rules not counted
	maxConditionValues = 5   // per rule
	maxWildcards       = 5   // per rule
	maxGroupsPerAction = 5
	maxGroupsPerLB     = 100
	maxListeners       = 50 // per load balancer
	maxTargets         = 1000
	maxTags            = 50 // per resource
	maxTagARNs         = 20 // per DescribeTags
	maxPriority        = 50000
	maxWeight          = 999
	maxStickySeconds   = 604800
)

// accountLimits is what DescribeAccountLimits reports. Those with a constant
// above are enforced.
func accountLimits() []types.Limit {
	limit := func(name string, n int) types.Limit {
		return types.Limit{Name: new(name), Max: new(strconv.Itoa(n))}
	}
	return []types.Limit{
		limit("application-load-balancers", 50),
		limit("certificates-per-application-load-balancer", 25),
		limit("certificates-per-network-load-balancer", 25),
		limit("condition-values-per-alb-rule", maxConditionValues),
		limit("condition-wildcards-per-alb-rule", maxWildcards),
		limit("listeners-per-application-load-balancer", maxListeners),
		limit("listeners-per-network-load-balancer", maxListeners),
		limit("network-load-balancers", 50),
		limit("rules-per-application-load-balancer", maxRules),
		limit("target-groups", 3000),
		limit("target-groups-per-action-on-application-load-balancer", maxGroupsPerAction),
		limit("target-groups-per-action-on-network-load-balancer", maxGroupsPerAction),
		limit("target-groups-per-application-load-balancer", maxGroupsPerLB),
		limit("targets-per-application-load-balancer", maxTargets),
		limit("targets-per-network-load-balancer", 3000),
	}
}

func limitName(l types.Limit) string { return aws.ToString(l.Name) }

// page cuts out the part of a list that a marker and a page size (1 to 400,
// 400 if not given) ask for, and gives the marker of the next one, if any. A
// marker names the last item given, so that a page neither repeats nor skips
// anything when items before it come or go; it also carries the position, in
// case that very item has gone.
func page[T any](items []T, key func(T) string, marker *string, size *int32) ([]T, *string, error) {
	const most = 400
	count := most
	if size != nil {
		count = int(*size)
		if count < 1 || count > most {
			return nil, nil, invalid("The page size must be between 1 and %d", most)
		}
	}
	start := 0
	if marker != nil {
		raw, err := base64.RawURLEncoding.DecodeString(*marker)
		position, last, found := strings.Cut(string(raw), " ")
		n, errNumber := strconv.Atoi(position)
		if err != nil || errNumber != nil || !found || n < 0 {
			return nil, nil, invalid("The marker is not valid")
		}
		start = min(n, len(items))
		if i := slices.IndexFunc(items, func(item T) bool { return key(item) == last }); i >= 0 {
			start = i + 1
		}
	}
	end := min(start+count, len(items))
	// A list that is empty is written as such, not left out.
	out := append([]T{}, items[start:end]...)
	if end == len(items) {
		return out, nil, nil
	}
	next := base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(end) + " " + key(items[end-1])))
	return out, &next, nil
}
