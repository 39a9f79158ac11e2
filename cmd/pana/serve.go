package main

import (
	"errors"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/pana-exchange/pana/configs"
)

// garbage is how many per cent of what is in use may lie about as garbage. At Go's 100 a
// gateway peaks a sixth higher with a long upload than with a short one, which ends
// before as much garbage was made; a collection of its heap of 30 MB takes milliseconds.
const garbage = 50

// collectOften lets memory not grow with uploads (trust.md 6.7), unless the operator has
// set GOGC.
func collectOften() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
}

func (c *cli) serveCommand() *cobra.Command {
	var file, data, listen string
	command := &cobra.Command{
		Use:   "serve",
		Short: "Run the gateway (operators)",
		Long: `Run the gateway over a data directory that "pana keys init" made. Without
clickhouse.addresses in the configuration it starts its own engine as a child.
It listens on this machine alone unless a certificate and a key are configured.
SIGTERM lets uploads finish for 30 seconds and then ends them; nothing half done
remains.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			overrides := map[string]any{}
			if cmd.Flags().Changed("data") {
				overrides["data"] = data
			}
			if cmd.Flags().Changed("listen") {
				overrides["listen"] = listen
			}
			config, err := configs.Load(file, overrides)
			if err != nil {
				return err
			}
			collectOften()
			log := slog.New(slog.NewJSONHandler(c.err, nil))
			n := &node{owner: "serve", config: config, log: log}
			err = n.open(cmd.Context(), c)
			if err != nil {
				return err
			}
			err = n.listen(cmd.Context(), c)
			if err == nil {
				c.say("pana serves %s; end it with Ctrl-C", n.address)
				err = n.serve(cmd.Context())
			}
			return errors.Join(err, n.close())
		},
	}
	command.Flags().StringVar(&file, "config", "", "configuration file; see configs/gateway.yaml")
	command.Flags().StringVar(&data, "data", "pana-data", "data directory")
	command.Flags().StringVar(&listen, "listen", "127.0.0.1:8080", "address of the API")
	return command
}
