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
	"github.com/pana-exchange/pana/gateway/exchange"
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

func (c *cli) showCommand(flags *clientFlags) *cobra.Command {
	var risk bool
	command := &cobra.Command{
		Use: "show RELEASE", Short: "The catalogue of a release, or with --risk what an officer reads before approving",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := flags.client()
			if err != nil {
				return err
			}
			if risk {
				return c.showRisk(cmd.Context(), cl, args[0])
			}
			var catalogue exchange.Catalogue
			err = cl.call(cmd.Context(), http.MethodGet, "/v1/releases/"+url.PathEscape(args[0]), nil, &catalogue)
			if err != nil {
				return err
			}
			return c.print(catalogue, func(w io.Writer) error { return writeCatalogue(w, catalogue) })
		},
	}
	command.Flags().BoolVar(&risk, "risk", false, "the risk page: by grouping set, never a cell")
	return command
}

func writeCatalogue(w io.Writer, c exchange.Catalogue) error {
	d := c.Pinned.Definition
	_, _ = fmt.Fprintf(w, "release %s  %s  built %s\ncells  %s\npolicy %s\n%s\n", c.ID, c.State,
		c.Built.Format("2006-01-02 15:04 MST"), c.Digest, c.Policy, c.Notice)
	if d == nil {
		return nil
	}
	_, _ = fmt.Fprintf(w, "window %s to %s, variance of a count %g\n%s", d.From, d.To, d.V, c.Pinned.History())
	for _, cube := range d.Cubes {
		_, _ = fmt.Fprintf(w, "\ncube %s: %s; at most %d dimensions at once; measures %v\n", cube.ID, cube.Title.EN, cube.Cap, cube.Measures)
		t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
		for _, name := range cube.Dimensions {
			dim := d.Dimension(name)
			if dim == nil {
				continue
			}
			_, _ = fmt.Fprintf(t, "  %s\t%s\t%d codes\t%s\n", dim.Name, dim.Kind, len(dim.Nodes), dim.Title.EN)
		}
		for _, id := range cube.Values {
			if v := d.Value(id); v != nil {
				_, _ = fmt.Fprintf(t, "  %s\t%s of %s\t%d to %d %s\t%s\n", gateway.SumOf(id), v.PerChild, v.Sector, v.Min, v.Max, v.Unit.EN, v.Title.EN)
			}
		}
		err := t.Flush()
		if err != nil {
			return err
		}
	}
	for _, sentence := range c.Protection {
		_, _ = fmt.Fprintf(w, "\n%s", sentence)
	}
	_, _ = fmt.Fprintln(w)
	return writeGate(w, c.Pinned)
}

// writeGate lists the grouping sets that the sparsity gate closes. They are public, or
// readers would try them one by one.
func writeGate(w io.Writer, p exchange.Pinned) error {
	if p.Gate == nil {
		return nil
	}
	_, err := fmt.Fprintf(w, "\nclosed by the sparsity gate: %d grouping sets of %d\n", len(p.Gate.Closed), len(p.Gate.Closed)+len(p.Gate.Open))
	for _, key := range p.Gate.Closed {
		_, _ = fmt.Fprintf(w, "  %s\n", key)
	}
	if by := p.Definition.Gate; by != nil {
		_, err = fmt.Fprintf(w, "decided by the steward and the officer: open %v, close %v, because %s\n", by.Open, by.Close, by.Because)
	}
	return err
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
