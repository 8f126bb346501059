// Package run carries a plan out through ports. For every change it keeps the
// one order that is safe: judge the gates again, read and compare with the
// plan's before, journal the intent, write, read back, compare with the plan's
// after, journal the outcome. Adapters only read and write; the order lives
// here and nowhere else.
package run
