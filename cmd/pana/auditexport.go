package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
)

// readTrust is what an auditor believes beforehand: the key, or else that of the one
// log that the policy names; the policy; an earlier checkpoint.
func readTrust(key, policy, since string) (ledger.Trust, error) {
	var trust ledger.Trust
	var err error
	if policy != "" {
		trust.Policy, err = readPolicy(policy)
		if err != nil {
			return trust, err
		}
	}
	if key == "" && trust.Policy != nil && len(trust.Policy.Logs) == 1 {
		trust.Key = trust.Policy.Logs[0]
	} else {
		trust.Key, err = ledgerKey(key)
		if err != nil {
			return trust, err
		}
	}
	if trust.Policy != nil && len(trust.Policy.Logs) > 0 && !trust.Policy.Knows(trust.Key) {
		return trust, usageError{errors.New("the policy names logs, and not that of --key")}
	}
	trust.Since, err = readSince(since)
	return trust, err
}

// tiled reports whether a directory is a C2SP tlog-tiles log.
func tiled(dir string) bool {
	_, leavesErr := os.Stat(filepath.Join(dir, leavesFile))
	_, checkpointErr := os.Stat(filepath.Join(dir, ledger.CheckpointPath))
	return leavesErr != nil && checkpointErr == nil
}

func (c *cli) verifyTiles(dir string, trust ledger.Trust) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return usageError{errors.New("there is no directory " + dir)}
	}
	defer func() { _ = root.Close() }()
	v, err := ledger.VerifyExport(root.FS(), trust)
	if err != nil {
		return refusal{fmt.Errorf("the ledger does not verify: %w", err)}
	}
	return c.printExport(v, 0)
}

func (c *cli) printExport(v ledger.Verified, fetched int) error {
	witnesses := []string{}
	for _, s := range v.Cosignatures {
		witnesses = append(witnesses, s.Witness)
	}
	result := map[string]any{"leaves": v.Leaves, "files": v.Files, "fetched": fetched, "witnesses": witnesses, "verified": true}
	return c.print(result, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%d leaves in %d files, verified", v.Leaves, v.Files)
		for i, s := range v.Cosignatures {
			if err == nil {
				_, err = fmt.Fprintf(w, "%s%s on %s", map[bool]string{true: "; witnessed by ", false: ", "}[i == 0], s.Witness, s.Time.Format("2006-01-02 15:04"))
			}
		}
		if err == nil {
			_, err = fmt.Fprintln(w)
		}
		return err
	})
}

func (c *cli) auditExportCommand() *cobra.Command {
	var key, policy string
	var flags clientFlags
	command := &cobra.Command{
		Use: "export DIR", Short: "Copy the ledger into a directory, or what it lacks of it, and verify the copy",
		Long: `Copy the ledger as C2SP tlog-tiles into DIR and verify every byte of it. What is there
already is not fetched again, and the ledger must continue the checkpoint that is there:
export often, to a place that the operator cannot reach. On another history the copy
and its checkpoint stay as they are, and what the gateway says now is kept beside them
as checkpoint.refused: it is the proof.`,
		Example: `  pana audit export --key "$LEDGER_KEY" --policy witnesses.txt exported`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			trust, err := readTrust(key, policy, "")
			if err != nil {
				return err
			}
			cl, err := flags.client()
			if err != nil {
				return err
			}
			err = os.MkdirAll(args[0], 0o750)
			if err != nil {
				return usageError{errors.New("the directory cannot be made: " + args[0])}
			}
			root, err := os.OpenRoot(args[0])
			if err != nil {
				return usageError{errors.New("the directory cannot be used: " + args[0])}
			}
			defer func() { _ = root.Close() }()
			v, fetched, err := cl.export(cmd.Context(), root, trust)
			if err != nil {
				return err
			}
			return c.printExport(v, fetched)
		},
	}
	flags.add(command)
	command.Flags().StringVar(&key, "key", os.Getenv("PANA_LEDGER_KEY"), "the ledger's public key (or PANA_LEDGER_KEY)")
	command.Flags().StringVar(&policy, "policy", "", "file with a C2SP tlog-policy: whose signatures the checkpoint needs")
	return command
}

