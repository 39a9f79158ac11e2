package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/policies"
)

// A replayed is a decision as it was logged and as it is made again.
type replayed struct {
	Leaf    uint64           `json:"leaf"`
	Time    string           `json:"time"`
	Object  string           `json:"object"` // release/purpose/decision
	Policy  gateway.Revision `json:"policy"`
	Outcome ledger.Outcome   `json:"outcome"` // of the whole question, of which policy is one part
	Logged  ledger.Decided   `json:"logged"`
	Now     ledger.Decided   `json:"replayed"`
	Fired   []policies.Fired `json:"fired"`
	Same    bool             `json:"same"`
	OPA     string           `json:"opa,omitempty"` // the command that asks stock OPA

	// Treated is what the policies of that time did to the rows of an accepted batch.
	Treated *policies.Reading `json:"treated,omitempty"`

	set *policies.Set
}

func (c *cli) policyWhyCommand(flags *clientFlags) *cobra.Command {
	var dir string
	command := &cobra.Command{
		Use: "why DECISION|BATCH", Short: "Replay one decision from what was logged of it, and show the rules that made it",
		Long: `Replay the decision about a question, by the id that its answer names or by the index of
its leaf, or that about an accepted batch, by its id: what the ledger's leaf commits to is put to the policies of that time, as stock
OPA evaluates them. The rules that held are shown with file, line and words, and of a
batch what was done to each field. Exit code 1
when the replay differs from the log, or what is stored from what the leaf commits to.

With --opa DIR the input and the policy files of that revision are written to DIR, with
the command that asks the stock opa the same.`,
		Example: `  pana policy why 3f2c0a4e5b6d7788990a1b2c3d4e5f60
  pana policy why 1042 --opa replay`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := flags.client()
			if err != nil {
				return err
			}
			r, err := replay(cmd.Context(), cl, args[0])
			if err != nil {
				return err
			}
			if dir != "" {
				r.OPA, err = r.export(dir)
				if err != nil {
					return err
				}
			}
			err = c.print(r, r.write)
			if err == nil && !r.Same {
				err = refusal{errors.New("THE REPLAY DIFFERS FROM THE LOG: keep all files as they are and call the data protection officer")}
			}
			return err
		},
	}
	flags.add(command)
	command.Flags().StringVar(&dir, "opa", "", "folder to write what the stock opa needs; it must not exist")
	return command
}

// replay fetches what was logged, holds it against its leaf, and decides again.
func replay(ctx context.Context, cl *client, ref string) (replayed, error) {
	var d registry.Decision
	err := cl.call(ctx, http.MethodGet, "/v1/audit/decisions/"+url.PathEscape(ref), nil, &d)
	if err != nil {
		return replayed{}, err
	}
	r, err := readDecision(d)
	if err != nil {
		return replayed{}, err
	}
	bundle, err := cl.fetch(ctx, "/v1/policies/"+url.PathEscape(string(r.Policy))+"/bundle")
	if err != nil {
		return replayed{}, err
	}
	r.set, err = policies.CompileBundle(ctx, bytes.NewReader(bundle))
	if err != nil {
		return replayed{}, asRefusal(err)
	}
	if r.set.Revision() != r.Policy {
		return replayed{}, refusal{errors.New("the gateway's policy files are not those of the revision that decided; call the data protection officer")}
	}
	if d.Contract != "" {
		err = r.treated(ctx, d)
		if err != nil {
			return replayed{}, err
		}
	}
	return r, r.again(ctx)
}

// treated reads what the policies of that time do with a contract.
func (r *replayed) treated(ctx context.Context, d registry.Decision) error {
	contract, err := contractByID(d.Contract)
	if err != nil {
		return err
	}
	if contract.Version != d.Version {
		return refusal{fmt.Errorf("the batch was sent under version %d of %s; use a pana of that time", d.Version, d.Contract)}
	}
	reading, err := r.set.Read(ctx, contract)
	if err != nil {
		return asRefusal(err)
	}
	r.Treated = &reading
	return nil
}

