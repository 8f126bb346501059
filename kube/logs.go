package kube

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/istio-cutover/cutover/model"
)

const (
	proxyContainer = "istio-proxy"
	// logLimit bounds what is read of one pod's log, in bytes.
	logLimit = 16 << 20
	// lineLimit is the longest line that is looked at whole, in bytes.
	lineLimit = 64 << 10
)

// FindInLogs returns for each needle the pod whose log has a line since that
// time with it; what no log has is missing. It reads the container istio-proxy,
// or the only one, at most 16 MiB of each pod. A pod that is gone has no log.
// With an error, what was found in the other logs is returned as well. Errors by
// kind: access, unreachable, throttled.
func (c *Client) FindInLogs(ctx context.Context, pods []model.ObjectName, since time.Time, needles []string) (map[string]model.ObjectName, error) {
	found := map[string]model.ObjectName{}
	var mu sync.Mutex
	var failures []error
	var group errgroup.Group
	group.SetLimit(parallel)
	for _, pod := range pods {
		group.Go(func() error {
			err := c.scanLog(ctx, pod, since, func(line string) {
				for _, n := range needles {
					if n != "" && strings.Contains(line, n) {
						mu.Lock()
						found[n] = pod
						mu.Unlock()
					}
				}
			})
			if err != nil && model.KindOf(err) != model.KindNotFound {
				mu.Lock()
				failures = append(failures, err)
				mu.Unlock()
			}
			return nil // The other logs are read all the same.
		})
	}
	_ = group.Wait() // No reading returns an error.
	if len(failures) > 0 {
		return found, failures[0]
	}
	return found, nil
}

// scanLog hands the lines of a pod's log to line.
func (c *Client) scanLog(ctx context.Context, pod model.ObjectName, since time.Time, line func(string)) error {
	return c.call(ctx, "get pods/log", pod.String(), func(ctx context.Context) error {
		limit := int64(logLimit)
		from := metav1.NewTime(since)
		opts := &corev1.PodLogOptions{Container: proxyContainer, LimitBytes: &limit}
		if !since.IsZero() {
			opts.SinceTime = &from
		}
		stream, err := c.core.Pods(pod.Namespace).GetLogs(pod.Name, opts).MaxRetries(0).Stream(ctx)
		if statusCode(err) == http.StatusBadRequest {
			opts.Container = "" // There is no istio-proxy; there may be only one.
			stream, err = c.core.Pods(pod.Namespace).GetLogs(pod.Name, opts).MaxRetries(0).Stream(ctx)
		}
		if err != nil {
			return err
		}
		defer stream.Close()
		return lines(io.LimitReader(stream, logLimit), line)
	})
}

// lines hands every line to line, a longer one than the limit in pieces.
func lines(r io.Reader, line func(string)) error {
	buffered := bufio.NewReaderSize(r, lineLimit)
	for {
		piece, err := buffered.ReadSlice('\n')
		if len(piece) > 0 {
			line(string(piece))
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
}
