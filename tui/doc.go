// Package tui is the console: seven live panes over the observed world, and
// dialogs in which the operator moves hosts and takes them back.
//
// It is one Elm loop. App is the only tea.Model; panes and dialogs are plain
// structs whose methods App calls. Update decides and never does I/O: what
// takes time runs in a command, closes over values and comes back as a message.
// View is pure: it draws the panes on a canvas of cells, exactly as wide and as
// high as the terminal, so that no text from outside can break the frame.
//
// The package knows nothing of AWS, Kubernetes or probes. Whoever wires the
// program hands it channels of observed values and a few functions, see Config.
package tui
