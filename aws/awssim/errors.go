package awssim

import (
	"fmt"
	"net/http"

	"github.com/aws/smithy-go"
)

// apiError makes an error with one of AWS's codes.
func apiError(code, format string, args ...any) *smithy.GenericAPIError {
	fault := smithy.FaultClient
	if statusOf(code) >= http.StatusInternalServerError {
		fault = smithy.FaultServer
	}
	return &smithy.GenericAPIError{Code: code, Message: fmt.Sprintf(format, args...), Fault: fault}
}

// invalid makes a ValidationError.
func invalid(format string, args ...any) error {
	return apiError("ValidationError", format, args...)
}

// badAction makes the error of an action that AWS would not accept.
func badAction(format string, args ...any) error {
	return apiError("InvalidLoadBalancerAction", format, args...)
}

// statusOf gives the HTTP status that belongs to an error code; nearly all
// are 400.
func statusOf(code string) int {
	switch code {
	case "AuthFailure":
		return http.StatusUnauthorized
	case "MissingAuthenticationToken", "SignatureDoesNotMatch", "AccessDenied", "UnauthorizedOperation", "ExpiredToken":
		return http.StatusForbidden
	case "DryRunOperation":
		return http.StatusPreconditionFailed
	case "InternalFailure", "InternalError", "HealthUnavailable":
		return http.StatusInternalServerError
	case "ServiceUnavailable", "Unavailable", "RequestLimitExceeded":
		return http.StatusServiceUnavailable
	default:
		return http.StatusBadRequest
	}
}
