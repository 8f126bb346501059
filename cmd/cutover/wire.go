package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/istio-cutover/cutover/aws"
	"github.com/istio-cutover/cutover/kube"
	"github.com/istio-cutover/cutover/model"
	"github.com/istio-cutover/cutover/model/journal"
	"github.com/istio-cutover/cutover/model/run"
	"github.com/istio-cutover/cutover/probes"
)

var _ run.Port = (*aws.Client)(nil)

// wired is the adapters of one invocation.
type wired struct {
	globals *globals
	kube    *kube.Client
	aws     *aws.Client
	prober  probes.Prober
	config  model.Config
	state   string // state directory
	log     *slog.Logger
	close   func()
}

// call is a call to AWS or Kubernetes, for the command log.
type call struct {
	began time.Time
	line  string
	took  time.Duration
	err   error
}

// wire builds the adapters; nothing else does. onCall may be nil.
func (g *globals) wire(ctx context.Context, onCall func(call)) (*wired, error) {
	w := &wired{globals: g, close: func() {}}
	if err := w.build(ctx, onCall); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *wired) build(ctx context.Context, onCall func(call)) error {
	g := w.globals
	var err error
	if w.state, err = g.state(); err != nil {
		return err
	}
	var closeLog func()
	if w.log, closeLog, err = g.logger(); err != nil {
		return err
	}
	w.close = closeLog
	if w.config, err = readConfig(g.config); err != nil {
		return err
	}
	if w.prober.RootCAs, err = roots(); err != nil {
		return err
	}
	if onCall == nil {
		onCall = func(call) {}
	}
	w.kube, err = kube.New(g.kube, kube.Options{Log: w.log, OnCall: func(operation string, took time.Duration, err error) {
		onCall(call{began: time.Now().Add(-took), line: kubectl(operation), took: took, err: err})
	}})
	if err != nil {
		return err
	}
	w.aws, err = aws.New(ctx, aws.Options{Profile: g.profile, Region: g.region, Log: w.log, OnCall: func(c aws.CallInfo) {
		onCall(call{began: c.Began, line: c.Command, took: c.Duration, err: c.Err})
	}})
	return err
}

// kubectl is the equivalent kubectl line of a call: "list pods", "get secrets
// ns/name".
func kubectl(operation string) string {
	verb, rest, _ := strings.Cut(operation, " ")
	resource, name, _ := strings.Cut(rest, " ")
	namespace, object, named := strings.Cut(name, "/")
	switch {
	case resource == "pods/proxy":
		return "kubectl get --raw /api/v1/namespaces/" + namespace + "/pods/" + object + "/proxy/stats/prometheus"
	case verb == "list" && name == "":
		return "kubectl get " + resource + " -A"
	case verb == "list":
		return "kubectl get " + resource + " -n " + name
	case verb == "watch":
		return "kubectl get " + resource + " -A --watch"
	case verb == "get" && named:
		return "kubectl get " + resource + " " + object + " -n " + namespace
	case verb == "get":
		return strings.TrimSpace("kubectl get " + resource + " " + name)
	default:
		return operation
	}
}

// logger writes to --log-file, never to the terminal.
func (g *globals) logger() (*slog.Logger, func(), error) {
	if g.logFile == "" {
		return slog.New(slog.DiscardHandler), func() {}, nil
	}
	f, err := os.OpenFile(g.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, usage("log file", err.Error(), "name another with --log-file")
	}
	return slog.New(slog.NewTextHandler(f, nil)), func() { _ = f.Close() }, nil
}

func readConfig(path string) (model.Config, error) {
	var c model.Config
	if path == "" {
		return c, nil
	}
	raw, err := os.ReadFile(path)
	if err == nil {
		err = yaml.UnmarshalStrict(raw, &c)
	}
	if err != nil {
		return c, &model.Error{
			Kind: model.KindUsage, Operation: "config file", Object: path, Message: err.Error(), Err: err,
			Remedy: "lanes: [{name, old: {gateway, service, targetGroups: [name or ARN]}, new: {…}}]",
		}
	}
	return c, nil
}

// roots are the system's certificate roots, with the sandbox's beside them
// when its exports are in the environment.
func roots() (*x509.CertPool, error) {
	path := os.Getenv("CUTOVER_SANDBOX_CA")
	if path == "" {
		return nil, nil //nolint:nilnil // nil is the system's pool.
	}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // The sandbox has ended; nothing of it is left to verify.
	}
	if err != nil {
		return nil, usage("CUTOVER_SANDBOX_CA", err.Error(), "unset it, or start the sandbox again and read its exports")
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	pool.AppendCertsFromPEM(raw)
	return pool, nil
}

// observe reads the whole world once.
func (w *wired) observe(ctx context.Context) *model.Snapshot {
	var (
		cluster model.Cluster
		account model.AWS
		wg      sync.WaitGroup
	)
	wg.Go(func() { cluster = w.kube.Observe(ctx) })
	wg.Go(func() { account = w.aws.Observe(ctx) })
	wg.Wait()
	w.remember(cluster)
	return model.Join(cluster, account, w.config)
}

