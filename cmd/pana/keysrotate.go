package main

import (
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/pana-exchange/pana/gateway/api"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/gateway/registry"
)

const keysHelp = `The keyring holds the keys that turn identifiers into pseudonyms. It is one age file,
sealed for the operator and again for the data protection officer: plain age opens it
too (age -d -i officer.txt keyring.age | age -d -i identity.txt), and nothing prints a
key. There is no key management service in the path; whatever hands the two identities
over at the start (a mounted device, a secret store) stands before pana.

A pid is made in two layers. The outer key, K2, has epochs: pending, active, retired,
destroyed. To change it, because it may have been seen or because the year is over:

  pana keys new-epoch                               make the next key; nothing uses it yet
  pana keys propose rotate --epoch 2 --reason WHY   then two people sign the statement:
  ssh-keygen -Y sign -f KEY -n pana-keys STATEMENT  an officer, and one in another role
  pana policy approve PROPOSAL …                    each brings the signature
  pana keys rotate --proposal PROPOSAL              move every stored pid; questions go on
  pana keys propose destroy --epoch 1 …             and sign, in the same way
  pana keys destroy --epoch 1 --proposal PROPOSAL   the old key is gone for good

Rotation moves pids alone: record keys and referral keys have one layer, and the days by
which dates are shifted and the noise of releases hang on the inner pseudonym, so no
published cell, and no future one, changes.`

func (c *cli) keysShowCommand() *cobra.Command {
	var data, officer string
	flags := &clientFlags{}
	var running bool
	command := &cobra.Command{
		Use: "show", Short: "Show epochs, their states and check values, never a key",
		Long: `Show the public key of the ledger, the epochs of the outer key with their states, and the
check value of each key: HMAC-SHA-256(key, "kcv"), 8 bytes. Two keyrings with the same
check values are the same. It reads the keyring file; with --running it asks the gateway,
which also knows the states.`,
		Example: "  pana keys show --data pana-data\n  pana keys show --running",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if running {
				return c.showRunning(cmd, flags)
			}
			p := pathsOf(data)
			keys, err := openKeyring(p.keyring, p.identity, officer)
			if err != nil {
				return err
			}
			shown := struct {
				Installation string            `json:"installation"`
				LedgerKey    string            `json:"ledger_key"`
				Custodians   int               `json:"custodians"`
				Recovery     string            `json:"recovery,omitempty"`
				Epoch        int               `json:"epoch"`
				Epochs       []int             `json:"epochs"`
				Check        string            `json:"check_value"`
				Checks       map[string]string `json:"check_values"`
			}{
				keys.Installation(), keys.VerifierKey(), keys.Layers(), keys.Recovery(), keys.Epoch(), keys.Epochs(), keys.KCV(), keys.CheckValues(),
			}
			return c.print(shown, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "installation  %s\nledger key    %s\ncustodians    %d\nepoch         %d of %v\ncheck value   %s\n",
					shown.Installation, shown.LedgerKey, shown.Custodians, shown.Epoch, shown.Epochs, shown.Check)
				return err
			})
		},
	}
	command.Flags().StringVar(&data, "data", "pana-data", "data directory")
	command.Flags().StringVar(&officer, "officer-identity", "", "the officer's identity file, where the keyring is sealed twice")
	command.Flags().BoolVar(&running, "running", false, "ask the gateway that runs")
	flags.add(command)
	return command
}

func (c *cli) showRunning(cmd *cobra.Command, flags *clientFlags) error {
	cl, err := flags.client()
	if err != nil {
		return err
	}
	var view exchange.KeyView
	err = cl.call(cmd.Context(), http.MethodGet, "/v1/keys", nil, &view)
	if err != nil {
		return err
	}
	return c.printKeys(view)
}

func (c *cli) printKeys(view exchange.KeyView) error {
	return c.print(view, func(w io.Writer) error {
		t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(t, "epoch\tstate\tcheck value")
		for _, e := range view.Epochs {
			_, _ = fmt.Fprintf(t, "%d\t%s\t%s\n", e.Epoch, e.State, e.KCV)
		}
		return t.Flush()
	})
}

