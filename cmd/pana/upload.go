package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/pana-exchange/pana/gateway"
)

// An uploading is one file on its way.
type uploading struct {
	contract string
	file     string
	from, to string
	reject   string
	says     manifestFlags
	key      string // Idempotency-Key
	receipt  string // file to write the receipt to, or ""
	said     gateway.Said
	style    reportFlags
	resume   bool             // in pieces, whatever the size
	stream   bool             // in one request, whatever the size of the file
	wait     time.Duration    // how long to go on trying when nothing comes through; 0: no second try
	blind    bool             // the file is one that blinded made
	note     func(say string) // told of what happens on the way; nil: nobody is
}

func (c *cli) uploadCommand() *cobra.Command {
	var flags clientFlags
	var u uploading
	var form fileFlags
	var hide blindFlags
	command := &cobra.Command{
		Use:   "upload --contract C --from DAY --to DAY FILE",
		Short: "Upload a batch of records (agencies)",
		Long: `Upload a CSV file as one batch. The answer is a receipt, or the list of what to
mend: by line, column and code, never by value. Nothing is stored unless the whole
batch is. Sending the same file again is harmless: the receipt is the same.

A line that breaks is tried again, for as long as --wait says. Files of 64 MiB and
more, and all with --resume, go in pieces: what the gateway holds is not sent
again, not even when this command was ended and is given once more.

With --blind the gateway never sees an identification number: the file is checked
here, a key server makes pseudonyms of numbers that it does not see, and what is sent
has these, birth dates and sexes in their columns, and no names. A key server that
the gateway's operator runs does not hide anything from that operator.`,
		Example: `  pana upload --contract police --from 2025-07-01 --to 2025-09-30 police.csv
  pana upload --contract police --from 2025-07-01 --to 2025-09-30 --reject rows police.csv`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			u.file = args[0]
			cl, err := flags.client()
			if err != nil {
				return err
			}
			u.said, err = form.said(u.file)
			if err != nil {
				return err
			}
			if hide.on {
				return c.uploadBlind(cmd.Context(), cl, u, hide)
			}
			return c.upload(cmd.Context(), cl, u)
		},
	}
	hide.add(command.Flags())
	flags.add(command)
	f := command.Flags()
	f.StringVar(&u.contract, "contract", "", "contract that the file follows: police, health, …")
	f.StringVar(&u.from, "from", "", "first day that the batch reports, YYYY-MM-DD")
	f.StringVar(&u.to, "to", "", "last day that the batch reports, YYYY-MM-DD")
	f.StringVar(&u.reject, "reject", string(gateway.RejectBatch), "what a bad row does: batch (refuse all) or rows (leave it out)")
	f.StringVar(&u.key, "key", "", "Idempotency-Key; default: random; the same content is known again anyway")
	f.StringVar(&u.receipt, "receipt", "", "write the receipt to this file too")
	f.BoolVar(&u.resume, "resume", false, "send in pieces, whatever the size of the file")
	f.DurationVar(&u.wait, "wait", 10*time.Minute, "how long to go on trying while nothing comes through")
	u.says.add(f)
	form.add(f)
	u.style.add(f)
	require(command, "contract", "from", "to")
	return command
}

func (c *cli) upload(ctx context.Context, cl *client, u uploading) error {
	name := filepath.Base(u.file)
	var progress *bar
	u.note = func(text string) {
		if progress != nil {
			progress.clear()
		}
		c.say("  %s", text)
	}
	receipt, err := cl.upload(ctx, u, func(done, total int64) {
		if progress == nil {
			progress = c.bar(name, total)
		}
		progress.set(done)
	})
	if err != nil {
		if progress != nil {
			progress.end("not accepted")
		}
		return c.refused(err, u.style)
	}
	progress.end("accepted")
	if u.receipt != "" {
		err = os.WriteFile(u.receipt, receipt, 0o600)
		if err != nil {
			return fmt.Errorf("the batch is accepted, but the receipt cannot be written to %s", u.receipt)
		}
	}
	return c.printReceipt(receipt, u.style)
}

// upload sends a file. The file is read twice: once for its digest, which goes
// ahead of it, and once to send it.
func (c *client) upload(ctx context.Context, u uploading, progress func(done, total int64)) ([]byte, error) {
	file, err := os.Open(u.file)
	if err != nil {
		return nil, usageError{errors.New("the file cannot be read: " + u.file)}
	}
	defer func() { _ = file.Close() }()
	hash := sha256.New()
	size, err := io.Copy(hash, file)
	if err != nil {
		return nil, errors.New("the file cannot be read to its end: " + u.file)
	}
	if u.key == "" {
		// Random, not made from the content: a hash of a small file is as good as
		// the file. The gateway knows the same content again by a keyed digest.
		u.key = rand.Text()
	}
	if u.note == nil {
		u.note = func(string) {}
	}
	s := &sending{client: c, uploading: u, file: file, size: size, digest: hash.Sum(nil), progress: progress}
	if !u.stream && (u.resume || size >= resumeFrom) {
		return s.patiently(ctx, s.inPieces)
	}
	return s.patiently(ctx, s.whole)
}

// request is the upload as a request whose body has a size and a digest.
func (u uploading) request(ctx context.Context, base string, body io.Reader, size int64, digest []byte) (*http.Request, error) {
	query := url.Values{"period_from": {u.from}, "period_to": {u.to}, "reject": {u.reject}}
	u.says.set(query)
	if u.blind {
		query.Set("blind", "true")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost,
		base+"/v1/contracts/"+url.PathEscape(u.contract)+"/batches?"+query.Encode(), body)
	if err != nil {
		return nil, usageError{errors.New("the gateway's address is not one: " + base)}
	}
	request.ContentLength = size
	request.Header.Set("Expect", "100-continue") // a refusal then comes before the file goes
	request.Header.Set("Accept-Language", u.style.lang)
	err = setSaid(request, u.said)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Idempotency-Key", u.key)
	request.Header.Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(digest)+":")
	return request, nil
}

// printReceipt prints what was accepted, or with --json the receipt itself.
func (c *cli) printReceipt(receipt []byte, style reportFlags) error {
	var r gateway.Receipt
	err := json.Unmarshal(receipt, &r)
	if err != nil {
		return errors.New("the receipt is not one that this version reads")
	}
	return c.print(json.RawMessage(receipt), func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "batch %s of %s accepted: %d records, %d stored, %d refused; leaf %d of the ledger\n",
			r.Batch, r.Contract, r.Records, r.Stored, r.Refused, r.Index)
		if err != nil || r.Report == nil {
			return err
		}
		if r.Problems != nil {
			r.Report.Details, r.Report.Omitted = r.Problems.First, r.Problems.Omitted
		}
		return writeFileReport(w, r.Report.In(func(code gateway.ProblemCode) string { return describe(code, style.lang) }))
	})
}

// refused prints the report of a refused batch, if there is one, and returns the
// error.
func (c *cli) refused(err error, style reportFlags) error {
	p, ok := errors.AsType[*problem](err)
	if !ok || p.Report == nil {
		return err
	}
	p.Report.Details, p.Report.Omitted = p.Errors, p.Omitted
	if c.asJSON && !style.asCSV {
		return errors.Join(err, c.print(p, nil))
	}
	return errors.Join(err, c.printReport(p.Report, style))
}
