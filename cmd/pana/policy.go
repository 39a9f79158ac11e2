package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/policies"
)

func (c *cli) policyCommand() *cobra.Command {
	var flags clientFlags
	command := &cobra.Command{Use: "policy", Short: "Check, propose, approve and read policies (officers)"}
	command.AddCommand(c.policyCheckCommand(), c.policyTestCommand(), c.policyPlanCommand(&flags), c.policyWhyCommand(&flags), c.policyListCommand(&flags),
		c.policyFoundCommand(), c.policyProposeCommand(&flags), c.policyShowCommand(&flags), c.policyApproveCommand(&flags),
		c.policyRejectCommand(&flags), c.policyRollbackCommand(&flags), c.policySignersCommand(&flags))
	return command
}

// admitted asks policies all that a gateway asks before it serves.
func admitted(ctx context.Context, set *policies.Set, contracts []*gateway.Contract, definitions map[string]*gateway.Definition) error {
	for _, contract := range contracts {
		violations, err := set.Violations(ctx, contract)
		if err != nil {
			return err
		}
		if len(violations) > 0 {
			return fmt.Errorf("contract %s is not acceptable: %s", contract.ID, violations[0])
		}
		_, err = set.Plan(ctx, contract)
		if err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(definitions)) {
		_, err := set.Rules(ctx, definitions[name])
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *cli) policyTestCommand() *cobra.Command {
	return &cobra.Command{
		Use: "test [DIR]", Short: "Run the Rego tests beside the policies, with line coverage",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := policySet(cmd.Context(), first(args))
			if err != nil {
				return asRefusal(err)
			}
			report, err := set.Test(cmd.Context())
			if err != nil {
				return asRefusal(err)
			}
			err = c.print(report, func(w io.Writer) error { return writeTests(w, report) })
			if err == nil && !report.OK() {
				err = refusal{errors.New("policy tests failed")}
			}
			return err
		},
	}
}

func writeTests(w io.Writer, r policies.TestReport) error {
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	for _, f := range r.Files {
		if f.Test {
			_, _ = fmt.Fprintf(t, "  %s\t%d passed, %d failed\n", f.Name, f.Passed, f.Failed)
			for _, failure := range f.Failures {
				_, _ = fmt.Fprintf(t, "    failed\t%s\n", failure)
			}
			continue
		}
		_, _ = fmt.Fprintf(t, "  %s\t%.1f %% of lines covered\t%s\n", f.Name, f.Coverage, uncovered(f.Uncovered))
	}
	err := t.Flush()
	if err == nil {
		_, err = fmt.Fprintf(w, "%d passed, %d failed, %.1f %% of lines covered\n", r.Passed, r.Failed, r.Coverage)
	}
	return err
}

func uncovered(lines []int) string {
	if len(lines) == 0 {
		return ""
	}
	return fmt.Sprintf("not: lines %v", lines)
}

func (c *cli) policyListCommand(flags *clientFlags) *cobra.Command {
	command := &cobra.Command{
		Use: "list", Short: "The policies in force at a gateway, and what was proposed",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := flags.client()
			if err != nil {
				return err
			}
			var in json.RawMessage
			err = cl.call(cmd.Context(), http.MethodGet, "/v1/policies", nil, &in)
			if err != nil {
				return err
			}
			var summary struct {
				Revision string `json:"revision"`
				Notice   string `json:"notice"`
				Files    []struct {
					Name string `json:"name"`
				} `json:"files"`
			}
			err = json.Unmarshal(in, &summary)
			if err != nil {
				return errors.New("the gateway's answer is not the JSON that this version reads")
			}
			var list struct {
				Proposals []exchange.Proposal `json:"proposals"`
			}
			err = cl.call(cmd.Context(), http.MethodGet, "/v1/policies/proposals", nil, &list)
			if err != nil {
				return err
			}
			shown := map[string]any{"in_force": in, "proposals": list.Proposals}
			return c.print(shown, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "revision %s\n%s\n", summary.Revision, summary.Notice)
				for _, f := range summary.Files {
					_, err = fmt.Fprintf(w, "  %s\n", f.Name)
				}
				for _, p := range list.Proposals {
					_, err = fmt.Fprintf(w, "%s  %s  %s  %.16s  %s\n", p.ID, p.Created.Format("2006-01-02 15:04"), p.Kind, p.Object, p.State)
				}
				return err
			})
		},
	}
	flags.add(command)
	return command
}

func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// asRefusal marks an error as the input's fault: the policies are the input.
func asRefusal(err error) error {
	if _, ok := errors.AsType[usageError](err); ok {
		return err
	}
	return refusal{err}
}
