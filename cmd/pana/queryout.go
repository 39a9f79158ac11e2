package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pana-exchange/pana/gateway/output"
)

// formatNames are what --format takes.
func formatNames() string {
	names := []string{"table"}
	for _, f := range output.Formats() {
		if f != output.JSON {
			names = append(names, string(f))
		}
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// answerFormat returns the format to ask the gateway for: what the ending of -o names,
// or --format; a table on the screen is drawn from JSON.
func (c *cli) answerFormat(cmd *cobra.Command, format, out string) (output.Format, error) {
	if out != "" {
		if c.asJSON || cmd.Flags().Changed("format") || cmd.Flags().Changed("keep") {
			return "", usageError{errors.New("-o is alone: it goes without --format, --keep and --json")}
		}
		f, known := output.ByName(out)
		if !known {
			return "", usageError{errors.New("the ending of -o names no format: .json, .csv, .sdmx.csv, .sdmx.json, .dhis2.json, .xlsx, .parquet, .arrow or .arrows")}
		}
		return f, nil
	}
	f := output.Format(format)
	switch {
	case format == "table":
		return output.JSON, nil
	case c.asJSON || f == output.JSON || !slices.Contains(output.Formats(), f):
		return "", usageError{errors.New("--format is " + formatNames() + "; for JSON there is --json, alone")}
	}
	return f, nil
}

// kept says what was written where.
func (c *cli) kept(file string, f output.Format) error {
	written := map[string]string{"answer": file, "format": string(f), "evidence": file + evidenceSuffix}
	return c.print(written, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s is %s; %s%s proves it\n", file, f, file, evidenceSuffix)
		return err
	})
}
