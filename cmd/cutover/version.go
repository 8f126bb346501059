package main

import (
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"
)

func newVersion(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			document := map[string]string{"version": version, "commit": commit, "go": runtime.Version()}
			return g.print(document, func(w io.Writer) {
				_, _ = fmt.Fprintf(w, "cutover %s (%s, %s)\n", version, commit, runtime.Version())
			})
		},
	}
}