func (c *cli) keysEpochCommand() *cobra.Command {
	flags := &clientFlags{}
	command := &cobra.Command{
		Use: "new-epoch", Short: "Make the next outer key; it is pending until a rotation",
		Long: `Make the next outer key, seal the keyring again for those who opened it, and the copy for
recovery. Nothing uses the key yet. Carry the new keyring.recovery.age away before you
rotate: after the rotation older copies recover nothing.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := flags.client()
			if err != nil {
				return err
			}
			var made registry.KeyEpoch
			err = cl.call(cmd.Context(), http.MethodPost, "/v1/keys/epochs", struct{}{}, &made)
			if err != nil {
				return err
			}
			return c.print(made, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "epoch %d is %s, check value %s\n", made.Epoch, made.State, made.KCV)
				return err
			})
		},
	}
	flags.add(command)
	return command
}

func (c *cli) keysProposeCommand() *cobra.Command {
	flags := &clientFlags{}
	var request api.KeyRequest
	command := &cobra.Command{
		Use: "propose rotate|destroy --epoch N --reason WHY", Short: "Propose what two people have to sign, and print the statement",
		Long: `Store a proposal about the key of an epoch and print the statement that an officer and
somebody in another role sign:

  pana keys propose rotate --epoch 2 --reason "yearly" --json | jq -r .statement >statement
  ssh-keygen -Y sign -f ~/.ssh/id_ed25519 -n pana-keys statement

Whatever changes a key's state ends the proposals that were made before. A proposal can be
signed for a week.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request.Action = registry.KeyAction(args[0])
			cl, err := flags.client()
			if err != nil {
				return err
			}
			var p api.KeyProposal
			err = cl.call(cmd.Context(), http.MethodPost, "/v1/keys/proposals", request, &p)
			if err != nil {
				return err
			}
			return c.print(p, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "proposal %s: %s\n%s\n", p.ID, p.Object, p.Statement)
				return err
			})
		},
	}
	flags.add(command)
	command.Flags().IntVar(&request.Epoch, "epoch", 0, "which key")
	command.Flags().StringVar(&request.Reason, "reason", "", "why, for the record")
	require(command, "epoch", "reason")
	return command
}

func (c *cli) keysRotateCommand() *cobra.Command {
	flags := &clientFlags{}
	var request api.KeyRequest
	command := &cobra.Command{
		Use: "rotate --proposal ID", Short: "Move every stored pid to the pending key, while the gateway runs",
		Long: `Move every stored pid to the pending key. Each batch is copied under a fresh load id and
verified as an upload is; then all batches and the key change at one moment. Questions
and uploads go on; for the last seconds uploads are told to come again. When it is
interrupted, or the gateway is killed, the old key stays in force and nothing is left.
The rows under the old key are erased from the disk before it may be destroyed.`,
		Example: "  pana keys rotate --proposal p2h4…",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := flags.client()
			if err != nil {
				return err
			}
			var r exchange.Rotated
			err = cl.call(cmd.Context(), http.MethodPost, "/v1/keys/rotation", request, &r)
			if err != nil {
				return err
			}
			return c.print(r, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%d rows of %d batches are under the key of epoch %d\n%s in all, %.0f rows a second; uploads waited %s\n",
					r.Rows, r.Batches, r.To, r.Copying.Round(1e6), float64(r.Rows)/r.Copying.Seconds(), r.Fenced.Round(1e6))
				return err
			})
		},
	}
	flags.add(command)
	command.Flags().StringVar(&request.Proposal, "proposal", "", "that two people with two roles have signed")
	return command
}

func (c *cli) keysDestroyCommand() *cobra.Command {
	flags := &clientFlags{}
	var request api.KeyRequest
	command := &cobra.Command{
		Use: "destroy --epoch N --proposal ID", Short: "Destroy a retired key, or a pending one that is not wanted",
		Long: `Take a key out of the keyring for ever, once no rows under it are left on the disk. What
only it linked is severed: old backups of the rows link with nothing any more, provided
that older copies of the keyring and of keyring.recovery.age are destroyed too. That is
their keepers' to do.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := flags.client()
			if err != nil {
				return err
			}
			var view exchange.KeyView
			err = cl.call(cmd.Context(), http.MethodPost, "/v1/keys/destruction", request, &view)
			if err != nil {
				return err
			}
			return c.printKeys(view)
		},
	}
	flags.add(command)
	command.Flags().IntVar(&request.Epoch, "epoch", 0, "which key")
	command.Flags().StringVar(&request.Proposal, "proposal", "", "that two people with two roles have signed")
	require(command, "epoch")
	return command
}
