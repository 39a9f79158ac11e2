// Package pipelines turns an agency's file into what may be stored: a reader in,
// column blocks out. Everything raw lives and ends here.
//
// Call [Open] with a contract and the plan that the policy in force made for it:
// both are compiled before the header is read. Then call [Reader.Next] until
// io.EOF, and store each block. [Reader.Problems] says what was wrong, by line,
// column and code; [Describe] says what a code means.
//
//	r, err := pipelines.Open(ctx, file, pipelines.Options{Contract: c, Plan: plan, Keys: keys, …})
//	for err == nil {
//		if err = r.Next(ctx, block); err == nil {
//			err = store(block)
//		}
//	}
//	if err != io.EOF { … }
//
// The file is CSV in the dialects of spreadsheets, NDJSON, both compressed or not, XLSX or Parquet:
// [Options.Said] is what its sender says of it, and what is not said is found out,
// told by [Reader.Dialect], and refused where it can be meant in two ways. It is
// streamed: memory does not grow with it, but for 11 bytes a record, up to a limit,
// to find doubled record identifiers. A workbook or a Parquet file is held whole, sealed, on disk.
// [Reader.Report] groups what was wrong; close a reader that was not read to its end.
//
// It will not store what the plan does not name, obey a plan that crosses a floor,
// read a column that the contract does not have, repair a value, or repeat one:
// errors and problems name places and codes only. No type of this package that
// leaves it can be printed, logged or encoded to show what a file holds.
package pipelines

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/internal/tabular"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
)

// Options say how a file is read.
type Options struct {
	Contract    *gateway.Contract   // required
	Plan        gateway.Plan        // required: of that contract and version
	Keys        *pseudonym.Keyring  // required
	Agency      gateway.AgencyID    // required: record identifiers are hashed under a key of its own
	Others      []*gateway.Contract // whose names of columns may be told where the contract has none; may be nil
	Said        gateway.Said        // what the sender says of the file; the rest is found out
	Batch       gateway.Manifest    // the period is required; NoDay leaves that side open
	Today       gateway.Day         // required: no date may be later
	Rand        io.Reader           // nil: crypto/rand
	Dir         string              // where a file is held, sealed, that must be there whole; "": the system's
	MaxProblems int                 // problems that are kept with their place; 0: 1000
	Limits      Limits
	Blind       bool  // the column of the IIN holds inner pseudonyms, as the function Blind wrote them
	Inner       Inner // of a keyring that names a key server: asks it about files in clear

	blindTo io.Writer // of the function Blind
	part    int       // bytes of the file that are decoded at once; tests alone set it
}

// Limits bound what one file may cost. Zero values stand for the defaults.
type Limits struct {
	RowBytes  int   // longest row; 64 KiB
	Columns   int   // most columns; 256
	Rows      int   // most records; 10,000,000
	Bytes     int64 // inside a compressed file; 64 GiB
	HeldBytes int64 // of a workbook or a Parquet file, which must be held whole; 1 GiB
	Ratio     int   // of the bytes inside a compressed file to its own, beyond 16 MiB; 250
	Unique    int   // records whose identifiers are remembered to find doubles; 1,048,576
}

