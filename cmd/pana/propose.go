package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/approval"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/gateway/registry"
)

func (c *cli) policyProposeCommand(flags *clientFlags) *cobra.Command {
	var draft exchange.PolicyDraft
	command := &cobra.Command{
		Use: "propose [DIR] --reason TEXT", Short: "Propose policies; two people with two roles approve them",
		Long: `Send the policies in DIR, or those built into this program, to a gateway. It compiles
them, runs their own tests, compares their effects with those in force, and keeps them
for two people with two roles to sign. Nothing takes effect before.`,
		Example: `  pana policy propose my-policies --reason "three characters of a diagnosis are not enough for the asthma study"`,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := policySet(cmd.Context(), first(args))
			if err != nil {
				return asRefusal(err)
			}
			draft.Bundle, err = set.Bundle()
			if err != nil {
				return err
			}
			return c.propose(cmd.Context(), flags, "/v1/policies", draft)
		},
	}
	flags.add(command)
	command.Flags().StringVar(&draft.Reason, "reason", "", "why, for the record")
	require(command, "reason")
	return command
}

func (c *cli) policyRollbackCommand(flags *clientFlags) *cobra.Command {
	var draft exchange.PolicyDraft
	command := &cobra.Command{
		Use: "rollback REVISION --reason TEXT", Short: "Propose policies that were in force before",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			draft.Revision = gateway.Revision(args[0])
			return c.propose(cmd.Context(), flags, "/v1/policies", draft)
		},
	}
	flags.add(command)
	command.Flags().StringVar(&draft.Reason, "reason", "", "why, for the record")
	require(command, "reason")
	return command
}

func (c *cli) policySignersCommand(flags *clientFlags) *cobra.Command {
	var reason string
	command := &cobra.Command{
		Use: "signers [FILE --reason TEXT]", Short: "Show who may sign, or propose another allowed_signers file",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.showSigners(cmd.Context(), flags)
			}
			text, err := os.ReadFile(args[0])
			if err != nil {
				return usageError{errors.New("the file of signers cannot be read: " + args[0])}
			}
			return c.propose(cmd.Context(), flags, "/v1/policies/signers", map[string]string{"signers": string(text), "reason": reason})
		},
	}
	flags.add(command)
	command.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return command
}

func (c *cli) showSigners(ctx context.Context, flags *clientFlags) error {
	cl, err := flags.client()
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, cl.base+"/v1/policies/signers", nil)
	if err != nil {
		return usageError{errors.New("the gateway's address is not one: " + cl.base)}
	}
	file, err := cl.do(request)
	if err != nil {
		return err
	}
	return c.print(map[string]string{"signers": string(file)}, func(w io.Writer) error {
		_, err := w.Write(file)
		return err
	})
}

func (c *cli) propose(ctx context.Context, flags *clientFlags, path string, draft any) error {
	cl, err := flags.client()
	if err != nil {
		return err
	}
	var p exchange.Proposal
	err = cl.call(ctx, http.MethodPost, path, draft, &p)
	if err != nil {
		return err
	}
	return c.print(p, func(w io.Writer) error { return writeProposal(w, p) })
}

func proposalPath(ref string) string { return "/v1/policies/" + url.PathEscape(ref) }

// readProposal fetches a proposal and checks what can be checked of it: that the
// statement is of these effects. Whoever signs signs what they were shown.
func (c *client) readProposal(ctx context.Context, ref string) (exchange.Proposal, error) {
	var p exchange.Proposal
	err := c.call(ctx, http.MethodGet, proposalPath(ref), nil, &p)
	if err != nil {
		return p, err
	}
	s, err := approval.ParseStatement([]byte(p.Statement))
	if err != nil || s.Effects != approval.Of(p.Effects) || s.Object != p.Object || s.Base != p.Base || s.Proposal != p.ID || s.Kind != string(p.Kind) {
		return p, refusal{errors.New("the gateway's statement is not of the effects that it shows: do not sign it")}
	}
	return p, nil
}

