package kubesim

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// serveProxy passes a request on to a port of a pod, named as a real API server takes it: "pod", "pod:port" or
// "scheme:pod:port". Where a real one refuses a pod's address because it is on loopback, this one does not: the pods of its
// world are there.
func (s *Server) serveProxy(w http.ResponseWriter, req *request) error {
	_, name, portName, ok := utilnet.SplitSchemeNamePort(req.name)
	if !ok {
		return apierrors.NewBadRequest("invalid pod request \"" + req.name + "\"")
	}
	rec, err := s.get(req.res, req.namespace, name)
	if err != nil {
		return err
	}
	typed, err := typedCopy(req.res, rec.obj)
	if err != nil {
		return err
	}
	pod, _ := typed.(*corev1.Pod)
	if pod.Status.PodIP == "" {
		return apierrors.NewBadRequest("address not allowed")
	}
	port := proxyPort(pod, portName)
	var to http.Handler
	if s.cfg.Proxy != nil {
		to = s.cfg.Proxy(req.namespace, name, port)
	}
	if to == nil {
		return apierrors.NewServiceUnavailable("error trying to reach service: dial tcp " + pod.Status.PodIP + ":" + strconv.Itoa(port) + ": connect: connection refused")
	}
	_, rest, _ := strings.Cut(req.URL.Path, "/"+req.gvr.Resource+"/"+req.name+"/proxy") // Names may begin with "proxy", too.
	inner := req.Clone(req.Context())
	inner.URL = &url.URL{Path: "/" + strings.TrimPrefix(rest, "/"), RawQuery: req.URL.RawQuery}
	inner.RequestURI = inner.URL.RequestURI()
	inner.Header.Del("Authorization")
	to.ServeHTTP(w, inner)
	return nil
}

// proxyPort is the port that a proxy request names, else the first that a container declares; 0 is none.
func proxyPort(pod *corev1.Pod, name string) int {
	if name != "" {
		port, _ := strconv.Atoi(name) // Nobody listens on port 0.
		return port
	}
	for _, c := range pod.Spec.Containers {
		if len(c.Ports) > 0 {
			return int(c.Ports[0].ContainerPort)
		}
	}
	return 0
}
