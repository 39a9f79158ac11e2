package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway/exchange"
)

func (c *cli) fsckCommand() *cobra.Command {
	var file, data string
	command := &cobra.Command{
		Use:   "fsck",
		Short: "Registry, warehouse and ledger against each other (operators)",
		Long: `Verify the whole ledger and compare, load by load, what was accepted with what is
stored and visible. It owns the data directory while it runs: stop the gateway first.
Exit code 1 when anything but leftovers of killed uploads is found.`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			overrides := map[string]any{}
			if cmd.Flags().Changed("data") {
				overrides["data"] = data
			}
			config, err := configs.Load(file, overrides)
			if err != nil {
				return err
			}
			n := &node{owner: "fsck", config: config, log: slog.New(slog.NewJSONHandler(c.err, nil))}
			err = n.open(cmd.Context(), c)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, n.close()) }()
			report, err := n.exchange.Check(cmd.Context())
			if err != nil {
				return err
			}
			err = c.print(report, func(w io.Writer) error { return writeReport(w, report) })
			if err == nil && !report.Clean() {
				err = refusal{errors.New("registry and warehouse do not agree")}
			}
			return err
		},
	}
	command.Flags().StringVar(&file, "config", "", "configuration file; see configs/gateway.yaml")
	command.Flags().StringVar(&data, "data", "pana-data", "data directory")
	return command
}

func writeReport(w io.Writer, r exchange.Report) error {
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	for _, f := range r.Findings {
		_, _ = fmt.Fprintf(t, "  %s\t%s\t%s\tload %s\n", f.What, f.Contract, f.Batch, f.Load)
	}
	err := t.Flush()
	if err == nil {
		_, err = fmt.Fprintf(w, "%d leaves verified, %d batches with %d rows compared, %d findings\n", r.Leaves, r.Batches, r.Rows, len(r.Findings))
	}
	return err
}
