package aws

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/istio-cutover/cutover/model"
)

const (
	notAWS            = "the answer is not one of AWS's: "
	remedyLogin       = "log in to AWS again (aws sso login, or renew the keys); cutover goes on by itself"
	remedyThrottled   = "other tools share the account's request quota; wait a little and try again"
	remedyUnreachable = "check the region, the network, the proxy and AWS_ENDPOINT_URL"
)

// classify turns a call's error into the error that operators read. last is
// what became of the attempt before, nil when there was none.
func classify(operation, object string, err, last error) *model.Error {
	e := &model.Error{Kind: model.KindInternal, Operation: operation, Object: object, Err: err}
	if errors.Is(err, context.Canceled) {
		e.Message = "interrupted"
		return e
	}
	// A call that ran out of time between two attempts failed for the reason
	// of the earlier one.
	var api smithy.APIError
	waited := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errNoToken)
	if waited && last != nil && !errors.As(err, &api) {
		e.Err = fmt.Errorf("%w (gave up: %w)", last, err)
		err = last
	}
	var noCredentials *credentialsError
	var deserialization *smithy.DeserializationError
	var network net.Error
	var response *smithyhttp.ResponseError
	var send *smithyhttp.RequestSendError
	switch {
	case errors.As(err, &noCredentials):
		e.Kind, e.Message, e.Remedy = model.KindAccess, noCredentials.Error(), remedyLogin
	case errors.As(err, &api):
		describe(e, api, err)
		e.Refused = e.Refused && last == nil // An earlier attempt may have got through.
	case errors.Is(err, errNoToken):
		e.Kind, e.Message, e.Remedy = model.KindThrottled, errNoToken.Error(), remedyThrottled
	case errors.As(err, &deserialization):
		e.Kind, e.Message, e.Remedy = model.KindUnreachable, notAWS+deserialization.Err.Error(), remedyUnreachable
	case errors.Is(err, context.DeadlineExceeded):
		e.Kind, e.Message, e.Remedy = model.KindUnreachable, "no answer in time", remedyUnreachable
	case errors.As(err, &send):
		e.Kind, e.Message, e.Remedy = model.KindUnreachable, send.Err.Error(), remedyUnreachable
	case errors.As(err, &response):
		e.Kind, e.Message, e.Remedy = model.KindUnreachable, notAWS+response.Err.Error(), remedyUnreachable
	case errors.As(err, &network):
		e.Kind, e.Message, e.Remedy = model.KindUnreachable, network.Error(), remedyUnreachable
	default:
		e.Message = err.Error()
	}
	e.Message = model.Line(e.Message)
	return e
}

// describe fills in what AWS itself answered.
func describe(e *model.Error, api smithy.APIError, err error) {
	code := api.ErrorCode()
	e.Message = code
	if message := api.ErrorMessage(); message != "" {
		e.Message += ": " + message
	}
	status := 0
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) {
		status = response.HTTPStatusCode()
	}
	// Of a request that took too long nobody knows what became of it.
	e.Refused = status >= 400 && status < 500 && status != http.StatusRequestTimeout
	_, throttled := retry.DefaultThrottleErrorCodes[code]
	switch {
	case throttled || status == http.StatusTooManyRequests:
		e.Kind, e.Remedy = model.KindThrottled, remedyThrottled
	case refused(code):
		e.Kind, e.Remedy = model.KindAccess, remedyLogin
	case code == "RequestExpired", code == "RequestTimeTooSkewed", code == "SignatureDoesNotMatch":
		e.Kind, e.Remedy = model.KindAccess, "check this machine's clock and the secret key"
	case strings.HasPrefix(code, "AccessDenied"), strings.HasPrefix(code, "Unauthorized"), code == "OptInRequired", status == 403:
		e.Kind = model.KindAccess
		e.Remedy = "ask for the IAM permission " + permission(e.Operation)
	case strings.HasSuffix(code, "NotFound"):
		e.Kind = model.KindNotFound
	case status >= 500:
		e.Kind, e.Remedy = model.KindUnreachable, "AWS has trouble of its own; try again"
	}
}

// refused reports codes that mean that the credentials themselves are not
// accepted, so that only other credentials help.
func refused(code string) bool {
	switch code {
	case "ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException",
		"AuthFailure", "InvalidAccessKeyId", "MissingAuthenticationToken", "TokenRefreshRequired":
		return true
	default:
		return false
	}
}

// unusable reports whether an error of classify means that other credentials
// are needed.
func unusable(err error) bool {
	var api smithy.APIError
	var none *credentialsError
	return errors.As(err, &none) || errors.As(err, &api) && refused(api.ErrorCode())
}

func permission(operation string) string {
	if operation == "GetCallerIdentity" {
		return "sts:" + operation
	}
	return "elasticloadbalancing:" + operation
}