func (c *cli) policyShowCommand(flags *clientFlags) *cobra.Command {
	var bundle string
	command := &cobra.Command{
		Use: "show PROPOSAL", Short: "What a proposal would change, weakest first, and who signed it",
		Long: `Show a proposal by its id, or by the first characters of its revision: its effects, weakest
first, and its signatures. --bundle writes its files, which opa, tar and sha256sum read.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := flags.client()
			if err != nil {
				return err
			}
			p, err := cl.readProposal(cmd.Context(), args[0])
			if err == nil && bundle != "" {
				err = cl.saveBundle(cmd.Context(), p.ID, bundle)
			}
			if err != nil {
				return err
			}
			return c.print(p, func(w io.Writer) error { return writeProposal(w, p) })
		},
	}
	flags.add(command)
	command.Flags().StringVar(&bundle, "bundle", "", "write the proposed files to this file, a tar.gz")
	return command
}

func (c *client) saveBundle(ctx context.Context, id, file string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+proposalPath(id)+"/bundle", nil)
	if err != nil {
		return usageError{errors.New("the gateway's address is not one: " + c.base)}
	}
	text, err := c.do(request)
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}

func (c *cli) policyApproveCommand(flags *clientFlags) *cobra.Command {
	var key, signature, reason string
	command := &cobra.Command{
		Use: "approve PROPOSAL", Short: "Read what a proposal would change, and sign it",
		Long: `Show what a proposal would change, and sign it with an SSH key (--key), or bring a
signature that was made elsewhere (--signature). Without either, what is to be signed is
written to a file, and how. It takes two people with two roles, one of them an officer.`,
		Example: `  pana policy approve p3k5…                                   # shows, and says how to sign
  pana policy approve p3k5… --key ~/.ssh/id_ed25519 --reason "read, agreed"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := flags.client()
			if err != nil {
				return err
			}
			p, err := cl.readProposal(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if key == "" && signature == "" {
				return c.tellHowToSign(p)
			}
			if reason == "" {
				return usageError{errors.New("say why, for the record: --reason")}
			}
			armored, err := c.signatureOf(cmd.Context(), p, key, signature)
			if err != nil {
				return err
			}
			err = cl.call(cmd.Context(), http.MethodPost, proposalPath(p.ID)+"/approval", map[string]string{"signature": string(armored), "reason": reason}, &p)
			if err != nil {
				return err
			}
			return c.print(p, func(w io.Writer) error { return writeProposal(w, p) })
		},
	}
	flags.add(command)
	command.Flags().StringVar(&key, "key", "", "your SSH key; one with a passphrase, an agent or hardware is used by ssh-keygen")
	command.Flags().StringVar(&signature, "signature", "", "a file with the signature")
	command.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return command
}

func (c *cli) signatureOf(ctx context.Context, p exchange.Proposal, key, signature string) ([]byte, error) {
	if signature == "" {
		return c.signWith(ctx, key, namespaceOf(p.Kind), []byte(p.Statement))
	}
	armored, err := os.ReadFile(signature) //nolint:gosec // the signer names the file
	if err != nil {
		return nil, usageError{errors.New("the signature cannot be read: " + signature)}
	}
	return armored, nil
}

// namespaceOf is what signatures of a kind of proposal are for.
func namespaceOf(kind registry.ProposalKind) approval.Namespace {
	switch kind {
	case registry.PolicyChange, registry.SignersChange:
		return approval.Policy
	case registry.ErasureChange:
		return approval.Erasure
	case registry.KeyChange:
	}
	return approval.Keys
}

// tellHowToSign writes what is signed to a file, and says what to type.
func (c *cli) tellHowToSign(p exchange.Proposal) error {
	file := p.ID + ".json"
	err := os.WriteFile(file, []byte(p.Statement), 0o600)
	if err != nil {
		return fmt.Errorf("writing the statement: %w", err)
	}
	return c.print(p, func(w io.Writer) error {
		err := writeProposal(w, p)
		if err == nil {
			_, err = fmt.Fprintf(w, "to sign it:\n  %s\n  pana policy approve %s --signature %s.sig --reason …\n",
				signCommand(namespaceOf(p.Kind), file), p.ID, file)
		}
		return err
	})
}

