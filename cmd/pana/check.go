package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
)

func (c *cli) checkCommand() *cobra.Command {
	var contract, from, to, dir string
	var form fileFlags
	var style reportFlags
	command := &cobra.Command{
		Use:   "check --contract C FILE",
		Short: "Check a file offline, with the very code of the gateway (agencies)",
		Long: `Read a file as the gateway would and list what to mend: line, column and code,
never a value. Nothing leaves this machine. Exit code 0 when the gateway would take
every row, 1 when it would not.`,
		Example: `  pana check --contract police police.csv
  pana check --contract police --from 2025-07-01 --to 2025-09-30 --json police.csv`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := c.checkManifest(from, to)
			if err != nil {
				return err
			}
			said, err := form.said(args[0])
			if err != nil {
				return err
			}
			report, err := c.check(cmd.Context(), args[0], gateway.ContractID(contract), dir, m, said)
			if report == nil {
				return err
			}
			report = report.In(func(code gateway.ProblemCode) string { return describe(code, style.lang) })
			if printErr := c.printReport(report, style); printErr != nil {
				return printErr
			}
			if err == nil && report.Refused > 0 {
				err = refusal{fmt.Errorf("%d of %d records have problems", report.Refused, report.Records)}
			}
			return err
		},
	}
	f := command.Flags()
	f.StringVar(&contract, "contract", "", "contract that the file follows: police, health, …")
	f.StringVar(&from, "from", "", "first day that the batch reports, YYYY-MM-DD; default: any")
	f.StringVar(&to, "to", "", "last day that the batch reports, YYYY-MM-DD; default: today")
	f.StringVar(&dir, "policies", "", "folder of policies; default: those built in")
	form.add(f)
	style.add(f)
	require(command, "contract")
	return command
}

func (c *cli) checkManifest(from, to string) (gateway.Manifest, error) {
	m := gateway.Manifest{Kind: gateway.Original, Reject: gateway.RejectRows}
	m.PeriodFrom, _ = gateway.CivilDay(2000, 1, 1)
	m.PeriodTo = gateway.DayOf(c.now())
	for _, day := range []struct {
		text string
		to   *gateway.Day
	}{{from, &m.PeriodFrom}, {to, &m.PeriodTo}} {
		if day.text == "" {
			continue
		}
		d, ok := gateway.ParseDay([]byte(day.text))
		if !ok {
			return m, usageError{errors.New("--from and --to are days, such as 2025-07-01")}
		}
		*day.to = d
	}
	return m, nil
}

// check runs the pipeline with throw-away keys and drops its blocks. The report
// comes with the error where the error is about the file.
func (c *cli) check(ctx context.Context, path string, id gateway.ContractID, dir string, m gateway.Manifest, said gateway.Said) (*gateway.Report, error) {
	contract, err := contractByID(id)
	if err != nil {
		return nil, err
	}
	others, err := configs.Contracts()
	if err != nil {
		return nil, err
	}
	set, err := policySet(ctx, dir)
	if err != nil {
		return nil, err
	}
	plan, err := set.Plan(ctx, contract)
	if err != nil {
		return nil, err
	}
	keys, err := pseudonym.Ephemeral(rand.Reader)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(path) //nolint:gosec // the user names the file
	if err != nil {
		return nil, usageError{errors.New("the file cannot be read: " + path)}
	}
	defer func() { _ = file.Close() }()
	reader, err := pipelines.Open(ctx, file, pipelines.Options{
		Contract: contract, Others: others, Plan: plan, Keys: keys, Agency: "check", Said: said, Batch: m, Today: gateway.DayOf(c.now()), Rand: rand.Reader,
	})
	if err != nil {
		return reportOf(err), err
	}
	defer reader.Close()
	block := gateway.NewBlock(contract.Layout())
	for err == nil {
		block.Reset()
		err = reader.Next(ctx, block)
	}
	if !errors.Is(err, io.EOF) {
		return reportOf(err), err
	}
	return reader.Report(), nil
}

// reportOf is the report that an error about a file comes with.
func reportOf(err error) *gateway.Report {
	if e, ok := errors.AsType[*gateway.Error](err); ok {
		return e.Report
	}
	return nil
}

func contractByID(id gateway.ContractID) (*gateway.Contract, error) {
	contracts, err := configs.Contracts()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, c := range contracts {
		if c.ID == id {
			return c, nil
		}
		names = append(names, string(c.ID))
	}
	return nil, usageError{fmt.Errorf("there is no contract of that name; there are %s", strings.Join(names, ", "))}
}
