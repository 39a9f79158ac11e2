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
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/gateway/ledger"
)

func (c *cli) auditCommand() *cobra.Command {
	var flags clientFlags
	command := &cobra.Command{Use: "audit", Short: "Read and verify the ledger (officers)"}
	command.AddCommand(c.auditShowCommand(&flags), c.auditVerifyCommand(), c.auditReceiptCommand(),
		c.auditAnswerCommand(), c.auditExportCommand(), c.auditProveCommand(), c.auditReportCommand(&flags))
	return command
}

// leaves reads the ledger from an index to its end as it is now.
func (c *client) leaves(ctx context.Context, from uint64) ([]json.RawMessage, error) {
	var all []json.RawMessage
	for {
		var page exchange.LeafPage
		err := c.call(ctx, http.MethodGet, "/v1/audit/leaves?from="+url.QueryEscape(strconv.FormatUint(from, 10)), nil, &page)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Leaves...)
		from += uint64(len(page.Leaves))
		if len(page.Leaves) == 0 || from >= page.Size {
			return all, nil
		}
	}
}

func writeLeaves(w io.Writer, leaves []json.RawMessage) error {
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	for _, raw := range leaves {
		leaf, err := ledger.DecodeLeaf(raw)
		if err != nil {
			return fmt.Errorf("a leaf of the ledger is not one: %w", err)
		}
		_, _ = fmt.Fprintf(t, "  %d\t%s\t%s\t%s\t%s\t%s\n", leaf.Seq, leaf.Time.Format("2006-01-02 15:04:05"), leaf.Event, leaf.Outcome, leaf.Actor, leaf.Object)
	}
	return t.Flush()
}

// ledgerKey reads the ledger's public key as it was given.
func ledgerKey(text string) (note.Verifier, error) {
	key, err := note.NewVerifier(text)
	if err != nil {
		return nil, usageError{errors.New("--key (or PANA_LEDGER_KEY) is the ledger's public key, as pana keys init printed it: name+hash+key")}
	}
	return key, nil
}

// An exported ledger is a directory with the leaves, one a line, and the signed
// checkpoint.
const (
	leavesFile     = "leaves.jsonl"
	checkpointFile = "checkpoint"
)

func (c *cli) auditVerifyCommand() *cobra.Command {
	var key, save, since, policy string
	var flags clientFlags
	command := &cobra.Command{
		Use: "verify [DIR]", Short: "Verify the ledger: every leaf, against the signed checkpoint",
		Long: `Verify the ledger in DIR, or read it from a running gateway and verify that; --save
DIR keeps what was read. DIR is what "pana audit export" wrote (C2SP tlog-tiles, of
which every byte of every file is checked), or what --save did (leaves.jsonl and
checkpoint).

--key is the ledger's public key, which "pana keys init" printed: keep your own copy.
--policy is a C2SP tlog-policy: enough of its witnesses must have signed
the checkpoint. --since is a checkpoint that you kept from an earlier time: the ledger
must continue it. Nothing of an exported DIR needs the network.`,
		Example: `  pana audit verify --key "$LEDGER_KEY" --policy witnesses.txt exported
  pana audit verify --key "$LEDGER_KEY" --save ledger
  pana audit verify --key "$LEDGER_KEY" ledger
  pana audit verify --key "$LEDGER_KEY" --since ledger/checkpoint`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			trust, err := readTrust(key, policy, since)
			if err != nil {
				return err
			}
			if len(args) == 1 && tiled(args[0]) {
				return c.verifyTiles(args[0], trust)
			}
			if policy != "" {
				return usageError{errors.New("--policy is for a directory that pana audit export wrote")}
			}
			verifier, earlier := trust.Key, trust.Since
			var log exported
			if len(args) == 1 {
				log, err = readLog(args[0])
			} else {
				log, err = c.fetchLog(cmd.Context(), &flags, verifier, save)
			}
			if err != nil {
				return err
			}
			log.since = earlier
			size, err := log.verify(verifier)
			if err != nil {
				return refusal{fmt.Errorf("the ledger does not verify: %w", err)}
			}
			return c.printVerified(size, log.newer)
		},
	}
	flags.add(command)
	command.Flags().StringVar(&key, "key", os.Getenv("PANA_LEDGER_KEY"), "the ledger's public key (or PANA_LEDGER_KEY)")
	command.Flags().StringVar(&since, "since", "", "file with a checkpoint that you kept earlier; the ledger must continue it")
	command.Flags().StringVar(&policy, "policy", "", "file with a C2SP tlog-policy: whose signatures the checkpoint needs")
	command.Flags().StringVar(&save, "save", "", "directory to keep the leaves and the checkpoint in")
	return command
}

func (c *cli) printVerified(size uint64, newer int) error {
	verified := map[string]any{"leaves": size, "newer": newer, "verified": true}
	return c.print(verified, func(w io.Writer) error {
		text := fmt.Sprintf("%d leaves, verified", size)
		if newer > 0 {
			text += fmt.Sprintf("; %d newer leaves are not covered by the checkpoint yet", newer)
		}
		_, err := fmt.Fprintln(w, text)
		return err
	})
}

