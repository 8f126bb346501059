package sandbox

import (
	"fmt"
	"path/filepath"
	"strings"
)

// CAFile is the PEM file of the authority behind the load balancers'
// certificates and those of the passthrough applications.
func (s *Sandbox) CAFile() string { return filepath.Join(s.dir, "ca.pem") }

// Kubeconfig is the file that reaches the Kubernetes API as an operator who may do everything.
func (s *Sandbox) Kubeconfig() string { return filepath.Join(s.dir, "kubeconfig") }

// AWSEndpoint is the URL of the AWS API, all services.
func (s *Sandbox) AWSEndpoint() string {
	return fmt.Sprintf("http://%s:%d", s.net.address(hostAPIs), awsPort)
}

// ControlURL is where a [Control] reaches the sandbox. Whoever knows it may
// switch faults.
func (s *Sandbox) ControlURL() string { return s.control }

// Env is what a program must find in its environment to live in the sandbox, as
// KEY=value. The endpoints of single services are named too, as one that the
// caller's environment has would lead out of the sandbox; the AWS CLI wants a
// default Region.
func (s *Sandbox) Env() []string {
	return []string{
		"KUBECONFIG=" + s.Kubeconfig(),
		"AWS_ENDPOINT_URL=" + s.AWSEndpoint(),
		"AWS_ENDPOINT_URL_AUTO_SCALING=" + s.AWSEndpoint(),
		"AWS_ENDPOINT_URL_EC2=" + s.AWSEndpoint(),
		"AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2=" + s.AWSEndpoint(),
		"AWS_ENDPOINT_URL_STS=" + s.AWSEndpoint(),
		"AWS_REGION=" + region,
		"AWS_DEFAULT_REGION=" + region,
		"AWS_ACCESS_KEY_ID=sandbox",
		"AWS_SECRET_ACCESS_KEY=sandbox",
		"AWS_EC2_METADATA_DISABLED=true",
		"CUTOVER_SANDBOX_CA=" + s.CAFile(),
		"CUTOVER_SANDBOX_CONTROL=" + s.ControlURL(),
		"XDG_STATE_HOME=" + s.stateDir,
	}
}

// Exports is Env as lines that a POSIX shell can read.
func (s *Sandbox) Exports() string {
	var b strings.Builder
	for _, variable := range s.Env() {
		key, value, _ := strings.Cut(variable, "=")
		fmt.Fprintf(&b, "export %s='%s'\n", key, strings.ReplaceAll(value, "'", `'\''`))
	}
	return b.String()
}