func (c *cli) policyRejectCommand(flags *clientFlags) *cobra.Command {
	var reason string
	command := &cobra.Command{
		Use: "reject PROPOSAL --reason TEXT", Short: "End a proposal; one person is enough",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := flags.client()
			if err != nil {
				return err
			}
			var p exchange.Proposal
			err = cl.call(cmd.Context(), http.MethodPost, proposalPath(args[0])+"/rejection", map[string]string{"reason": reason}, &p)
			if err != nil {
				return err
			}
			return c.print(p, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "proposal %s is %s\n", p.ID, p.State)
				return err
			})
		},
	}
	flags.add(command)
	command.Flags().StringVar(&reason, "reason", "", "why, for the record")
	require(command, "reason")
	return command
}

func writeProposal(w io.Writer, p exchange.Proposal) error {
	_, _ = fmt.Fprintf(w, "proposal %s, %s %s: %s\n", p.ID, p.Kind, p.Object, p.State)
	_, _ = fmt.Fprintf(w, "  proposed by %s on %s: %s\n", p.Proposer, p.Created.Format("2006-01-02 15:04 MST"), p.Reason)
	var effects exchange.Effects
	err := json.Unmarshal(p.Effects, &effects)
	if err != nil {
		return errors.New("the gateway's effects are not the JSON that this version reads")
	}
	err = writeEffects(w, effects)
	for _, a := range p.Approvals {
		_, err = fmt.Fprintf(w, "signed by %s on %s: %s\n", a.Signer, a.At.Format("2006-01-02 15:04 MST"), a.Reason)
	}
	if p.Missing != "" {
		_, err = fmt.Fprintf(w, "not in force; missing: %s\n", p.Missing)
	}
	return err
}

// writeEffects prints what a policy changes, weakest first.
func writeEffects(w io.Writer, e exchange.Effects) error {
	if len(e.Changes) == 0 {
		_, _ = fmt.Fprintln(w, "effects on the contracts, releases and roles of this gateway: none")
	} else {
		_, _ = fmt.Fprintln(w, "effects, weakest first:")
	}
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	for _, change := range e.Changes {
		_, _ = fmt.Fprintf(t, "  %s\n", change)
	}
	err := t.Flush()
	if len(e.Files) > 0 {
		_, err = fmt.Fprintf(w, "files: %s\n", strings.Join(e.Files, ", "))
	}
	if e.Tests.Passed > 0 {
		_, err = fmt.Fprintf(w, "tests: %d passed, %.1f %% of lines covered\n", e.Tests.Passed, e.Tests.Coverage)
	}
	if e.Replay != nil {
		err = writeReplay(w, e.Replay)
	}
	return err
}

// writeReplay prints what a policy would have decided about what came last.
func writeReplay(w io.Writer, r *exchange.Replay) error {
	_, err := fmt.Fprintf(w, "replay: of the last %d questions, %d that were denied would be allowed, %d that were allowed denied%s\n"+
		"replay: of the last %d uploads, %d would be denied, %d treated otherwise\n",
		r.Questions, r.QuestionsAllowed, r.QuestionsDenied, unreplayed(r.Unknown), r.Uploads, r.UploadsDenied, r.UploadsTreated)
	for _, release := range r.Releases {
		if release.Why != "" {
			_, err = fmt.Fprintf(w, "replay: cells of release %s: not replayed, %s\n", release.Release, release.Why)
			continue
		}
		_, _ = fmt.Fprintf(w, "replay: shown cells of release %s that would be hidden, estimated from their published values\n", release.Release)
		var sets [10][]string
		for _, s := range release.Sets {
			sets[s.Band] = append(sets[s.Band], cmp.Or(s.Set, "total"))
		}
		for band, names := range sets {
			if len(names) > 0 {
				_, err = fmt.Fprintf(w, "  %d to %d %%: %s\n", 10*band, 10*band+10, strings.Join(names, ", "))
			}
		}
	}
	return err
}

func unreplayed(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("; %d cannot be replayed", n)
}
