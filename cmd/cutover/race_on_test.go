//go:build race

package main

// raceDetector tells that this program runs some ten times slower than it will.
const raceDetector = true
