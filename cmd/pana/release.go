package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

func (c *cli) releaseCommand() *cobra.Command {
	var flags clientFlags
	command := &cobra.Command{
		Use:   "release",
		Short: "Plan, build, approve and look at releases (stewards, officers)",
	}
	flags.add(command)
	command.AddCommand(c.planCommand(), c.buildCommand(&flags), c.listCommand(&flags), c.showCommand(&flags),
		c.approveCommand(&flags), c.cellCommand(&flags), c.closeCommand(&flags))
	return command
}

// planCommand needs no gateway and no data: what is admitted is decided without
// looking at any.
func (c *cli) planCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "plan [CUBES]",
		Short: "What a release definition admits, and the noise it needs; looks at no data",
		Long: `Print the grouping sets of a release definition, their nominal cells, A by node
depth and the variance V that they need: V >= 7.8 A (disclosure.md 2.5).
CUBES is the name of a built-in definition or a YAML file; the default is demo.
Exit code 1 when the definition needs more noise than it has.`,
		Example: `  pana release plan
  pana release plan --json cubes.yaml`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			name := "demo"
			if len(args) == 1 {
				name = args[0]
			}
			d, err := definition(name)
			if err != nil {
				return err
			}
			budget, refused := disclosure.Plan(d)
			if budget == nil {
				return refused
			}
			err = c.print(budget, func(w io.Writer) error {
				_, err := io.WriteString(w, budget.String())
				return err
			})
			return errors.Join(refused, err)
		},
	}
}

// definition reads a release definition: a YAML file, or a built-in one by name.
func definition(name string) (*gateway.Definition, error) {
	_, err := os.Stat(name)
	if err != nil {
		return configs.Definition(name)
	}
	return configs.DefinitionFile(name)
}

func (c *cli) buildCommand(flags *clientFlags) *cobra.Command {
	var request struct {
		Definition string `json:"definition"`
		From       string `json:"from,omitempty"`
		To         string `json:"to,omitempty"`
		Revision   string `json:"revision,omitempty"`
	}
	command := &cobra.Command{
		Use:   "build [DEFINITION]",
		Short: "Count and protect a release; nothing answers until an officer approves it",
		Long: `Count and protect a release. Quarters that an approved release counted count the
same records again: what came late waits until enough children changed that none
stands out, and is then counted by itself, or for the yearly revision, which counts
everything, once in 365 days. A gateway approves four releases within 365 days, all
of one lineage.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request.Definition = "demo"
			if len(args) == 1 {
				request.Definition = args[0]
			}
			cl, err := flags.client()
			if err != nil {
				return err
			}
			c.say("counting, protecting and describing; attacking invented children in their place …")
			var r gateway.Release
			err = cl.call(cmd.Context(), http.MethodPost, "/v1/releases", request, &r)
			if err != nil {
				return err
			}
			return c.printRelease(r)
		},
	}
	command.Flags().StringVar(&request.From, "from", "", "first quarter of the window, such as 2023Q1; default: the definition's")
	command.Flags().StringVar(&request.To, "to", "", "last quarter of the window, one that has ended")
	command.Flags().StringVar(&request.Revision, "revision", "", "yearly: count everything that came late or was withdrawn")
	return command
}

func (c *cli) listCommand(flags *clientFlags) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the releases that you may know of",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := flags.client()
			if err != nil {
				return err
			}
			var list struct {
				Releases []gateway.Release `json:"releases"`
			}
			err = cl.call(cmd.Context(), http.MethodGet, "/v1/releases", nil, &list)
			if err != nil {
				return err
			}
			return c.print(list.Releases, func(w io.Writer) error { return writeReleases(w, list.Releases) })
		},
	}
}

func (c *cli) printRelease(r gateway.Release) error {
	return c.print(r, func(w io.Writer) error { return writeReleases(w, []gateway.Release{r}) })
}

func writeReleases(w io.Writer, list []gateway.Release) error {
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "release\tstate\tdigest of the risk page")
	for _, r := range list {
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\n", r.ID, r.State, r.Page)
	}
	return t.Flush()
}

func (c *cli) approveCommand(flags *clientFlags) *cobra.Command {
	var request struct {
		Digest string `json:"digest"`
		Reason string `json:"reason"`
	}
	command := &cobra.Command{
		Use:   "approve RELEASE --digest SHA256 --reason TEXT",
		Short: "Open a release to questions (officers): you approve the risk page with this digest",
		Example: `  pana release show demo-1 --risk
  pana release approve demo-1 --digest 9f86d0…0a08 --reason "read and understood"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if request.Digest == "" {
				return usageError{errors.New("name the digest that stands on the risk page: pana release show --risk " + args[0])}
			}
			cl, err := flags.client()
			if err != nil {
				return err
			}
			var r gateway.Release
			err = cl.call(cmd.Context(), http.MethodPost, "/v1/releases/"+url.PathEscape(args[0])+"/approval", request, &r)
			if err != nil {
				return err
			}
			return c.printRelease(r)
		},
	}
	command.Flags().StringVar(&request.Digest, "digest", "", "digest of the risk page")
	command.Flags().StringVar(&request.Reason, "reason", "", "why, for the record")
	return command
}

func (c *cli) closeCommand(flags *clientFlags) *cobra.Command {
	var reason string
	command := &cobra.Command{
		Use: "withdraw RELEASE --reason TEXT", Short: "Close a release for good (stewards, officers)",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := flags.client()
			if err != nil {
				return err
			}
			var r gateway.Release
			query := url.Values{"reason": {reason}}
			err = cl.call(cmd.Context(), http.MethodDelete, "/v1/releases/"+url.PathEscape(args[0])+"?"+query.Encode(), nil, &r)
			if err != nil {
				return err
			}
			return c.printRelease(r)
		},
	}
	command.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return command
}
