package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/policies"
)

func (c *cli) policyPlanCommand(flags *clientFlags) *cobra.Command {
	var dir string
	var inForce bool
	command := &cobra.Command{
		Use: "plan CONTRACT", Short: "What is done to every field of a contract and why, which rows are refused, who may do what",
		Long: `Say what policies do with a contract: the action and its parameters for every field, the
rule that decided it with its file, line and words; the rows that are refused, by the
condition as it is obeyed; and who may do what. The policies are those in force at a
gateway (--in-force), those in a folder (--dir), or those built into this program.`,
		Example: `  pana policy plan police --in-force
  pana policy plan police --dir my-policies --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			contract, err := contractByID(gateway.ContractID(args[0]))
			if err != nil {
				return err
			}
			set, whose, err := policiesToRead(cmd.Context(), flags, dir, inForce)
			if err != nil {
				return err
			}
			reading, err := set.Read(cmd.Context(), contract)
			if err != nil {
				return asRefusal(err)
			}
			return c.print(reading, func(w io.Writer) error { return writeReading(w, reading, whose) })
		},
	}
	flags.add(command)
	command.Flags().StringVar(&dir, "dir", "", "folder of policies; default: those built in")
	command.Flags().BoolVar(&inForce, "in-force", false, "the policies in force at the gateway")
	command.MarkFlagsMutuallyExclusive("dir", "in-force")
	return command
}

// policiesToRead returns a set and whose it is.
func policiesToRead(ctx context.Context, flags *clientFlags, dir string, inForce bool) (*policies.Set, string, error) {
	if inForce {
		cl, err := flags.client()
		if err != nil {
			return nil, "", err
		}
		set, err := policiesInForce(ctx, cl)
		return set, "in force at " + flags.gateway, err
	}
	set, err := policySet(ctx, dir)
	if err != nil {
		return nil, "", asRefusal(err)
	}
	if dir == "" {
		return set, "built into this program, in force or not", nil
	}
	return set, "in " + dir, nil
}

// policiesInForce compiles what a gateway says is in force, and holds it against the
// revision that the gateway names.
func policiesInForce(ctx context.Context, cl *client) (*policies.Set, error) {
	var in exchange.InForce
	err := cl.call(ctx, http.MethodGet, "/v1/policies", nil, &in)
	if err != nil {
		return nil, err
	}
	set, err := policies.CompileFiles(ctx, in.Files)
	if err != nil {
		return nil, asRefusal(err)
	}
	if set.Revision() != in.Revision {
		return nil, refusal{errors.New("the gateway's policy files are not those of the revision that it says is in force; call the data protection officer")}
	}
	return set, nil
}

func writeFields(w io.Writer, fields []policies.FieldReading) error {
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	for _, f := range fields {
		_, _ = fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", f.Field, f.Done(), f.Because, f.Rule.Place)
	}
	return t.Flush()
}

func writeReading(w io.Writer, r policies.Reading, whose string) error {
	_, _ = fmt.Fprintf(w, "contract %s version %d under policy %s, %s\n\nfields\n", r.Contract, r.Version, r.Revision, whose)
	_ = writeFields(w, r.Fields)
	_, _ = fmt.Fprintln(w, "\nrows that are refused")
	for _, row := range r.Rows {
		_, _ = fmt.Fprintf(w, "  %s when %s\n", row.Code, row.When)
		writeFired(w, row.Rules)
	}
	_, err := fmt.Fprintln(w, "\nwho may do what; all else is denied")
	for _, a := range r.Access {
		_, err = fmt.Fprintf(w, "  %s %s: %s\n", a.Role, a.Action, a.When)
		writeFired(w, a.Rules)
	}
	return err
}

// writeFired writes rules with their places and words.
func writeFired(w io.Writer, rules []policies.Fired) {
	for _, rule := range rules {
		_, _ = fmt.Fprintf(w, "    %s  %s\n", rule.Place, rule.Rule)
		if rule.Description != "" {
			_, _ = fmt.Fprintf(w, "      %s\n", rule.Description)
		}
	}
}
