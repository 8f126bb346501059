// Package kube is the adapter to Kubernetes: it observes Gateways,
// VirtualServices, ingress Services, their pods and Secrets, and nodes, once or
// as they change, and reads what details and proof need. It decides nothing:
// what it reads becomes values of package model at once, and nothing else of it
// is kept.
//
// Secrets are read by name, only those that Gateways name, and stripped by one
// function (see certificateOf); keys never leave it.
package kube
