package mototest

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestStart(t *testing.T) {
	server := Start(t)
	create := url.Values{"Action": {"CreateTargetGroup"}, "Version": {"2015-12-01"}, "Name": {"left"}, "TargetType": {"lambda"}}
	call(t, server, create)
	describe := url.Values{"Action": {"DescribeTargetGroups"}, "Version": {"2015-12-01"}}
	if answer := call(t, server, describe); !strings.Contains(answer, "<TargetGroupName>left</TargetGroupName>") {
		t.Errorf("the created target group is missing: %s", answer)
	}
	server.Reset()
	if answer := call(t, server, describe); strings.Contains(answer, "<TargetGroupName>") {
		t.Errorf("a target group outlived the reset: %s", answer)
	}
}

// call sends one ELBv2 request. moto reads the service and the region from the
// signature's scope and does not check the signature.
func call(t *testing.T, server *Server, form url.Values) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/elasticloadbalancing/aws4_request, SignedHeaders=host, Signature=none")
	response, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s: %s", form.Get("Action"), response.Status, body)
	}
	return string(body)
}
