package kubesim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// errLogLimit ends a log that has reached limitBytes.
var errLogLimit = errors.New("the log's byte limit is reached")

func (s *Server) serveLog(w http.ResponseWriter, req *request) error {
	opts, err := s.logOptions(req.query)
	if err != nil {
		return err
	}
	container := req.query.Get("container")
	rec, err := s.get(req.res, req.namespace, req.name)
	if err != nil {
		return err
	}
	typed, err := typedCopy(req.res, rec.obj)
	if err != nil {
		return err
	}
	pod, ok := typed.(*corev1.Pod)
	if !ok {
		return fmt.Errorf("a pod is decoded as %T", typed)
	}
	if err := checkContainer(pod, container); err != nil {
		return err
	}

	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Cache-Control", "no-cache, private")
	w.WriteHeader(http.StatusOK)
	out := &logWriter{w: w, left: opts.LimitBytes, limited: opts.LimitBytes > 0}
	if err := out.flush(); err != nil || s.cfg.Logs == nil || req.query.Get("previous") == "true" {
		return nil
	}
	ctx, cancel := context.WithCancel(req.Context())
	defer cancel()
	go func() {
		select {
		case <-s.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	err = s.cfg.Logs(ctx, req.namespace, req.name, container, opts, out)
	if err != nil && ctx.Err() == nil && !errors.Is(err, errLogLimit) {
		// The answer has begun: what is left is to say it where the log would be, as a kubelet does.
		s.log.Error("read a log", "pod", req.namespace+"/"+req.name, "error", err)
		_, _ = io.WriteString(out, "failed to read the log\n") // The client may have gone.
	}
	return nil
}

// checkContainer refuses a container that the pod does not have, and none where there are several.
func checkContainer(pod *corev1.Pod, container string) error {
	var names []string
	for _, c := range pod.Spec.Containers {
		names = append(names, c.Name)
	}
	if container == "" {
		if len(names) > 1 {
			return apierrors.NewBadRequest(fmt.Sprintf("a container name must be specified for pod %s, choose one of: [%s]", pod.Name, strings.Join(names, " ")))
		}
		return nil
	}
	for _, c := range pod.Spec.InitContainers {
		names = append(names, c.Name)
	}
	if !slices.Contains(names, container) {
		return apierrors.NewBadRequest(fmt.Sprintf("container %s is not valid for pod %s", container, pod.Name))
	}
	return nil
}

// logOptions reads the parameters of pods/log.
func (s *Server) logOptions(query url.Values) (LogOptions, error) {
	opts := LogOptions{TailLines: -1}
	var err error
	flag := func(name string) bool {
		value := query.Get(name)
		if value == "" || err != nil {
			return false
		}
		var on bool
		if on, err = strconv.ParseBool(value); err != nil {
			err = fmt.Errorf("%s: %w", name, err)
		}
		return on
	}
	count := func(name string, absent int64) int64 {
		value := query.Get(name)
		if value == "" || err != nil {
			return absent
		}
		var n int64
		if n, err = strconv.ParseInt(value, 10, 64); err == nil && n < 0 {
			err = fmt.Errorf("must be greater than or equal to 0, not %d", n)
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", name, err)
		}
		return n
	}
	opts.Follow, opts.Timestamps = flag("follow"), flag("timestamps")
	opts.TailLines, opts.LimitBytes = count("tailLines", -1), count("limitBytes", 0)
	if seconds := count("sinceSeconds", 0); seconds > 0 {
		opts.SinceTime = s.now().Add(-time.Duration(seconds) * time.Second)
	}
	if since := query.Get("sinceTime"); since != "" && err == nil {
		opts.SinceTime, err = time.Parse(time.RFC3339, since)
	}
	if err != nil {
		return opts, apierrors.NewBadRequest(err.Error())
	}
	return opts, nil
}

// logWriter sends every write at once, and no more than the limit.
type logWriter struct {
	w       http.ResponseWriter
	left    int64
	limited bool
}

func (l *logWriter) Write(p []byte) (int, error) {
	full := p
	if l.limited {
		if int64(len(p)) > l.left {
			p = p[:l.left]
		}
		l.left -= int64(len(p))
	}
	n, err := l.w.Write(p)
	if err != nil {
		return n, fmt.Errorf("write a log: %w", err)
	}
	if err := l.flush(); err != nil {
		return n, err
	}
	if len(p) < len(full) {
		return n, errLogLimit
	}
	return n, nil
}

func (l *logWriter) flush() error {
	if err := http.NewResponseController(l.w).Flush(); err != nil {
		return fmt.Errorf("flush a log: %w", err)
	}
	return nil
}