func (o *Options) validate() error {
	switch {
	case o.Contract == nil:
		return errors.New("a contract is required")
	case o.Keys == nil:
		return errors.New("a keyring is required")
	case o.Agency == "":
		return errors.New("an agency is required")
	case o.Today <= oldestEvent:
		return errors.New("today's date is required")
	case o.Batch.PeriodFrom != gateway.NoDay && o.Batch.PeriodTo != gateway.NoDay && o.Batch.PeriodTo < o.Batch.PeriodFrom:
		return gateway.Errorf(gateway.Invalid, "the period of the batch ends before it starts")
	case o.Batch.Reject != "" && o.Batch.Reject != gateway.RejectBatch && o.Batch.Reject != gateway.RejectRows:
		return gateway.Errorf(gateway.Invalid, "a batch rejects %s or %s", gateway.RejectBatch, gateway.RejectRows)
	case o.MaxProblems < 0 || o.Limits.RowBytes < 0 || o.Limits.Columns < 0 || o.Limits.Rows < 0 || o.Limits.Unique < 0 ||
		o.Limits.Bytes < 0 || o.Limits.HeldBytes < 0 || o.Limits.Ratio < 0 ||
		o.Limits.RowBytes > 1<<28:
		return errors.New("a limit is negative or too large")
	}
	o.Rand = randomSource(o)
	if o.Limits.HeldBytes == 0 {
		o.Limits.HeldBytes = 1 << 30
	}
	if o.Limits.Bytes == 0 {
		o.Limits.Bytes = 64 << 30
	}
	for value, standard := range map[*int]int{
		&o.MaxProblems: 1000, &o.Limits.RowBytes: 64 << 10, &o.Limits.Columns: 256,
		&o.Limits.Rows: 10_000_000, &o.Limits.Ratio: 250, &o.Limits.Unique: 1 << 20,
	} {
		if *value == 0 {
			*value = standard
		}
	}
	return nil
}

func randomSource(o *Options) io.Reader {
	if o.Rand == nil {
		return rand.Reader
	}
	return o.Rand
}

// A Reader reads one file. Next may be called by several goroutines at the same
// time, and those who call it do the work. What is read is held by a closure,
// because a field could be printed.
type Reader struct {
	next     func(ctx context.Context, b *gateway.Block) error
	tally    *tally
	dialect  func() gateway.Dialect
	contract *gateway.Contract
	close    func()
}

// Close gives back what holds the file, if anything does. The last call of Next
// does too.
func (r *Reader) Close() {
	r.close()
}

// A tally counts what was entered; it holds nothing of what was in it.
type tally struct {
	mu            sync.Mutex
	rows, refused int
	problems      gateway.Problems
	dates         dateForms        // that were seen
	forgot        bool             // records came whose keys are not remembered
	links         [linkClasses]int // good records by how they point to a child
}

// note counts a problem or a warning of the record on a line.
func (t *tally) note(st *stream, line int, e event) {
	at := gateway.RowError{Line: line, Code: e.code}
	if e.field >= 0 {
		at.Field = st.schema.contract.Fields[e.field].Name
	}
	if e.warn {
		t.problems.Warn(at)
		return
	}
	t.problems.Add(at, st.maxProblems)
}

// fatal ends the reading at a record.
func (t *tally) fatal(line int, field gateway.FieldName, code gateway.ProblemCode) error {
	t.refused++
	t.problems.Rows++
	return fatal(line, field, code, &t.problems)
}

// Open compiles contract and plan, and reads and checks the header; a workbook it
// reads whole, and stops where the context ends. A wrong header
// is a *gateway.Error, Invalid, that names columns; so is a file that cannot be
// read as text. Everything else is a fault of the system's own.
func Open(ctx context.Context, r io.Reader, o Options) (*Reader, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("opening a file: %w", err)
	}
	names, err := newColumnNames(o.Contract, o.Said.Mapping)
	if err == nil {
		names.others = o.Others
		err = checkMapping(o.Contract, o.Said.Mapping)
	}
	if err != nil {
		return nil, err
	}
	st, err := newStream(&o)
	if err != nil {
		return nil, fmt.Errorf("compiling contract %s: %w", o.Contract.ID, err)
	}
	if err = st.prepareBlind(&o); err == nil {
		err = st.prepareFallback(&o)
	}
	if err != nil {
		return nil, err
	}
	domain := st.program.domain
	if !st.program.pid {
		domain = o.Keys.Domain()
	}
	hasher := func() (*pseudonym.Hasher, error) { return o.Keys.NewHasher(domain, o.Agency) }
	if _, err = hasher(); err != nil {
		return nil, err
	}
	f, err := openSource(ctx, r, &o, names)
	if err != nil {
		if e, ok := errors.AsType[*gateway.Error](err); ok && e.Problems != nil {
			e.Report = gateway.NewReport(o.Contract, 0, e.Problems, nil)
		}
		return nil, err
	}
	dialect := f.dialect
	if o.Said.Mapping != nil {
		dialect.Mapping = mappingDigest(o.Said.Mapping)
		dialect.Mapped = slices.Sorted(maps.Keys(o.Said.Mapping.Codes))
	}
	st.width = f.width
	for i, place := range f.places {
		st.schema.columns[i].place = place
		if f.noSerials {
			st.schema.columns[i].dates &^= dateSerial
		}
	}
	if err := st.blindHeader(f.close); err != nil {
		return nil, err
	}
	shared := newIntake(&o, st, f, hasher)
	reader := &Reader{close: sync.OnceFunc(shared.close), next: shared.next, tally: &shared.tally, contract: o.Contract}
	reader.dialect = func() gateway.Dialect {
		d := dialect
		d.Dates = (shared.tally.dates | f.typedDates()).names()
		if f.keys != nil {
			d.Columns = slices.Clone(*f.keys)
		}
		return d
	}
	shared.report = reader.Report
	return reader, nil
}

