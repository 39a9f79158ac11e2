package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/policies"
)

// A policyCheck is what a check found.
type policyCheck struct {
	Revision    gateway.Revision   `json:"revision,omitempty"` // "" when it does not compile
	Contracts   int                `json:"contracts"`          // that have a plan
	Definitions int                `json:"definitions"`        // that have rules
	Findings    []policies.Finding `json:"findings"`
	Refused     string             `json:"refused,omitempty"` // why a gateway would not take them
}

func (c *cli) policyCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use: "check [DIR]", Short: "Look for faults in policies and ask them about every contract; nothing takes effect",
		Long: `Compile the policies in DIR, or those built in, with the built-ins that a gateway allows;
read whether every rule says why it is there, whether access is denied by default, whether
something rests on every rule, and whether tests reach it; then ask them about every
contract and release definition, as the gateway does at its start. Each finding names a
file, a line, a code and what to do. Exit code 1 when there is one, or when a gateway would
not take the policies: the floor is named.`,
		Example: `  pana policy check
  pana policy check my-policies --json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := policyFiles(first(args))
			if err != nil {
				return err
			}
			check, err := checkPolicies(cmd.Context(), files)
			if err != nil {
				return err
			}
			err = c.print(check, check.write)
			switch {
			case err != nil:
				return err
			case check.Refused != "":
				return refusal{errors.New(check.Refused)}
			case len(check.Findings) > 0:
				return refusal{fmt.Errorf("%d findings", len(check.Findings))}
			}
			return nil
		},
	}
}

func policyFiles(dir string) (fs.FS, error) {
	if dir == "" {
		return policies.EmbeddedFiles(), nil
	}
	info, err := os.Stat(dir)
	if err != nil || !info.IsDir() {
		return nil, usageError{errors.New("there is no folder of policies " + dir)}
	}
	return os.DirFS(dir), nil
}

func checkPolicies(ctx context.Context, files fs.FS) (policyCheck, error) {
	found, err := policies.Check(ctx, files)
	check := policyCheck{Findings: append([]policies.Finding{}, found...)}
	if err != nil {
		return check, err
	}
	set, err := policies.Compile(ctx, files)
	if err != nil {
		check.Refused = err.Error()
		return check, ctx.Err()
	}
	contracts, err := configs.Contracts()
	if err != nil {
		return check, err
	}
	definitions, err := configs.Definitions()
	if err != nil {
		return check, err
	}
	check.Revision = set.Revision()
	err = admitted(ctx, set, contracts, definitions)
	if err != nil {
		check.Refused = err.Error()
		return check, ctx.Err()
	}
	check.Contracts, check.Definitions = len(contracts), len(definitions)
	return check, nil
}

func (p policyCheck) write(w io.Writer) error {
	for _, f := range p.Findings {
		_, _ = fmt.Fprintln(w, f)
	}
	if p.Refused != "" {
		return nil
	}
	_, err := fmt.Fprintf(w, "revision %s: %d contracts have a plan, %d release definitions have rules\n", p.Revision, p.Contracts, p.Definitions)
	return err
}
