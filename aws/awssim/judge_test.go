package awssim

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// needPython skips a test where python3 lacks a module; in continuous
// integration it fails.
func needPython(t *testing.T, module, remedy string) {
	t.Helper()
	if err := exec.CommandContext(t.Context(), "python3", "-c", "import "+module).Run(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("python3 has no %s: %v", module, err)
		}
		t.Skipf("python3 has no %s (%v): %s", module, err, remedy)
	}
}

// judge is botocore, the AWS SDK for Python, in a process of its own. It builds
// requests and reads answers from AWS's own models and minds the case of names,
// which Go's XML decoder does not.
type judge struct {
	in  io.Writer
	out *bufio.Reader
}

// verdict is what botocore made of an answer.
type verdict struct {
	Output json.RawMessage
	Code   string
	Status int
}

// newJudge starts botocore against an endpoint. One process makes all calls, as
// it takes a second to start.
func newJudge(t *testing.T, endpoint string) *judge {
	t.Helper()
	needPython(t, "boto3", "pip install boto3")
	const script = `
import datetime, json, sys
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

def text(value):
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    raise TypeError(f"{value!r} has no JSON")

config = Config(parameter_validation=False, retries={"total_max_attempts": 1}, connect_timeout=10, read_timeout=30)
clients = {}
for line in sys.stdin:
    service, operation, parameters = json.loads(line)
    if service not in clients:
        clients[service] = boto3.client(service, config=config)
    try:
        output = clients[service]._make_api_call(operation, parameters)
        output.pop("ResponseMetadata", None)
        verdict = {"Output": output}
    except ClientError as error:
        verdict = {"Code": error.response["Error"]["Code"], "Status": error.response["ResponseMetadata"]["HTTPStatusCode"]}
    print(json.dumps(verdict, default=text), flush=True)
`
	command := exec.CommandContext(t.Context(), "python3", "-c", script)
	command.Stderr = t.Output()
	command.Env = awsEnvironment(endpoint)
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		// Ended by its input, or killed with the test's context.
		_ = command.Wait()
	})
	return &judge{in: in, out: bufio.NewReader(out)}
}

// awsEnvironment leads the AWS CLI and SDKs to an endpoint and nowhere else,
// whatever the environment of the test says.
func awsEnvironment(endpoint string) []string {
	own := slices.DeleteFunc(os.Environ(), func(variable string) bool { return strings.HasPrefix(variable, "AWS_") })
	return append(own, "AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=not-a-secret",
		"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1", "AWS_DEFAULT_OUTPUT=json", "AWS_PAGER=",
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "AWS_ENDPOINT_URL="+endpoint,
		"AWS_EC2_METADATA_DISABLED=true", "NO_PROXY=127.0.0.1")
}

// call has botocore make a call; the parameters are an SDK input of Go's.
func (j *judge) call(t *testing.T, service, operation string, input any) verdict {
	t.Helper()
	names := map[string]string{serviceELB: "elbv2"}
	if name, ok := names[service]; ok {
		service = name
	}
	line, err := json.Marshal([]any{service, operation, withoutNil(reflect.ValueOf(input))})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.in.Write(append(line, '\n')); err != nil {
		t.Fatalf("%s: botocore takes no more calls: %v", operation, err)
	}
	answer, err := j.out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("%s: botocore gave no answer: %v", operation, err)
	}
	var v verdict
	if err := json.Unmarshal(answer, &v); err != nil {
		t.Fatalf("%s: %v: %s", operation, err, answer)
	}
	return v
}

// withoutNil gives an SDK value as JSON takes it, without what is not set.
func withoutNil(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return withoutNil(v.Elem())
	case reflect.Struct:
		if at, ok := v.Interface().(time.Time); ok {
			return at
		}
		fields := map[string]any{}
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if !field.IsExported() || field.Name == "ResultMetadata" {
				continue
			}
			if value := withoutNil(v.Field(i)); value != nil && value != "" {
				fields[field.Name] = value
			}
		}
		return fields
	case reflect.Slice:
		if v.IsNil() {
			return nil
		}
		items := make([]any, v.Len())
		for i := range items {
			items[i] = withoutNil(v.Index(i))
		}
		return items
	case reflect.Map:
		if v.IsNil() {
			return nil
		}
		return v.Interface()
	case reflect.String:
		return v.String()
	default:
		return v.Interface()
	}
}

// everyOperation runs a test for each operation that there is.
func everyOperation(t *testing.T, test func(t *testing.T, service api, name string, op operation)) {
	for _, service := range new(Sim).operations() {
		for name, op := range service.operations {
			t.Run(service.service+"/"+name, func(t *testing.T) { test(t, service, name, op) })
		}
	}
}

