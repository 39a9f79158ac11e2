package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
)

func (c *cli) accessCommand() *cobra.Command {
	var flags clientFlags
	command := &cobra.Command{Use: "access", Short: "Agencies and API keys (operators)"}
	flags.add(command)
	command.AddCommand(c.addAgencyCommand(&flags), c.listAgenciesCommand(&flags),
		c.addKeyCommand(&flags), c.listKeysCommand(&flags), c.revokeKeyCommand(&flags))
	return command
}

func (c *cli) addAgencyCommand(flags *clientFlags) *cobra.Command {
	var a exchange.Agency
	command := &cobra.Command{
		Use: "agency AGENCY --contract C --regions CODES --from QUARTER", Short: "Register an agency and what it is expected to report",
		Example: "  pana access agency agency-police --contract police --regions 10,11,15 --from 2023Q1",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a.ID = gateway.AgencyID(args[0])
			cl, err := flags.client()
			if err != nil {
				return err
			}
			err = cl.call(cmd.Context(), http.MethodPost, "/v1/access/agencies", a, nil)
			if err != nil {
				return err
			}
			return c.print(a, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "agency %s may send %s\n", a.ID, a.Contract)
				return err
			})
		},
	}
	f := command.Flags()
	f.StringVar((*string)(&a.Contract), "contract", "", "the contract that it sends")
	f.StringVar(&a.Title.EN, "title", "", "its name")
	f.StringSliceVar(&a.Regions, "regions", nil, "codes of the regions that it reports")
	f.StringVar(&a.From, "from", "", "first quarter that it is expected to report, such as 2023Q1")
	f.StringVar(&a.To, "to", "", "last quarter; default: until further notice")
	require(command, "contract", "regions", "from")
	return command
}

func (c *cli) listAgenciesCommand(flags *clientFlags) *cobra.Command {
	return &cobra.Command{
		Use: "agencies", Short: "List the registered agencies",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := flags.client()
			if err != nil {
				return err
			}
			var list struct {
				Agencies []exchange.Agency `json:"agencies"`
			}
			err = cl.call(cmd.Context(), http.MethodGet, "/v1/access/agencies", nil, &list)
			if err != nil {
				return err
			}
			return c.print(list.Agencies, func(w io.Writer) error {
				t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
				_, _ = fmt.Fprintln(t, "agency\tcontract\tfrom\tto\tregions")
				for _, a := range list.Agencies {
					_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", a.ID, a.Contract, a.From, a.To, strings.Join(a.Regions, ","))
				}
				return t.Flush()
			})
		},
	}
}

func (c *cli) addKeyCommand(flags *clientFlags) *cobra.Command {
	var k exchange.KeySpec
	var purposes []string
	command := &cobra.Command{
		Use: "add --role ROLE --subject WHO --organisation ORG", Short: "Make an API key; it is shown once",
		Example: `  pana access add --role agency --agency agency-police >police.key
  pana access add --role agency --agency agency-social --unit shelter-3 >shelter-3.key
  pana access add --role officer --subject aigerim --organisation data-protection >officer.key
  pana access add --role researcher --subject dana --organisation institute --purpose policy-evaluation >dana.key`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, p := range purposes {
				k.Purposes = append(k.Purposes, gateway.Purpose(p))
			}
			cl, err := flags.client()
			if err != nil {
				return err
			}
			var made exchange.KeySpec
			err = cl.call(cmd.Context(), http.MethodPost, "/v1/access/keys", k, &made)
			if err != nil {
				return err
			}
			return c.print(made, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s\n", made.Token)
				return err
			})
		},
	}
	f := command.Flags()
	f.StringVar((*string)(&k.Role), "role", "", "agency, researcher, officer, steward or operator")
	f.StringVar(&k.Subject, "subject", "", "the person, or the agency")
	f.StringVar(&k.Org, "organisation", "", "the person's organisation")
	f.StringVar((*string)(&k.Agency), "agency", "", "of an agency's key: the agency")
	f.StringVar(&k.Unit, "unit", "", "of an agency's key: the part of the agency that holds it, such as a shelter")
	f.StringSliceVar(&purposes, "purpose", nil, "of a researcher's key: purposes that are granted")
	require(command, "role")
	return command
}

func (c *cli) listKeysCommand(flags *clientFlags) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the API keys, never a token",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := flags.client()
			if err != nil {
				return err
			}
			var list struct {
				Keys []exchange.KeySpec `json:"keys"`
			}
			err = cl.call(cmd.Context(), http.MethodGet, "/v1/access/keys", nil, &list)
			if err != nil {
				return err
			}
			return c.print(list.Keys, func(w io.Writer) error {
				t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
				_, _ = fmt.Fprintln(t, "key\trole\tsubject\torganisation\tunit\trevoked")
				for _, k := range list.Keys {
					_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%t\n", k.ID, k.Role, k.Subject, k.Org, k.Unit, !k.Revoked.IsZero())
				}
				return t.Flush()
			})
		},
	}
}

func (c *cli) revokeKeyCommand(flags *clientFlags) *cobra.Command {
	return &cobra.Command{
		Use: "revoke KEY", Short: "End an API key at once",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := flags.client()
			if err != nil {
				return err
			}
			err = cl.call(cmd.Context(), http.MethodDelete, "/v1/access/keys/"+url.PathEscape(args[0]), nil, nil)
			if err != nil {
				return err
			}
			return c.print(map[string]string{"revoked": args[0]}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "key %s is revoked\n", args[0])
				return err
			})
		},
	}
}
