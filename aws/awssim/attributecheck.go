package awssim

import (
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// checkAttribute holds one attribute of a group to the values that AWS takes.
func checkAttribute(protocol types.ProtocolEnum, key, value string) error {
	var enum []string
	switch key {
	case "load_balancing.cross_zone.enabled":
		enum = []string{"true", "false", "use_load_balancer_configuration"}
	case attrStickyType:
		enum = []string{"source_ip"}
		if protocol == types.ProtocolEnumHttp || protocol == types.ProtocolEnumHttps {
			enum = []string{"lb_cookie", "app_cookie"}
		}
	case attrAlgorithm:
		enum = []string{"round_robin", "least_outstanding_requests", "weighted_random"}
	case attrAnomaly:
		enum = []string{"on", "off"}
	case attrAppCookie:
		return checkCookieName(value)
	}
	if enum == nil && strings.HasSuffix(key, ".enabled") {
		enum = []string{"true", "false"}
	}
	if enum != nil {
		if !slices.Contains(enum, value) {
			return invalid("The value '%s' of attribute '%s' must be one of '%v'", shorten(value), key, enum)
		}
		return nil
	}
	return checkNumber(key, value)
}

// checkNumber holds durations, counts and percentages to their ranges.
func checkNumber(key, value string) error {
	low, high, off := 0, 3600, false
	switch {
	case strings.HasSuffix(key, "minimum_healthy_targets.count"):
		low, high, off = 1, maxTargets, strings.Contains(key, ".dns_failover.")
	case strings.HasSuffix(key, "minimum_healthy_targets.percentage"):
		low, high, off = 1, 100, true
	case strings.HasPrefix(key, "stickiness."):
		low, high = 1, maxStickySeconds
	case key == attrSlowStart && value != "0":
		low, high = 30, 900
	case key == attrUnhealthyInterval:
		high = 360000
	}
	n, err := strconv.Atoi(value)
	if (err != nil || n < low || n > high) && (!off || value != "off") {
		return invalid("The value '%s' of attribute '%s' must be between %d and %d", shorten(value), key, low, high)
	}
	return nil
}

func checkCookieName(name string) error {
	for _, reserved := range []string{"AWSALB", "AWSALBAPP", "AWSALBTG"} {
		if strings.HasPrefix(name, reserved) {
			return invalid("The cookie name '%s' begins with '%s', which is reserved", shorten(name), reserved)
		}
	}
	return nil
}

// checkTogether holds the attributes of a group to what goes together.
func checkTogether(attributes map[string]string) error {
	_, application := attributes[attrAlgorithm]
	switch {
	case !application && attributes[attrEndUnhealthy] == "true" && attributes[attrUnhealthyInterval] != "0":
		return apiError("InvalidConfigurationRequest", "You can set '%s' only where '%s' is false", attrUnhealthyInterval, attrEndUnhealthy)
	case !application:
		return nil
	case attributes[attrSlowStart] != "0" && attributes[attrAlgorithm] != "round_robin":
		return apiError("InvalidConfigurationRequest", "Slow start mode goes with the routing algorithm 'round_robin' only")
	case attributes[attrAnomaly] == "on" && attributes[attrAlgorithm] != "weighted_random":
		return apiError("InvalidConfigurationRequest", "Anomaly mitigation goes with the routing algorithm 'weighted_random' only")
	case attributes[attrSticky] == "true" && attributes[attrStickyType] == "app_cookie" && attributes[attrAppCookie] == "":
		return apiError("InvalidConfigurationRequest", "You must specify the name of the application's cookie")
	}
	return nil
}
