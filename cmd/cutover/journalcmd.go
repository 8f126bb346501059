package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/istio-cutover/cutover/model"
	"github.com/istio-cutover/cutover/model/journal"
)

func newJournal(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "journal",
		Short: "Show what was done (list), or check that the record is whole (verify)",
		Args:  usageArgs(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return g.journalList(cmd.Context()) },
	}
	cmd.AddCommand(
		&cobra.Command{
			Use: "list", Short: "Show what was done", Args: usageArgs(cobra.NoArgs),
			RunE: func(cmd *cobra.Command, _ []string) error { return g.journalList(cmd.Context()) },
		},
		&cobra.Command{
			Use: "verify", Short: "Check that no entry was changed, removed or added", Args: usageArgs(cobra.NoArgs),
			RunE: func(cmd *cobra.Command, _ []string) error { return g.journalVerify(cmd.Context()) },
		},
	)
	return cmd
}

// find returns the journal of the world that is configured. It asks the
// cluster and AWS only for who they are.
func (g *globals) find(ctx context.Context) (*journal.Journal, func(), error) {
	w, err := g.wire(ctx, nil)
	if err != nil {
		return nil, nil, err
	}
	j, err := w.journal(w.observe(ctx))
	if err != nil {
		w.close()
		return nil, nil, err
	}
	return j, w.close, nil
}

func (g *globals) journalList(ctx context.Context) error {
	j, done, err := g.find(ctx)
	if err != nil {
		return err
	}
	defer done()
	log, err := j.Read()
	entries := log.Entries
	if err != nil && len(entries) == 0 {
		return err // Unread is not empty.
	}
	if entries == nil {
		entries = []model.Entry{}
	}
	if printErr := g.print(withChanges(entries), func(w io.Writer) { printEntries(w, entries) }); printErr != nil {
		return printErr
	}
	return err
}

// withChanges returns the entries with the change that each outcome is of: on
// disk an outcome names its intent alone.
func withChanges(entries []model.Entry) []model.Entry {
	changes := map[uint64]*model.Change{}
	out := slices.Clone(entries)
	for i, e := range out {
		switch {
		case e.Change != nil:
			changes[e.Seq] = e.Change
		case e.Kind == model.EntryDone || e.Kind == model.EntryFailed:
			out[i].Change = changes[e.Intent]
		}
	}
	return out
}

func printEntries(w io.Writer, entries []model.Entry) {
	if len(entries) == 0 {
		_, _ = fmt.Fprintln(w, "nothing was done yet")
		return
	}
	var rows [][]string
	for _, e := range entries {
		what := e.Reason
		if e.Change != nil {
			what = e.Change.Label + "  " + model.InWords(e.Change.Before.Actions) + " → " + model.InWords(e.Change.After.Actions)
		} else if e.Intent > 0 {
			what = fmt.Sprintf("of %d  %s", e.Intent, e.Reason)
		}
		rows = append(rows, []string{
			strconv.FormatUint(e.Seq, 10), e.Time.Local().Format("2006-01-02 15:04:05"), string(e.Kind), e.Run,
			hostList(e.Hosts), what,
		})
	}
	table(w, []string{"SEQ", "TIME", "KIND", "RUN", "HOSTS", "WHAT"}, rows)
}

func (g *globals) journalVerify(ctx context.Context) error {
	j, done, err := g.find(ctx)
	if err != nil {
		return err
	}
	defer done()
	log, err := j.Read()
	if err != nil {
		return err
	}
	unsettled := len(model.Unsettled(log.Entries))
	document := map[string]any{
		"path": j.Path(), "entries": len(log.Entries), "whole": true, "tornLastLine": log.Torn, "unsettled": unsettled,
	}
	return g.print(document, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "%s: %d entries, the chain is whole\n", j.Path(), len(log.Entries))
		if log.Torn {
			_, _ = fmt.Fprintln(w, "the last line is torn: power was lost while it was written; it never took effect")
		}
		if unsettled > 0 {
			_, _ = fmt.Fprintf(w, "%d intent(s) without an outcome; the next console or run reads and settles them\n", unsettled)
		}
	})
}
