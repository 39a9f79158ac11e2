package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pana-exchange/pana/gateway/ledger"
)

// evidenceSuffix is of the file beside an answer that proves it.
const evidenceSuffix = ".evidence.json"

// keepEvidence writes an answer byte for byte, and what proves it.
func keepEvidence(path string, answer []byte, header http.Header) error {
	text, found := strings.CutPrefix(header.Get("Pana-Evidence"), ":")
	evidence, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(text, ":"))
	if err != nil || !found {
		return errors.New("the gateway's answer came without its evidence")
	}
	err = errors.Join(os.WriteFile(path, answer, 0o600), os.WriteFile(path+evidenceSuffix, append(evidence, '\n'), 0o600))
	if err != nil {
		return usageError{errors.New("the files cannot be written: " + path)}
	}
	return nil
}

func (c *cli) auditAnswerCommand() *cobra.Command {
	var key string
	command := &cobra.Command{
		Use: "answer FILE", Short: "Verify an answer offline: that the ledger holds the question, and that this was the answer (researchers)",
		Example: `  pana query --release demo-1 --cube pathways --purpose policy-evaluation --keep answer.json
  pana audit answer --key "$LEDGER_KEY" answer.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			verifier, err := ledgerKey(key)
			if err != nil {
				return err
			}
			answer, err := os.ReadFile(filepath.Clean(args[0]))
			if err != nil {
				return usageError{errors.New("the answer cannot be read: " + args[0])}
			}
			text, err := os.ReadFile(filepath.Clean(args[0] + evidenceSuffix))
			if err != nil {
				return usageError{errors.New("the evidence cannot be read: " + args[0] + evidenceSuffix)}
			}
			var evidence ledger.Evidence
			if json.Unmarshal(text, &evidence) != nil {
				return refusal{errors.New("the evidence is not one")}
			}
			leaf, err := ledger.VerifyAnswer(answer, evidence, verifier)
			if err != nil {
				return refusal{fmt.Errorf("the answer does not verify: %w", err)}
			}
			return c.print(map[string]any{"leaf": leaf.Seq, "object": leaf.Object, "time": leaf.Time, "verified": true}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "the answer is genuine: asked at %s, leaf %d\n", leaf.Time.Format("2006-01-02 15:04:05"), leaf.Seq)
				return err
			})
		},
	}
	command.Flags().StringVar(&key, "key", os.Getenv("PANA_LEDGER_KEY"), "the ledger's public key (or PANA_LEDGER_KEY)")
	return command
}
