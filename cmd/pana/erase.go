package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	"github.com/pana-exchange/pana/gateway/api"
	"github.com/pana-exchange/pana/gateway/registry"
)

const eraseHelp = `Ask that all records of one child be erased, because the law demands it (agencies).

The identifier is read from FILE, or from the standard input; a command line and an
address are seen and kept by others. The gateway makes the pseudonym in memory, seals it
and forgets the identifier. You are told that the request is accepted, in the same words
and after the same work whether anybody ever sent a record of the child or not.

Only records with the identifier are erased. Where the policy links children without one by
a key of names (fallback_key), a record that came without the identifier is another child
to the gateway, and stays: ask the agency that sent it to withdraw or correct its batch.

Then two people sign, an officer and one in another role, who learn which agency asks and
why, and not for whom:

  pana policy list                                  the request is there, kind erasure
  pana policy approve p3k5…                         what would happen, and how to sign
  ssh-keygen -Y sign -f KEY -n pana-erasure p3k5….json
  pana policy approve p3k5… --signature p3k5….json.sig --reason "the letter of 3 March"

With the second signature the erasure has begun. Within seconds, or when the build that
is running has ended, the rows are off the disk, in every batch that was accepted until
then, whichever agency sent it. Nobody is told of how many. What was once said stays:
receipts and the state of batches count what was accepted, and published tables stand.
The next yearly revision is counted without the child; until then no release is built
again over the quarters that were published before.

A batch that is sent after the erasure may bring the child again, as a new record; the
same file sent again is the same batch, and brings nothing back. If your own system still
holds the child, leave it out of what you send.`

func (c *cli) eraseCommand() *cobra.Command {
	flags := &clientFlags{}
	var why string
	command := &cobra.Command{
		Use: "erase [FILE] --reason request|order|unlawful|retention", Short: "Ask that the records of one child be erased (agencies)",
		Long: eraseHelp,
		Example: `  pana erase --reason request <identifier.txt
  pana erase identifier.txt --reason order`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := flags.client()
			if err != nil {
				return err
			}
			identifier, err := readIdentifier(cmd.InOrStdin(), first(args))
			if err != nil {
				return err
			}
			var answer json.RawMessage
			err = cl.call(cmd.Context(), http.MethodPost, "/v1/erasures",
				api.ErasureRequest{Identifier: identifier, Reason: registry.ErasureReason(why)}, &answer)
			if err != nil {
				return err
			}
			return c.print(answer, func(w io.Writer) error {
				_, err := fmt.Fprintln(w, "accepted; two people with two roles sign it, and nobody is told whether there are records")
				return err
			})
		},
	}
	flags.add(command)
	command.Flags().StringVar(&why, "reason", "", "request (the child or who speaks for it), order (a court, an authority), unlawful, retention")
	require(command, "reason")
	return command
}

// maxIdentifier is more than an identifier has with its line end.
const maxIdentifier = 64

// readIdentifier never repeats what it reads: a name given in the place of a file may be
// the identifier itself.
func readIdentifier(stdin io.Reader, path string) (string, error) {
	in := stdin
	if path != "" && path != "-" {
		f, err := os.Open(path) //nolint:gosec // the caller names the file
		if err != nil {
			return "", usageError{errors.New("the file cannot be read; name a file that holds the identifier, or give it on the standard input")}
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxIdentifier+1))
	if err != nil {
		return "", usageError{errors.New("the identifier cannot be read")}
	}
	text = bytes.TrimSpace(text)
	if len(text) == 0 || len(text) > maxIdentifier || bytes.ContainsAny(text, "\r\n") {
		return "", usageError{errors.New("the input is one identifier on one line, and nothing else")}
	}
	return string(text), nil
}
