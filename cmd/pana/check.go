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
			checked, err := c.check(cmd.Context(), args[0], gateway.ContractID(contract), dir, m, said)
			if err != nil {
				return c.unreadable(err, gateway.ContractID(contract))
			}
			err = c.print(checked, checked.write)
			if err == nil && checked.Refused > 0 {
				err = refusal{fmt.Errorf("%d of %d records have problems", checked.Refused, checked.Records)}
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
	require(command, "contract")
	return command
}

// checked is the result of a check.
type checked struct {
	Contract gateway.ContractID `json:"contract"`
	Records  int                `json:"records"`
	Refused  int                `json:"refused"`
	Errors   []gateway.RowError `json:"errors"`
	Omitted  int                `json:"errors_omitted,omitempty"`
	ReadAs   *gateway.Dialect   `json:"read_as,omitempty"`
}

// unreadable prints, for programs, what ended the reading before its end: a
// header that is not the contract's, or a file that is no CSV. People read it in
// the error.
func (c *cli) unreadable(err error, id gateway.ContractID) error {
	e, ok := errors.AsType[*gateway.Error](err)
	if !ok || e.Problems == nil || !c.asJSON {
		return err
	}
	k := checked{Contract: id, Refused: e.Problems.Rows, Errors: e.Problems.First, Omitted: e.Problems.Omitted}
	return errors.Join(err, c.print(k, nil))
}

func (k checked) write(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%d records, %d with problems\n", k.Records, k.Refused)
	if err != nil {
		return err
	}
	return writeProblems(w, k.Errors, k.Omitted)
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

// check runs the pipeline with throw-away keys and drops its blocks.
func (c *cli) check(ctx context.Context, path string, id gateway.ContractID, dir string, m gateway.Manifest, said gateway.Said) (checked, error) {
	contract, err := contractByID(id)
	if err != nil {
		return checked{}, err
	}
	set, err := policySet(ctx, dir)
	if err != nil {
		return checked{}, err
	}
	plan, err := set.Plan(ctx, contract)
	if err != nil {
		return checked{}, err
	}
	keys, err := pseudonym.Ephemeral(rand.Reader)
	if err != nil {
		return checked{}, err
	}
	file, err := os.Open(path) //nolint:gosec // the user names the file
	if err != nil {
		return checked{}, usageError{errors.New("the file cannot be read: " + path)}
	}
	defer func() { _ = file.Close() }()
	reader, err := pipelines.Open(file, pipelines.Options{
		Contract: contract, Plan: plan, Keys: keys, Agency: "check", Said: said, Batch: m, Today: gateway.DayOf(c.now()), Rand: rand.Reader,
	})
	if err != nil {
		return checked{}, err
	}
	block := gateway.NewBlock(contract.Layout())
	for err == nil {
		block.Reset()
		err = reader.Next(ctx, block)
	}
	if !errors.Is(err, io.EOF) {
		return checked{}, err
	}
	problems := reader.Problems()
	dialect := reader.Dialect()
	k := checked{id, reader.Rows() + reader.Refused(), reader.Refused(), problems.First, problems.Omitted, &dialect}
	if k.Errors == nil {
		k.Errors = []gateway.RowError{}
	}
	return k, nil
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
