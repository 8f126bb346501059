package kube

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/istio-cutover/cutover/model"
)

const (
	remedyLogin       = "log in to the cluster again, or renew the kubeconfig; cutover goes on by itself"
	remedyUnreachable = "check the kubeconfig's server, the network, VPN and proxy"
	remedyThrottled   = "the API server is busy; wait a little and try again"
	remedyIstio       = "install Istio's custom resource definitions, or check that --context names the right cluster"
)

// classify turns a call's error into the error that operators read.
func (c *Client) classify(operation, object string, err error) *model.Error {
	var known *model.Error
	if errors.As(err, &known) {
		return known
	}
	e := &model.Error{Kind: model.KindInternal, Operation: operation, Object: object, Err: err}
	var status apierrors.APIStatus
	var network net.Error
	var request *url.Error
	switch {
	case errors.Is(err, context.Canceled):
		e.Message = "interrupted"
	case errors.As(err, &status):
		describe(e, status)
	case strings.Contains(err.Error(), "getting credentials: "):
		// client-go has no type for it.
		e.Kind, e.Remedy = model.KindAccess, remedyLogin
		_, e.Message, _ = strings.Cut(err.Error(), "getting credentials: ")
		if said := c.plugin.tail(); said != "" {
			e.Message += ": " + said
		}
	case errors.Is(err, context.DeadlineExceeded):
		e.Kind, e.Message, e.Remedy = model.KindUnreachable, "no answer in time", remedyUnreachable
		if said := c.plugin.tail(); said != "" {
			e.Message += "; the credential plugin has said: " + said
		}
	case errors.As(err, &request):
		e.Kind, e.Message, e.Remedy = model.KindUnreachable, request.Err.Error(), remedyUnreachable
	case errors.As(err, &network):
		e.Kind, e.Message, e.Remedy = model.KindUnreachable, network.Error(), remedyUnreachable
	default:
		e.Message = err.Error()
	}
	e.Message = model.Line(e.Message)
	return e
}

// describe fills in what the API server itself answered.
func describe(e *model.Error, status apierrors.APIStatus) {
	answer := status.Status()
	e.Message = answer.Message
	switch code := int(answer.Code); {
	case code == http.StatusUnauthorized:
		e.Kind, e.Message, e.Remedy = model.KindAccess, "the API server does not accept the credentials", remedyLogin
	case code == http.StatusForbidden:
		e.Kind, e.Remedy = model.KindAccess, "ask for the permission to "+e.Operation
	case code == http.StatusNotFound:
		e.Kind = model.KindNotFound
		if answer.Details == nil || answer.Details.Name == "" {
			e.Message = "the API server does not serve this resource"
			if strings.HasSuffix(e.Operation, " "+string(model.ResourceGateways)) || strings.HasSuffix(e.Operation, " "+string(model.ResourceVirtualServices)) {
				e.Message, e.Remedy = "the cluster does not serve "+istioGroup+": Istio's definitions are not installed", remedyIstio
			}
		}
	case code == http.StatusTooManyRequests:
		e.Kind, e.Remedy = model.KindThrottled, remedyThrottled
	case code >= http.StatusInternalServerError:
		e.Kind, e.Remedy = model.KindUnreachable, "the API server has trouble of its own; try again"
	}
}

// statusCode returns the HTTP status that the API server answered with, 0 for
// no answer.
func statusCode(err error) int {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return int(status.Status().Code)
	}
	return 0
}
