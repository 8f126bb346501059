package kubesim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// errLogLimit ends a log that has reached limitBytes.
var errLogLimit = errors.New("the log's byte limit is reached")

func (s *Server) serveLog(w http.ResponseWriter, req *request) error {
	opts, asked, err := s.logOptions(req)
	if err != nil {
		return err
	}
	container := asked.Container
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

	switch {
	case pod.Spec.NodeName == "":
		w.WriteHeader(http.StatusNoContent) // There is nobody to ask yet.
		return nil
	case asked.Previous:
		return apierrors.NewBadRequest(fmt.Sprintf("previous terminated container %q in pod %q not found", cmp.Or(container, pod.Spec.Containers[0].Name), pod.Name))
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Cache-Control", "no-cache, private")
	w.WriteHeader(http.StatusOK)
	out := &logWriter{w: w, left: opts.LimitBytes, limited: opts.LimitBytes > 0}
	if err := out.flush(); err != nil || s.cfg.Logs == nil {
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
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		names = append(names, c.Name)
	}
	switch {
	case container == "" && len(pod.Spec.Containers) > 1:
		return apierrors.NewBadRequest(fmt.Sprintf("a container name must be specified for pod %s, choose one of: [%s]", pod.Name, strings.Join(names, " ")))
	case container != "" && !slices.Contains(names, container):
		return apierrors.NewBadRequest(fmt.Sprintf("container %s is not valid for pod %s", container, pod.Name))
	}
	return nil
}

// logOptions reads the parameters of pods/log.
func (s *Server) logOptions(req *request) (LogOptions, *corev1.PodLogOptions, error) {
	asked, err := decodeLogOptions(req.query)
	if err != nil {
		return LogOptions{}, nil, apierrors.NewBadRequest(err.Error())
	}
	var errs field.ErrorList
	positive := func(name string, n *int64) {
		if n != nil && *n < 1 {
			errs = append(errs, field.Invalid(field.NewPath(name), *n, "must be greater than 0"))
		}
	}
	if asked.TailLines != nil && *asked.TailLines < 0 {
		errs = append(errs, field.Invalid(field.NewPath("tailLines"), *asked.TailLines, "must be greater than or equal to 0"))
	}
	positive("limitBytes", asked.LimitBytes)
	positive("sinceSeconds", asked.SinceSeconds)
	if asked.SinceSeconds != nil && asked.SinceTime != nil {
		errs = append(errs, field.Forbidden(field.NewPath(""), "at most one of `sinceTime` or `sinceSeconds` may be specified"))
	}
	if len(errs) > 0 {
		return LogOptions{}, nil, apierrors.NewInvalid(schema.GroupKind{Kind: "PodLogOptions"}, req.name, errs)
	}
	opts := LogOptions{Follow: asked.Follow, Timestamps: asked.Timestamps, TailLines: -1}
	if asked.TailLines != nil {
		opts.TailLines = *asked.TailLines
	}
	if asked.LimitBytes != nil {
		opts.LimitBytes = *asked.LimitBytes
	}
	switch {
	case asked.SinceTime != nil:
		opts.SinceTime = asked.SinceTime.UTC()
	case asked.SinceSeconds != nil:
		opts.SinceTime = s.now().Add(-time.Duration(*asked.SinceSeconds) * time.Second)
	}
	return opts, asked, nil
}

// decodeLogOptions reads each parameter as a real API server does: whatever is not "false" or "0" is true.
func decodeLogOptions(query url.Values) (*corev1.PodLogOptions, error) {
	asked := &corev1.PodLogOptions{Container: query.Get("container")}
	for name, into := range map[string]*bool{"follow": &asked.Follow, "previous": &asked.Previous, "timestamps": &asked.Timestamps} {
		if given := query[name]; len(given) > 0 {
			if err := runtime.Convert_Slice_string_To_bool(&given, into, nil); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	for name, into := range map[string]**int64{"sinceSeconds": &asked.SinceSeconds, "tailLines": &asked.TailLines, "limitBytes": &asked.LimitBytes} {
		if given := query[name]; len(given) > 0 {
			if err := runtime.Convert_Slice_string_To_Pointer_int64(&given, into, nil); err != nil {
				return nil, err
			}
		}
	}
	if given := query["sinceTime"]; len(given) > 0 {
		asked.SinceTime = &metav1.Time{}
		if err := metav1.Convert_Slice_string_To_v1_Time(&given, asked.SinceTime, nil); err != nil {
			return nil, err
		}
	}
	return asked, nil
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
