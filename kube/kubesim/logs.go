package kubesim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes/scheme"
)

// errLogLimit ends a log that has reached limitBytes.
var errLogLimit = errors.New("the log's byte limit is reached")

func (s *Server) serveLog(w http.ResponseWriter, req *request) error {
	var asked corev1.PodLogOptions
	if err := scheme.ParameterCodec.DecodeParameters(req.query, corev1.SchemeGroupVersion, &asked); err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
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
	if err := checkContainer(pod, asked.Container); err != nil {
		return err
	}
	opts := s.logOptions(&asked)

	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Cache-Control", "no-cache, private")
	w.WriteHeader(http.StatusOK)
	out := &logWriter{w: w, left: opts.LimitBytes, limited: opts.LimitBytes > 0}
	if err := out.flush(); err != nil || s.cfg.Logs == nil || asked.Previous {
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
	err = s.cfg.Logs(ctx, req.namespace, req.name, asked.Container, opts, out)
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

func (s *Server) logOptions(asked *corev1.PodLogOptions) LogOptions {
	opts := LogOptions{Follow: asked.Follow, TailLines: -1, Timestamps: asked.Timestamps}
	if asked.TailLines != nil {
		opts.TailLines = *asked.TailLines
	}
	if asked.LimitBytes != nil {
		opts.LimitBytes = *asked.LimitBytes
	}
	switch {
	case asked.SinceTime != nil:
		opts.SinceTime = asked.SinceTime.Time
	case asked.SinceSeconds != nil:
		opts.SinceTime = s.now().Add(-time.Duration(*asked.SinceSeconds) * time.Second)
	}
	return opts
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
