package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
)

func (c *cli) batchCommand() *cobra.Command {
	var flags clientFlags
	command := &cobra.Command{Use: "batch", Short: "List, show or withdraw your batches (agencies)"}
	flags.add(command)
	command.AddCommand(
		c.listBatches(&flags), c.nothingCommand(&flags), c.receiptCommand(&flags),
		c.oneBatch(&flags, "show BATCH", "Show one of your batches", http.MethodGet),
		c.oneBatch(&flags, "withdraw BATCH", "Take a batch back: it is absent from the next release", http.MethodDelete),
	)
	return command
}

func (c *cli) oneBatch(flags *clientFlags, use, short, method string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := flags.client()
			if err != nil {
				return err
			}
			var b exchange.BatchStatus
			err = cl.call(cmd.Context(), method, "/v1/batches/"+url.PathEscape(args[0]), nil, &b)
			if err != nil {
				return err
			}
			return c.print(b, func(w io.Writer) error { return writeBatches(w, []exchange.BatchStatus{b}) })
		},
	}
}

// listBatches lists an agency's batches and says what is still to be reported.
func (c *cli) listBatches(flags *clientFlags) *cobra.Command {
	filter := map[string]*string{"contract": new(string), "state": new(string), "from": new(string), "to": new(string), "after": new(string)}
	limit := 0
	command := &cobra.Command{
		Use:   "list",
		Short: "List your batches, and the quarters that are still to be reported",
		Long: `List your batches, the newest first: what each said of itself, what became of it, and
whether its period counts as reported. Below stands up to which quarter your reports
have no gap. A steward sees all agencies, and the horizon of each sector and region.`,
		Example: `  pana batch list
  pana batch list --contract police --from 2025Q3 --to 2025Q3 --state published`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := flags.client()
			if err != nil {
				return err
			}
			query := url.Values{"limit": {strconv.Itoa(limit)}}
			for name, value := range filter {
				if *value != "" {
					query.Set(name, *value)
				}
			}
			var answer struct {
				exchange.BatchPage
				Coverage exchange.Coverage `json:"coverage"`
			}
			err = cl.call(cmd.Context(), http.MethodGet, "/v1/batches?"+query.Encode(), nil, &answer.BatchPage)
			if err == nil {
				err = cl.call(cmd.Context(), http.MethodGet, "/v1/coverage", nil, &answer.Coverage)
			}
			if err != nil {
				return err
			}
			return c.print(answer, func(w io.Writer) error { return writeBatchPage(w, answer.BatchPage, answer.Coverage) })
		},
	}
	f := command.Flags()
	f.StringVar(filter["contract"], "contract", "", "of one contract")
	f.StringVar(filter["state"], "state", "", "in one state: "+strings.Join(states(), ", "))
	f.StringVar(filter["from"], "from", "", "that report days of this quarter or later ones, such as 2025Q3")
	f.StringVar(filter["to"], "to", "", "that report days of this quarter or earlier ones")
	f.StringVar(filter["after"], "after", "", "the page after this batch")
	f.IntVar(&limit, "limit", 100, "how many on a page")
	return command
}

func states() []string {
	return []string{
		string(gateway.BatchLoading), string(gateway.BatchCommitted), string(gateway.BatchPublished),
		string(gateway.BatchAborted), string(gateway.BatchWithdrawn),
	}
}

func writeBatches(w io.Writer, list []exchange.BatchStatus) error {
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "batch\tagency\tcontract\tkind\tfrom\tto\tstate\tstored\trefused\tremarks")
	for _, b := range list {
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\n",
			b.ID, b.Agency, b.Contract, b.Kind, b.PeriodFrom, b.PeriodTo, b.State, b.Stored, b.Refused, remarks(b))
	}
	return t.Flush()
}

func writeBatchPage(w io.Writer, page exchange.BatchPage, coverage exchange.Coverage) error {
	err := writeBatches(w, page.Batches)
	if err != nil {
		return err
	}
	if page.Next != "" {
		_, _ = fmt.Fprintf(w, "more: pana batch list --after %s\n", page.Next)
	}
	for _, r := range coverage.Reports {
		_, _ = fmt.Fprintf(w, "%s: %s\n", r.Agency, reportedThrough(r.Through, r.Missing))
	}
	for _, h := range coverage.Horizons {
		_, _ = fmt.Fprintf(w, "%s in region %s: %s\n", h.Contract, h.Region, reportedThrough(h.Through, nil))
	}
	return nil
}