// Next fills the block with up to gateway.BlockRows rows, and returns io.EOF, and
// an empty block, when there are no more. What ends the reading is a
// *gateway.Error, Invalid or TooLarge, with line, column and code; the rows of
// earlier blocks must then not be kept. Under RejectBatch nothing is put into
// blocks from the first bad row on, but the file is read to its end.
func (r *Reader) Next(ctx context.Context, b *gateway.Block) error {
	err := r.next(ctx, b)
	if err != nil {
		r.Close()
	}
	return err
}

// Report returns how the file was read, and what was wrong, by column and code,
// when the reading has ended.
func (r *Reader) Report() *gateway.Report {
	d := r.Dialect()
	report := gateway.NewReport(r.contract, r.Rows()+r.Refused(), r.Problems(), &d)
	report.Linkage = r.linkage()
	return report
}

// Rows returns how many records were good so far.
func (r *Reader) Rows() int {
	r.tally.mu.Lock()
	defer r.tally.mu.Unlock()
	return r.tally.rows
}

// Refused returns how many records were not.
func (r *Reader) Refused() int {
	r.tally.mu.Lock()
	defer r.tally.mu.Unlock()
	return r.tally.refused
}

// Forgot reports whether the file has more records than are remembered to find doubled
// record identifiers, so that there may be doubles among those that follow.
func (r *Reader) Forgot() bool {
	r.tally.mu.Lock()
	defer r.tally.mu.Unlock()
	return r.tally.forgot
}

// Problems returns what was wrong, when the reading has ended.
func (r *Reader) Problems() *gateway.Problems { return &r.tally.problems }

// Dialect returns how the file is written, as far as it was read, when the reading
// has ended.
func (r *Reader) Dialect() gateway.Dialect { return r.dialect() }

// Sniff says what a file seems to be by its first bytes: what a program says for
// its user, and the gateway holds against the file. CSV is not said, because
// everything may be CSV.
func Sniff(head []byte) gateway.Said {
	format, compression := tabular.Sniff(head)
	if format == gateway.FormatCSV {
		format = ""
	}
	return gateway.Said{Format: format, Compression: compression}
}

// SniffInside is [Sniff] of the first bytes inside a compressed file.
func SniffInside(r io.Reader, c gateway.Compression) (gateway.Said, error) {
	inside, closed, err := tabular.OpenEnvelope(r, c, tabular.EnvelopeLimits{Bytes: 64 << 20, Ratio: 1 << 20})
	if err != nil {
		return gateway.Said{}, err
	}
	defer closed()
	head := make([]byte, 1024)
	n, err := io.ReadFull(inside, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return gateway.Said{}, err
	}
	return Sniff(head[:n]), nil
}
