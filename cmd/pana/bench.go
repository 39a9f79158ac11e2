package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/pana-exchange/pana/gateway/warehouse/rival"
)

func (c *cli) benchCommand() *cobra.Command {
	command := &cobra.Command{Use: "bench", Short: "Measure the gateway against others at the same job"}
	b := &intake{c: c}
	sub := &cobra.Command{
		Use:   "intake",
		Short: "Load one file by the gateway, by ClickHouse alone and by a plain Go loader",
		Long: `Generate a file of synthetic police records and load it, in turns, by

  gateway          pana serve, over HTTP, in one request: pseudonyms, policies, fsync,
                   ledger, verified
  gateway-tls      the same over TLS
  gateway-rejects  the same of a file in which one line in a hundred has a fault, without
                   those lines
  gateway-pieces   the same in pieces that can be resumed, as pana upload sends large
                   files: sealed, and on disk, before they are read
  clickhouse       ClickHouse alone: INSERT … SELECT … FROM file(), HMAC as two SHA256
  go               encoding/csv, hmac.New for each value, time.Parse, Append by row

into tables of the same layout, and prove by a check sum that does not depend on
keys that the tables hold the same rows. Ratios within one run are what counts; a
time alone says more about the machine.`,
		Example: "  pana bench intake --rows 1000000 --rounds 5",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if b.rows < 1000 || b.rounds < 1 {
				return usageError{errors.New("--rows is 1,000 or more and --rounds 1 or more")}
			}
			return b.run(cmd.Context())
		},
	}
	sub.Flags().IntVar(&b.rows, "rows", 1_000_000, "records of the file")
	sub.Flags().IntVar(&b.rounds, "rounds", 5, "how often each is run; medians are printed")
	command.AddCommand(sub)
	return command
}

// A run is one load of the file by one contender.
type run struct {
	Wall   time.Duration
	Loader time.Duration // processor time of whoever reads the file
	Engine time.Duration // processor time of ClickHouse
	Memory int64         // peak of whoever reads the file, bytes; 0 where it is not known
	AtRest int64         // the same, before the file came: mostly the program itself
}

// A contender is one way to load, with what was measured of it.
type contender struct {
	Name    string  `json:"name"`
	Rows    float64 `json:"rows_per_second"`
	CPU     float64 `json:"cpu_seconds_per_million_rows"`
	Loader  float64 `json:"of_loader"`
	Engine  float64 `json:"of_engine"`
	Memory  float64 `json:"peak_megabytes,omitempty"`
	AtRest  float64 `json:"at_rest_megabytes,omitempty"`
	Same    string  `json:"fingerprint,omitempty"`
	load    func(context.Context) (run, error)
	checked func(context.Context) (string, error)
	runs    []run
}

// intakeResult is what --json prints: medians, and ratios of medians.
type intakeResult struct {
	Rows       int                `json:"rows"`
	Bytes      int64              `json:"bytes"`
	Rounds     int                `json:"rounds"`
	Machine    string             `json:"machine"`
	Build      string             `json:"build"` // plain, or simd
	Contenders []*contender       `json:"contenders"`
	Ratios     map[string]float64 `json:"ratios"`
	SameRows   bool               `json:"same_rows"`
}

// faultShare is the share of lines with a fault in the file of which they are left out.
const faultShare = 0.01

// An intake is one run of the command.
type intake struct {
	c            *cli
	rows, rounds int
	dir, file    string
	faulty       string // the file with faults
	size         int64
	contenders   []*contender
	stops        []func() error
}

func (b *intake) run(ctx context.Context) (err error) {
	b.dir, err = os.MkdirTemp("", "pana-bench-")
	if err != nil {
		return fmt.Errorf("making a temporary directory: %w", err)
	}
	defer func() {
		for _, stop := range slices.Backward(b.stops) {
			err = errors.Join(err, stop())
		}
		err = errors.Join(err, os.RemoveAll(b.dir))
	}()
	b.c.say("writing %d records", b.rows)
	b.file = filepath.Join(b.dir, "police.csv")
	b.size, err = writePolice(b.file, b.rows, 0)
	if err != nil {
		return err
	}
	b.faulty = filepath.Join(b.dir, "faulty.csv")
	_, err = writePolice(b.faulty, b.rows, faultShare)
	if err != nil {
		return err
	}
	err = b.open(ctx)
	if err != nil {
		return err
	}
	for round := range b.rounds {
		for _, k := range b.contenders {
			r, err := k.load(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", k.Name, err)
			}
			k.runs = append(k.runs, r)
			b.c.say("round %d  %-15s %8.0f rows/s", round+1, k.Name, float64(b.rows)/r.Wall.Seconds())
		}
	}
	for _, k := range b.contenders {
		if k.checked == nil {
			continue
		}
		k.Same, err = k.checked(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", k.Name, err)
		}
	}
	return b.report()
}