func reportedThrough(through gateway.Quarter, missing []gateway.Quarter) string {
	text := "nothing is reported without a gap"
	if through != 0 {
		text = "reported without a gap through " + through.String()
	}
	if len(missing) > 0 {
		text += "; missing: " + quarters(missing)
	}
	return text
}

// remarks says what an agency should know of a batch.
func remarks(b exchange.BatchStatus) string {
	var said []string
	if b.Progress != nil {
		said = append(said, fmt.Sprintf("%d records read", b.Progress.Records))
	}
	if strings.HasPrefix(b.Completeness, "partial") {
		said = append(said, b.Completeness+", so the period is still open")
	}
	if len(b.Late) > 0 {
		said = append(said, "late for "+quarters(b.Late)+", which wait for a revision")
	}
	return strings.Join(said, "; ")
}

func quarters(list []gateway.Quarter) string {
	var texts []string
	for _, q := range list {
		texts = append(texts, q.String())
	}
	return strings.Join(texts, ", ")
}

// manifestFlags are what a batch says of itself beside its period.
type manifestFlags struct {
	kind     string
	records  int
	previous string
}

func (m *manifestFlags) add(f *pflag.FlagSet) {
	f.StringVar(&m.kind, "kind", string(gateway.Original), "original, or correction: its records replace those that you sent before under the same record id")
	f.IntVar(&m.records, "records", 0, "how many records the file has; it is refused when it has others")
	f.StringVar(&m.previous, "previous", "", "of a correction: the batch that it corrects")
}

func (m *manifestFlags) set(query url.Values) {
	if m.kind != "" {
		query.Set("kind", m.kind)
	}
	if m.records != 0 {
		query.Set("records", strconv.Itoa(m.records))
	}
	if m.previous != "" {
		query.Set("previous", m.previous)
	}
}

// nothingCommand reports that there was nothing to report.
func (c *cli) nothingCommand(flags *clientFlags) *cobra.Command {
	var contract, from, to, key string
	command := &cobra.Command{
		Use:   "nothing --contract C --from DAY --to DAY",
		Short: "Report that there was nothing to report in a period",
		Long: `Report that there was no case in a period. Without it a quarter without cases stays
open, because silence is no report. It is a batch without records: it has a receipt,
and can be withdrawn.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := flags.client()
			if err != nil {
				return err
			}
			if key == "" {
				key = rand.Text()
			}
			u := uploading{contract: contract, from: from, to: to, reject: string(gateway.RejectBatch), key: key, says: manifestFlags{kind: string(gateway.Nothing)}}
			empty := sha256.Sum256(nil)
			request, err := u.request(cmd.Context(), cl.base, http.NoBody, 0, empty[:])
			if err != nil {
				return err
			}
			receipt, err := cl.do(request)
			if err != nil {
				return err
			}
			return c.printReceipt(receipt, u.style)
		},
	}
	f := command.Flags()
	f.StringVar(&contract, "contract", "", "contract under which there was nothing to report")
	f.StringVar(&from, "from", "", "first day, YYYY-MM-DD")
	f.StringVar(&to, "to", "", "last day, YYYY-MM-DD")
	f.StringVar(&key, "key", "", "Idempotency-Key; default: random")
	require(command, "contract", "from", "to")
	return command
}

// receiptCommand fetches a receipt again.
func (c *cli) receiptCommand(flags *clientFlags) *cobra.Command {
	return &cobra.Command{
		Use: "receipt BATCH", Short: "Print the receipt of an accepted batch again", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := flags.client()
			if err != nil {
				return err
			}
			var receipt json.RawMessage
			err = cl.call(cmd.Context(), http.MethodGet, "/v1/batches/"+url.PathEscape(args[0])+"/receipt", nil, &receipt)
			if err != nil {
				return err
			}
			return c.printReceipt(receipt, reportFlags{lang: "en"})
		},
	}
}
