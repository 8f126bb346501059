// Package aws is the adapter to AWS: it observes load balancers, listeners,
// rules, target groups and target health over the APIs of Elastic Load
// Balancing v2 and STS, and carries single changes out. It decides nothing:
// what it reads becomes values of package model, and what it writes was
// planned there.
//
// Rules keep the API's own shape as canonical JSON. What the SDK knows passes
// through whether this program understands it or not; what the SDK does not
// know is refused on the way in rather than lost.
//
// Elastic Load Balancing throttles reads by one token bucket per account and
// Region, shared with every other tool there (40 requests, then 10 a second).
// A bucket of our own, smaller and slower, keeps every call of this package
// below it, retries included.
package aws
