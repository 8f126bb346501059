// Package probes asks gateways and load balancers what clients would ask them.
//
// One probe is one fresh connection to an address that the target names,
// whatever its host name resolves to: TLS with or without SNI, the
// certificate compared with the one that the Gateway's Secret holds, one
// request, its phases timed and its failure classified. The Engine keeps many
// targets on their own schedules within rates that production can bear, and
// keeps what the console, the gates and proof need of the results.
package probes