// readDecision reads a leaf and what it commits to, and refuses what was altered.
func readDecision(d registry.Decision) (replayed, error) {
	leaf, err := ledger.DecodeLeaf(d.Leaf)
	if err != nil {
		return replayed{}, refusal{err}
	}
	if leaf.Event == ledger.BatchCommit {
		return ofBatch(leaf), nil
	}
	if d.Detail == nil {
		return replayed{}, refusal{fmt.Errorf("what leaf %d commits to was erased, or there was no decision of policy: it cannot be replayed", leaf.Seq)}
	}
	if leaf.Commit != ledger.Commitment(d.Salt, d.Detail) {
		return replayed{}, refusal{fmt.Errorf("leaf %d does not commit to the input that is stored: keep all files as they are and call the data protection officer", leaf.Seq)}
	}
	var detail ledger.Answered
	if json.Unmarshal(d.Detail, &detail) != nil || detail.Decided == nil {
		return replayed{}, refusal{fmt.Errorf("leaf %d tells of no decision of policy: policy failed, which denies", leaf.Seq)}
	}
	return replayed{
		Leaf: leaf.Seq, Time: leaf.Time.UTC().Format("2006-01-02 15:04:05"), Object: leaf.Object, Policy: leaf.Policy, Outcome: leaf.Outcome,
		Logged: *detail.Decided,
	}, nil
}

// ofBatch is the decision about a batch that was accepted, so that policy allowed it: it
// was asked with words that are the same for every agency.
func ofBatch(leaf ledger.Leaf) replayed {
	return replayed{
		Leaf: leaf.Seq, Time: leaf.Time.UTC().Format("2006-01-02 15:04:05"), Object: leaf.Object, Policy: leaf.Policy, Outcome: leaf.Outcome,
		Logged: ledger.Decided{Input: policies.OfUpload(), Allow: true},
	}
}

func (r *replayed) again(ctx context.Context) error {
	again, err := r.set.Replay(ctx, r.Logged.Input)
	if err != nil {
		return err
	}
	r.Fired = again.Fired
	r.Now = ledger.Decided{
		Input: r.Logged.Input, Redacted: r.Logged.Redacted, Allow: again.Grant.Allow, Rule: again.Grant.Rule, Because: again.Grant.Because,
	}
	if r.Treated != nil { // the leaf says that it was allowed, not by which rule
		r.Logged.Rule, r.Logged.Because = r.Now.Rule, r.Now.Because
	}
	r.Same = r.Now.Allow == r.Logged.Allow && r.Now.Rule == r.Logged.Rule && r.Now.Because == r.Logged.Because
	return nil
}

func (r *replayed) write(w io.Writer) error {
	_, _ = fmt.Fprintf(w, "leaf %d, %s: %s, %s\npolicy %s\ninput %s\n", r.Leaf, r.Time, r.Object, r.Outcome, r.Policy, r.Logged.Input)
	if r.Logged.Redacted {
		_, _ = fmt.Fprintln(w, "  the purpose was none of the key's grant: it was the caller's own text, is not kept, and - stands for it")
	}
	_, _ = fmt.Fprintln(w, "rules that held")
	writeFired(w, r.Fired)
	if r.Treated != nil {
		_, _ = fmt.Fprintf(w, "what was done to the fields of %s version %d\n", r.Treated.Contract, r.Treated.Version)
		_ = writeFields(w, r.Treated.Fields)
	}
	_, err := fmt.Fprintf(w, "policy, as logged:   %s\npolicy, as replayed: %s\n", said(r.Logged), said(r.Now))
	if r.Same && r.Logged.Allow && r.Outcome != ledger.Allowed && r.Treated == nil {
		_, err = fmt.Fprintln(w, "policy allowed it; the question itself was refused, or the release closed meanwhile")
	}
	if !r.Same {
		_, err = fmt.Fprintln(w, "\n*** THE REPLAY DIFFERS FROM THE LOG ***")
	}
	if r.OPA != "" {
		_, err = fmt.Fprintf(w, "stock OPA:\n  %s\n", r.OPA)
	}
	return err
}

func said(d ledger.Decided) string {
	word := "denied"
	if d.Allow {
		word = "allowed"
	}
	return fmt.Sprintf("%s by %s: %s", word, d.Rule, d.Because)
}

// export writes the input and the policies for stock OPA, and returns the command.
func (r *replayed) export(dir string) (string, error) {
	_, err := os.Lstat(dir)
	if err == nil {
		return "", usageError{errors.New("there is something already at " + dir)}
	}
	rego := filepath.Join(dir, "policies")
	for _, f := range r.set.Files() {
		path := filepath.Join(rego, filepath.FromSlash(f.Name))
		err := os.MkdirAll(filepath.Dir(path), 0o700)
		if err == nil {
			err = os.WriteFile(path, []byte(f.Source), 0o600)
		}
		if err != nil {
			return "", fmt.Errorf("writing a policy file: %w", err)
		}
	}
	input := filepath.Join(dir, "input.json")
	err = os.WriteFile(input, append(bytes.Clone(r.Logged.Input), '\n'), 0o600)
	if err != nil {
		return "", fmt.Errorf("writing the input: %w", err)
	}
	return fmt.Sprintf("opa eval -d %s -i %s '%s'", rego, input, policies.DecisionQuery), nil
}
