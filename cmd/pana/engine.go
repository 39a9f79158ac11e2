package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/pana-exchange/pana/gateway/warehouse/engine"
)

func (c *cli) engineCommand() *cobra.Command {
	command := &cobra.Command{Use: "engine", Short: "The embedded ClickHouse (operators)"}
	var cache string
	fetch := &cobra.Command{
		Use: "fetch", Short: "Find or fetch the embedded ClickHouse, once",
		Long: `Find the library of the embedded ClickHouse: at PANA_LIBCHDB, or in the cache; else
fetch it with npm (178 MB; 566 MB unpacked), checked against a digest in the source.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := engine.Fetch(cmd.Context(), engine.FetchOptions{CacheDir: cache, Progress: c.err})
			if err != nil {
				return err
			}
			return c.print(map[string]string{"library": path}, func(w io.Writer) error {
				_, err := fmt.Fprintln(w, path)
				return err
			})
		},
	}
	fetch.Flags().StringVar(&cache, "cache", "", "directory to keep it in; default: the user's cache directory")
	command.AddCommand(fetch)
	return command
}