// newer are fields that Go's SDK has and the oldest botocore that the tests are
// run with has not.
func newer(in reflect.Type, field string) bool {
	return slices.Contains([]string{
		"SourceIpConditionConfig.IpAddressType", "InstancesDistribution.DistributionSegments", "AutoScalingGroup.Operator",
	}, in.Name()+"."+field)
}

// complete gives a value of a type with every field in it set, each to another
// value.
func complete(t reflect.Type, n *int) reflect.Value {
	*n++
	v := reflect.New(t).Elem()
	switch t.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		v.Elem().Set(complete(t.Elem(), n))
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return reflect.ValueOf(time.Unix(1_800_000_000+int64(*n), 0).UTC())
		}
		for i := range t.NumField() {
			if field := t.Field(i); field.IsExported() && field.Name != "ResultMetadata" && !newer(t, field.Name) {
				v.Field(i).Set(complete(field.Type, n))
			}
		}
	case reflect.Slice:
		v.Set(reflect.Append(v, complete(t.Elem(), n), complete(t.Elem(), n)))
	case reflect.Map:
		v.Set(reflect.MakeMap(t))
		v.SetMapIndex(complete(t.Key(), n), complete(t.Elem(), n))
	case reflect.String:
		v.SetString(fmt.Sprintf("<%d> & é", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(float64(*n) + 0.5)
	default:
		v.SetInt(int64(*n))
	}
	return v
}

// Of an answer with everything in it that the SDK knows, botocore reads
// everything: no name is spelled wrong, none left out.
func TestBotocoreReadsAllThatAnAnswerCanHave(t *testing.T) {
	var answer []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(answer) }))
	defer server.Close()
	j := newJudge(t, server.URL)
	everyOperation(t, func(t *testing.T, service api, name string, op operation) {
		want := complete(op.output.Elem(), new(int)).Addr().Interface()
		answer = service.response(name, service.namespace, "id", want)
		got := j.call(t, service.service, name, struct{}{})
		raw, err := json.Marshal(withoutNil(reflect.ValueOf(want)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(filled(t, raw), filled(t, got.Output)); diff != "" {
			t.Errorf("error %q; the answer was (-) and was read as (+): %s", got.Code, diff)
		}
	})
}

// Of a request with everything in it that the SDK knows, as botocore sends it,
// everything is read.
func TestAllThatBotocoreSendsIsRead(t *testing.T) {
	var (
		form   url.Values
		answer []byte
	)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		form = r.PostForm
		_, _ = w.Write(answer)
	}))
	defer server.Close()
	j := newJudge(t, server.URL)
	everyOperation(t, func(t *testing.T, service api, name string, op operation) {
		want := complete(op.input.Elem(), new(int)).Addr().Interface()
		answer = service.response(name, service.namespace, "id", nil)
		j.call(t, service.service, name, want)
		params, err := parseParams(form)
		if err != nil {
			t.Fatal(err)
		}
		got := reflect.New(op.input.Elem()).Interface()
		if err := service.decode(params, got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(withoutNil(reflect.ValueOf(want)), withoutNil(reflect.ValueOf(got))); diff != "" {
			t.Errorf("sent (-) and read (+): %s", diff)
		}
		if got := form.Get("Version"); new(Sim).operations()[got].service != service.service {
			t.Errorf("sent for version %s", got)
		}
	})
}

// recorder serves a Sim and keeps its last answer.
type recorder struct {
	sim    *Sim
	status int
	body   bytes.Buffer
	seen   []string
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	answer := httptest.NewRecorder()
	r.sim.Handler().ServeHTTP(answer, request)
	r.status = answer.Code
	r.body.Reset()
	r.body.Write(answer.Body.Bytes())
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(r.body.Bytes())
}

// RoundTrip gives the kept answer once more, to the SDK of Go.
func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: r.status, Header: http.Header{"Content-Type": {"text/xml"}}, Request: request,
		Body: io.NopCloser(bytes.NewReader(r.body.Bytes())),
	}, nil
}

// readBySDK has the SDK of Go read the kept answer.
func (r *recorder) readBySDK(ctx context.Context, clients map[string]any, service, operation string, input any) (any, error) {
	method := reflect.ValueOf(clients[service]).MethodByName(operation)
	out := method.Call([]reflect.Value{reflect.ValueOf(ctx), reflect.ValueOf(input)})
	r.seen = append(r.seen, service+"/"+operation)
	err, _ := out[1].Interface().(error)
	return out[0].Interface(), err
}

func (r *recorder) unseen() []string {
	var names []string
	for _, service := range r.sim.operations() {
		for name := range service.operations {
			if !slices.Contains(r.seen, service.service+"/"+name) {
				names = append(names, service.service+"/"+name)
			}
		}
	}
	slices.Sort(names)
	return names
}