// export fetches the tiles that a copy lacks, verifies it, and only then puts the new
// checkpoint in the place of the old one. It returns how many files it fetched.
func (c *client) export(ctx context.Context, root *os.Root, trust ledger.Trust) (ledger.Verified, int, error) {
	since, err := root.ReadFile(ledger.CheckpointPath)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return ledger.Verified{}, 0, fmt.Errorf("reading the copy: %w", err)
	}
	text, err := c.fetch(ctx, "/log/"+ledger.CheckpointPath)
	if err != nil {
		return ledger.Verified{}, 0, err
	}
	trust.Since, trust.Checkpoint = string(since), string(text)
	tree, err := ledger.OpenCheckpoint(trust.Checkpoint, trust.Key)
	if err != nil {
		return ledger.Verified{}, 0, refusal{err}
	}
	fetched := 0
	for tile := range ledger.Tiles(uint64(tree.N)) { //nolint:gosec // sizes are not negative
		if _, err := root.Stat(tile.Path()); err == nil {
			continue
		}
		data, err := c.fetch(ctx, "/log/"+tile.Path())
		if err == nil {
			err = writeWhole(root, tile.Path(), data)
		}
		if err != nil {
			return ledger.Verified{}, fetched, err
		}
		fetched++
	}
	v, err := ledger.VerifyExport(root.FS(), trust)
	if err != nil {
		err = errors.Join(fmt.Errorf("the ledger does not verify: %w", err), writeWhole(root, "checkpoint.refused", text))
		return v, fetched, refusal{err}
	}
	return v, fetched, writeWhole(root, ledger.CheckpointPath, text)
}

// writeWhole makes a file that is there whole or not at all.
func writeWhole(root *os.Root, name string, data []byte) error {
	const fresh = ".fetching"
	err := root.MkdirAll(path.Dir(name), 0o750)
	if err != nil {
		return fmt.Errorf("writing the copy: %w", err)
	}
	f, err := root.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("writing the copy: %w", err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = root.Rename(fresh, name)
	}
	if err != nil {
		return fmt.Errorf("writing the copy: %w", err)
	}
	return nil
}

func (c *cli) auditProveCommand() *cobra.Command {
	var key, out string
	var flags clientFlags
	command := &cobra.Command{
		Use: "prove LEAF|FILE", Short: "Write the proof of one leaf, of a receipt or of an answer, for public tools",
		Long: `Write a leaf and the proof that the ledger holds it, as FILE, FILE.tlog-proof (C2SP
tlog-proof) and FILE.spicy (the form of spicy v0.9.0, of filippo.io/torchwood). A number
is the index of a leaf of a running gateway (officers); a file is a receipt, or the
evidence that "pana query --keep" wrote beside it, and needs no gateway.`,
		Example: `  pana audit prove --key "$LEDGER_KEY" --out leaf.json receipt.json
  spicy -verify "$LEDGER_KEY" leaf.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			verifier, err := ledgerKey(key)
			if err != nil {
				return err
			}
			evidence, err := flags.evidence(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return c.prove(evidence, verifier, out)
		},
	}
	flags.add(command)
	command.Flags().StringVar(&key, "key", os.Getenv("PANA_LEDGER_KEY"), "the ledger's public key (or PANA_LEDGER_KEY)")
	command.Flags().StringVar(&out, "out", "leaf.json", "file for the leaf; the proofs are written beside it")
	return command
}

// evidence is that of a leaf by its index, or what a file holds.
func (f *clientFlags) evidence(ctx context.Context, what string) (ledger.Evidence, error) {
	var e ledger.Evidence
	if index, err := strconv.ParseUint(what, 10, 53); err == nil {
		cl, err := f.client()
		if err != nil {
			return e, err
		}
		body, err := cl.fetch(ctx, "/v1/audit/leaves/"+strconv.FormatUint(index, 10)+"/proof")
		if err != nil {
			return e, err
		}
		err = json.Unmarshal(body, &e)
		if err != nil {
			return e, errors.New("the gateway's answer is not the JSON that this version reads")
		}
		return e, nil
	}
	content, err := os.ReadFile(filepath.Clean(what))
	if err != nil {
		return e, usageError{errors.New("the file cannot be read: " + what)}
	}
	if json.Unmarshal(content, &e) != nil || e.Proof == "" {
		return e, gateway.Errorf(gateway.Invalid, "the file is neither a receipt nor the evidence of an answer")
	}
	return e, nil
}

// prove verifies a leaf and writes it with its proofs.
func (c *cli) prove(e ledger.Evidence, key note.Verifier, out string) error {
	proof, err := ledger.ParseInclusion(e.Proof, e.Leaf)
	if err != nil {
		return refusal{err}
	}
	leaf, err := proof.Verify(key)
	if err != nil {
		return refusal{fmt.Errorf("the proof does not hold: %w", err)}
	}
	for name, content := range map[string]string{out: string(e.Leaf), out + ".tlog-proof": proof.Text(), out + ".spicy": proof.Spicy()} {
		err := os.WriteFile(name, []byte(content), 0o600)
		if err != nil {
			return usageError{errors.New("the file cannot be written: " + name)}
		}
	}
	return c.print(map[string]any{"leaf": leaf.Seq, "event": leaf.Event, "verified": true}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "leaf %d (%s), proved in %s.tlog-proof and %s.spicy\n", leaf.Seq, leaf.Event, out, out)
		return err
	})
}