// open prepares the contenders, in the order in which they take turns.
func (b *intake) open(ctx context.Context) error {
	job, err := newJob(ctx, b.c.now())
	if err != nil {
		return err
	}
	alone, err := rival.Open(ctx, filepath.Join(b.dir, "alone"), job, b.c.err)
	if err != nil {
		return err
	}
	b.stops = append(b.stops, alone.Close)
	plain := &served{b: b, name: "gateway", job: job}
	secure := &served{b: b, name: "gateway-tls", job: job, secure: true}
	rejects := &served{b: b, name: "gateway-rejects", job: job, faulty: true}
	pieces := &served{b: b, name: "gateway-pieces", job: job, pieces: true}
	selects, loops := b.rivals(alone)
	one := func(ctx context.Context) (string, error) { sum, _, err := alone.Fingerprints(ctx); return sum, err }
	other := func(ctx context.Context) (string, error) { _, sum, err := alone.Fingerprints(ctx); return sum, err }
	b.contenders = []*contender{
		{Name: plain.name, load: plain.load, checked: plain.fingerprint},
		{Name: secure.name, load: secure.load, checked: secure.fingerprint},
		{Name: rejects.name, load: rejects.load}, // which holds other rows
		{Name: pieces.name, load: pieces.load, checked: pieces.fingerprint},
		{Name: "clickhouse", load: selects, checked: one},
		{Name: "go", load: loops, checked: other},
	}
	return nil
}

func (b *intake) report() error {
	result := intakeResult{
		Rows: b.rows, Bytes: b.size, Rounds: b.rounds, Contenders: b.contenders, SameRows: true,
		Machine: fmt.Sprintf("%s/%s, %d processors, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version()),
		Build:   "plain",
		Ratios:  map[string]float64{},
	}
	if strings.Contains(runtime.Version(), "X:simd") { // as the toolchain says it
		result.Build = "simd"
	}
	millions := float64(b.rows) / 1e6
	for _, k := range b.contenders {
		k.Rows = float64(b.rows) / median(k.runs, func(r run) float64 { return r.Wall.Seconds() })
		k.Loader = median(k.runs, func(r run) float64 { return r.Loader.Seconds() }) / millions
		k.Engine = median(k.runs, func(r run) float64 { return r.Engine.Seconds() }) / millions
		k.CPU = k.Loader + k.Engine
		k.Memory = median(k.runs, func(r run) float64 { return float64(r.Memory) / 1e6 })
		k.AtRest = median(k.runs, func(r run) float64 { return float64(r.AtRest) / 1e6 })
		result.SameRows = result.SameRows && (k.checked == nil || k.Same == b.contenders[0].Same)
	}
	gw, secure, rejects, pieces, alone, plain := b.contenders[0], b.contenders[1], b.contenders[2], b.contenders[3], b.contenders[4], b.contenders[5]
	result.Ratios["rows_over_clickhouse"] = gw.Rows / alone.Rows
	result.Ratios["rows_tls_over_clickhouse"] = secure.Rows / alone.Rows
	result.Ratios["rows_pieces_over_clickhouse"] = pieces.Rows / alone.Rows
	result.Ratios["cpu_over_clickhouse"] = gw.CPU / alone.CPU
	result.Ratios["rows_over_go"] = gw.Rows / plain.Rows
	result.Ratios["rows_with_rejects_over_none"] = rejects.Rows / gw.Rows
	err := b.c.print(result, result.write)
	if err == nil && !result.SameRows {
		err = refusal{errors.New("the tables do not hold the same rows")}
	}
	return err
}

// median is of the runs, by one of their figures.
func median(runs []run, of func(run) float64) float64 {
	sorted := slices.Clone(runs)
	slices.SortFunc(sorted, func(x, y run) int { return cmp.Compare(of(x), of(y)) })
	n := len(sorted)
	return (of(sorted[(n-1)/2]) + of(sorted[n/2])) / 2
}

func (r *intakeResult) write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(t, "%d records, %.0f MB; medians of %d rounds; %s build; %s\n", r.Rows, float64(r.Bytes)/1e6, r.Rounds, r.Build, r.Machine)
	_, _ = fmt.Fprintln(t, "\trows/s\tCPU s/M rows\tloader\tengine\tpeak MB\tat rest")
	for _, k := range r.Contenders {
		_, _ = fmt.Fprintf(t, "%s\t%.0f\t%.2f\t%.2f\t%.2f\t%.0f\t%.0f\n", k.Name, k.Rows, k.CPU, k.Loader, k.Engine, k.Memory, k.AtRest)
	}
	_, _ = fmt.Fprintf(t, "rows/s over ClickHouse alone %.2f (over TLS %.2f, in pieces %.2f), CPU %.2f of it; rows/s over plain Go %.2f; with rejects over none %.2f\n",
		r.Ratios["rows_over_clickhouse"], r.Ratios["rows_tls_over_clickhouse"], r.Ratios["rows_pieces_over_clickhouse"],
		r.Ratios["cpu_over_clickhouse"], r.Ratios["rows_over_go"], r.Ratios["rows_with_rejects_over_none"])
	_, _ = fmt.Fprintf(t, "the same rows in all tables: %t\n", r.SameRows)
	return t.Flush()
}
