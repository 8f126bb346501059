package kube

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"syscall"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/istio-cutover/cutover/model"
)

func TestClassify(t *testing.T) {
	c := &Client{}
	pods := schema.GroupResource{Resource: "pods"}
	request := func(err error) error { return &url.Error{Op: "Get", URL: "https://k/api", Err: err} }
	known := &model.Error{Kind: model.KindDrift, Operation: "else"}
	for _, test := range []struct {
		name    string
		err     error
		kind    model.Kind
		message string
	}{
		{"forbidden", apierrors.NewForbidden(pods, "", errors.New("\x1b[31mUser cannot")), model.KindAccess, "User cannot"},
		{"unauthorized", apierrors.NewUnauthorized("Unauthorized"), model.KindAccess, "does not accept the credentials"},
		{"no such object", apierrors.NewNotFound(pods, "x"), model.KindNotFound, `pods "x" not found`},
		{"no such resource", apierrors.NewGenericServerResponse(404, "list", pods, "", "", 0, true), model.KindNotFound, "does not serve this resource"},
		{"too many", apierrors.NewTooManyRequests("slow", 1), model.KindThrottled, "slow"},
		{"trouble", apierrors.NewInternalError(errors.New("etcd")), model.KindUnreachable, "etcd"},
		{"refused", request(syscall.ECONNREFUSED), model.KindUnreachable, "connection refused"},
		{"late", request(context.DeadlineExceeded), model.KindUnreachable, "no answer in time"},
		{"interrupted", request(context.Canceled), model.KindInternal, "interrupted"},
		{"plugin", request(errors.New("getting credentials: exec: executable aws not found")), model.KindAccess, "executable aws not found"},
		{"known", fmt.Errorf("wrapped: %w", known), model.KindDrift, ""},
		{"else", errors.New("odd\nthing"), model.KindInternal, "odd thing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := c.classify("list pods", "", test.err)
			if got.Kind != test.kind || !strings.Contains(got.Message, test.message) || strings.ContainsAny(got.Message, "\x1b\n") {
				t.Errorf("got %+v", got)
			}
			if !errors.Is(got, test.err) && test.name != "known" {
				t.Errorf("%v no longer holds its cause", got)
			}
		})
	}
}
