// Package model decides. It holds the observed world of a cutover as plain
// values and computes routes, gates and plans from them, with no I/O, no clock
// and no goroutine: whatever can be decided here is decided here, and adapters
// (packages aws, kube, probes) only carry values in and changes out.
//
// Data flows one way:
//
//	Cluster + AWS + Config --Join--> Snapshot --NewPlan--> Plan
//	Snapshot + Evidence    --Gates--> []Gate
//
// Every value is immutable by convention once it has been handed on: nothing
// in this package modifies its arguments, and nobody may modify a Snapshot
// that others can see. All functions are therefore safe for concurrent use.
package model