func readSince(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	text, err := os.ReadFile(path) //nolint:gosec // the officer names the file
	if err != nil {
		return "", usageError{errors.New("the earlier checkpoint cannot be read: " + path)}
	}
	return string(text), nil
}

type exported struct {
	leaves     [][]byte
	checkpoint string
	since      string // a checkpoint that was kept earlier, or ""
	newer      int    // leaves that were read beyond the checkpoint, and dropped
}

func (e exported) verify(key note.Verifier) (uint64, error) {
	return ledger.VerifyLog(ledger.Log{
		Leaves: func(yield func([]byte, error) bool) {
			for _, leaf := range e.leaves {
				if !yield(leaf, nil) {
					return
				}
			}
		},
		Checkpoint: e.checkpoint, Since: e.since,
	}, key)
}

func readLog(dir string) (exported, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return exported{}, usageError{errors.New("there is no directory " + dir)}
	}
	defer func() { _ = root.Close() }()
	leaves, err := root.ReadFile(leavesFile)
	if err != nil {
		return exported{}, usageError{errors.New("there is no " + leavesFile + " in " + dir)}
	}
	checkpoint, err := root.ReadFile(checkpointFile)
	if err != nil {
		return exported{}, usageError{errors.New("there is no " + checkpointFile + " in " + dir)}
	}
	log := exported{checkpoint: string(checkpoint)}
	if len(leaves) > 0 {
		log.leaves = bytes.Split(bytes.TrimSuffix(leaves, []byte("\n")), []byte("\n"))
	}
	return log, nil
}

// fetchLog reads the ledger of a gateway up to its checkpoint, and keeps it.
func (c *cli) fetchLog(ctx context.Context, flags *clientFlags, key note.Verifier, save string) (exported, error) {
	cl, err := flags.client()
	if err != nil {
		return exported{}, err
	}
	log, err := cl.log(ctx, key)
	if err != nil || save == "" {
		return log, err
	}
	err = os.MkdirAll(save, 0o750)
	if err != nil {
		return log, usageError{errors.New("the directory cannot be made: " + save)}
	}
	root, err := os.OpenRoot(save)
	if err != nil {
		return log, usageError{errors.New("the directory cannot be used: " + save)}
	}
	defer func() { _ = root.Close() }()
	return log, errors.Join(
		root.WriteFile(leavesFile, append(bytes.Join(log.leaves, []byte("\n")), '\n'), 0o600),
		root.WriteFile(checkpointFile, []byte(log.checkpoint), 0o600),
	)
}

// log reads the ledger up to its checkpoint. The leaves come first, so that the
// checkpoint covers them and the leaf of their reading; what was logged between the
// two is read after. A leaf beyond the checkpoint has no signature and is dropped.
func (c *client) log(ctx context.Context, key note.Verifier) (exported, error) {
	leaves, err := c.leaves(ctx, 0)
	if err != nil {
		return exported{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/v1/audit/checkpoint", nil)
	if err != nil {
		return exported{}, usageError{errors.New("the gateway's address is not one: " + c.base)}
	}
	checkpoint, err := c.do(request)
	if err != nil {
		return exported{}, err
	}
	log := exported{checkpoint: string(checkpoint)}
	// A checkpoint that does not open is kept with the leaves: verifying says what it is.
	tree, openErr := ledger.OpenCheckpoint(log.checkpoint, key)
	covered := len(leaves)
	if openErr == nil {
		covered = int(tree.N)
	}
	if len(leaves) < covered {
		rest, err := c.leaves(ctx, uint64(len(leaves)))
		if err != nil {
			return exported{}, err
		}
		leaves = append(leaves, rest...)
	}
	if len(leaves) > covered {
		log.newer = len(leaves) - covered
		leaves = leaves[:covered]
	}
	for _, leaf := range leaves {
		log.leaves = append(log.leaves, leaf)
	}
	return log, nil
}

func (c *cli) auditReceiptCommand() *cobra.Command {
	var key string
	command := &cobra.Command{
		Use: "receipt FILE", Short: "Verify a receipt offline: that the ledger holds the batch (agencies)",
		Example: "  pana audit receipt --key \"$LEDGER_KEY\" receipt.json",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			verifier, err := ledgerKey(key)
			if err != nil {
				return err
			}
			content, err := os.ReadFile(args[0])
			if err != nil {
				return usageError{errors.New("the receipt cannot be read: " + args[0])}
			}
			receipt, err := ledger.VerifyReceipt(bytes.TrimSpace(content), verifier)
			if err != nil {
				return refusal{fmt.Errorf("the receipt does not verify: %w", err)}
			}
			return c.print(map[string]any{"batch": receipt.Batch, "verified": true}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "batch %s: the receipt is genuine, leaf %d\n", receipt.Batch, receipt.Index)
				return err
			})
		},
	}
	command.Flags().StringVar(&key, "key", os.Getenv("PANA_LEDGER_KEY"), "the ledger's public key (or PANA_LEDGER_KEY)")
	return command
}