// remember keeps the cluster's UID under its URL, so that its journal is found
// when the API is gone. Failing to is no reason to stop.
func (w *wired) remember(c model.Cluster) {
	if c.UID == "" {
		return
	}
	if err := journal.Remember(w.state, c.Server, c.UID); err != nil {
		w.log.Warn("remember cluster", "error", err)
	}
}

// journal returns the journal of the world that s shows.
func (w *wired) journal(s *model.Snapshot) (*journal.Journal, error) {
	uid := s.Cluster.UID
	if uid == "" {
		var err error
		if uid, err = journal.Recall(w.state, w.kube.Server()); err != nil {
			return nil, err
		}
	}
	if uid == "" {
		return nil, &model.Error{
			Kind: model.KindUnreachable, Operation: "find journal", Object: w.kube.Server(),
			Message: "the cluster cannot be read and was never seen from here",
			Remedy:  "check the kubeconfig context and the connection to the API server",
		}
	}
	account := s.AWS.Account.Account
	if known := journal.Accounts(w.state, uid); account == "" && len(known) == 1 {
		account = known[0] // Who we are can be out of reach while the way back is not.
	}
	if account == "" {
		return nil, &model.Error{
			Kind: model.KindAccess, Operation: "find journal", Object: s.AWS.Account.Endpoint,
			Message: "the AWS account is not known, as the caller's identity could not be read",
			Remedy:  "check the AWS credentials: aws sts get-caller-identity",
		}
	}
	return journal.Open(w.state, journal.Key{Cluster: uid, Account: account}), nil
}

// entries reads the journal; the world may have none yet.
func (w *wired) entries(s *model.Snapshot) ([]model.Entry, error) {
	j, err := w.journal(s)
	if err != nil {
		return nil, err
	}
	log, err := j.Read()
	return log.Entries, err
}

// write opens the journal for a run and settles what an earlier one left.
func (w *wired) write(ctx context.Context, s *model.Snapshot) (*journal.Writer, []run.Settled, error) {
	j, err := w.journal(s)
	if err != nil {
		return nil, nil, err
	}
	writer, err := j.Lock(model.Operator{Kube: s.Cluster.User, AWS: s.AWS.Account.ARN}, time.Now)
	if err != nil {
		return nil, nil, err
	}
	entries, err := writer.Entries()
	if err != nil {
		return nil, nil, errors.Join(err, writer.Close())
	}
	settled, err := run.Recover(ctx, w.aws, writer, entries)
	if err != nil {
		return nil, nil, errors.Join(err, writer.Close())
	}
	return writer, settled, nil
}

// runner carries plans out in the world that l shows.
func (l *live) runner(j run.Journal, overrides []model.Override) *run.Runner {
	region := l.aws.Account().Region
	return &run.Runner{
		Port: l.aws, Journal: j, Prove: l.prove,
		Judge: func(_ context.Context, p model.Plan) (model.Plan, error) {
			return l.judge(p, stillMeant(overrides, p.Intent.Hosts))
		},
		Narrow: func(p model.Plan, without []model.HostKey) (model.Plan, error) {
			s := l.snapshot()
			return model.NewPlan(s, p.Intent.Without(bound(s, p.Intent.Hosts, without)))
		},
		Script: func(name string, changes []model.Change) string {
			return model.Script(changes, region, "the way back of run "+name)
		},
		Now: time.Now, NewRun: newRun, Poll: 250 * time.Millisecond, Settle: 20 * time.Second,
	}
}

// stillMeant are the overrides of hosts that are not left out of the run.
func stillMeant(overrides []model.Override, hosts []model.HostKey) []model.Override {
	return slices.DeleteFunc(slices.Clone(overrides), func(o model.Override) bool {
		return o.Host != "" && !slices.ContainsFunc(hosts, func(h model.HostKey) bool { return h.Host == o.Host })
	})
}

// bound adds to the hosts that are left out those of the intent that cannot
// move without them: a network load balancer's listeners cannot tell hosts apart.
func bound(s *model.Snapshot, hosts, without []model.HostKey) []model.HostKey {
	held := map[string]bool{} // load balancers that a host which is left out keeps
	nlbs := func(k model.HostKey) (out []string) {
		h, _ := s.Host(k)
		for _, r := range h.Routes {
			if r.Type == model.Network && len(r.Switchable) > 0 {
				out = append(out, r.LoadBalancer)
			}
		}
		return out
	}
	out := slices.Clone(without)
	for _, k := range without {
		for _, lb := range nlbs(k) {
			held[lb] = true
		}
	}
	for _, k := range hosts {
		if !slices.Contains(out, k) && slices.ContainsFunc(nlbs(k), func(lb string) bool { return held[lb] }) {
			out = append(out, k)
		}
	}
	return out
}

// newRun names a run by when it began; the number keeps two apart.
func newRun() string {
	now := time.Now().UTC()
	return fmt.Sprintf("%s-%03d", now.Format("20060102T150405Z"), now.Nanosecond()/1e6)
}
