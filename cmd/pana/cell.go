package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/pana-exchange/pana/gateway/exchange"
)

func (c *cli) cellCommand(flags *clientFlags) *cobra.Command {
	var request exchange.CellRequest
	command := &cobra.Command{
		Use:   "cell RELEASE LABEL --reason TEXT",
		Short: "Why one cell is hidden: one officer asks, another confirms, and it is logged (officers)",
		Long: `Ask which rule decided about one cell. LABEL names its codes in the order of the
dimensions' names, "" is the total. Nothing is told until another officer, another
person, confirms the same cell within 24 hours with --confirm; then both can read the
answer by the same command until the 24 hours are over. It names a rule and never a
count. An officer waits for one cell at a time.`,
		Example: `  pana release cell demo-1 'region=61|sex=F' --reason "complaint 17"
  pana release cell demo-1 'region=61|sex=F' --reason "complaint 17" --confirm`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if request.Reason == "" {
				return usageError{errors.New("say why, for the record: --reason")}
			}
			cl, err := flags.client()
			if err != nil {
				return err
			}
			request.Cell = args[1]
			var view exchange.CellView
			err = cl.call(cmd.Context(), http.MethodPost, "/v1/releases/"+url.PathEscape(args[0])+"/cells", request, &view)
			if err != nil {
				return err
			}
			return c.print(view, func(w io.Writer) error { return writeCell(w, &view) })
		},
	}
	command.Flags().StringVar(&request.Reason, "reason", "", "why, for the record; required")
	command.Flags().BoolVar(&request.Confirm, "confirm", false, "confirm what another officer asks")
	return command
}

func writeCell(w io.Writer, v *exchange.CellView) error {
	cell := v.Cell
	if cell == "" {
		cell = "the total"
	}
	if v.Why == "" {
		_, err := fmt.Fprintf(w, "asked for %s of %s; nothing is told until another officer confirms, by %s:\n  pana release cell %s '%s' --reason … --confirm\n",
			cell, v.Release, v.Until.Format("2006-01-02 15:04 MST"), v.Release, v.Cell)
		return err
	}
	_, err := fmt.Fprintf(w, "%s of %s: %s\nasked by %s, confirmed by %s; both readings are in the log\n", cell, v.Release, v.Words, v.AskedBy, v.Confirmed)
	return err
}
