// Package journal keeps the durable record of every change: append-only JSON
// lines, one file per cluster and AWS account, each line carrying the hash of
// the one before, so that what was done can be shown, taken back and settled
// after a crash. Readers need no lock and can read while a run writes; a
// Writer holds a lock for the time of a run.
//
// The files are made with mode 0600 in a directory with mode 0700. They hold
// rule contents, host names and who acted, never keys or credentials.
package journal
