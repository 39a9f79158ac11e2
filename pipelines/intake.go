package pipelines

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/internal/tabular"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
)

// An intake is what those who read one file at the same time share. Whoever calls
// Next works: it takes the next lot of records from the source, decodes it, waits
// for its turn to enter it, in the order of the file, and hashes and stores it.
// So there is no goroutine to end, nobody holds more than one lot, and nothing
// that is told of the file hangs on how many worked.
//
// It holds raw text, so it is never handed out: a [Reader] reaches it through a
// closure only.
type intake struct {
	compiled *stream // from which others are made
	hasher   func() (*pseudonym.Hasher, error)
	src      tabular.Source
	csv      *tabular.CSV // src, where its parts can be decoded at the same time
	tally    tally
	report   func() *gateway.Report
	release  func() // gives back what holds the source; may be nil

	reading  chan struct{}   // full: somebody takes a lot
	newest   <-chan struct{} // closed when the lot that was taken last is entered
	refusing atomic.Bool     // no row will be stored
	gone     chan struct{}   // closed when the reading ended early

	// In the turn of a lot, and nowhere else.
	seen   *keySet
	random *randomness
	lines  int // in front of the lot

	mu     sync.Mutex
	idle   []*stream
	reason error // why the reading ended
}

// lotRows is how many records of a source that has no parts are decoded at once.
const lotRows = 2048

func newIntake(o *Options, st *stream, from opened, hasher func() (*pseudonym.Hasher, error)) *intake {
	entered := make(chan struct{})
	close(entered)
	f := &intake{
		compiled: st, hasher: hasher, src: from.src, release: from.close,
		seen: newKeySet(o.Limits.Unique), random: newRandomness(o.Rand),
		reading: make(chan struct{}, 1), newest: entered, gone: make(chan struct{}),
	}
	if csv, ok := from.src.(*tabular.CSV); ok {
		f.csv = csv
		f.lines = csv.Row().After - 1
	}
	return f
}

// next is Reader.Next.
func (f *intake) next(ctx context.Context, b *gateway.Block) error {
	b.Reset()
	st, err := f.take()
	if err != nil {
		return err
	}
	defer f.give(st)
	n, err := st.fill(ctx, b)
	if err != nil && (err != io.EOF || n == 0) { //nolint:errorlint // fill returns io.EOF itself
		return err
	}
	b.SetRows(n)
	return nil
}

// take returns an idle worker, one that has rows left if there is one, and a new
// one if there is none.
func (f *intake) take() (*stream, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := slices.IndexFunc(f.idle, func(st *stream) bool { return st.lot.left() > 0 })
	if f.reason != nil && (at < 0 || f.reason != io.EOF) { //nolint:errorlint // it is io.EOF itself
		return nil, f.reason
	}
	if at < 0 && len(f.idle) == 0 {
		return f.worker()
	}
	at = max(at, 0)
	st := f.idle[at]
	f.idle = slices.Delete(f.idle, at, at+1)
	return st, nil
}

func (f *intake) give(st *stream) {
	f.mu.Lock()
	f.idle = append(f.idle, st)
	f.mu.Unlock()
}

// worker makes one more worker.
func (f *intake) worker() (*stream, error) {
	st := *f.compiled
	var err error
	if st.hasher, err = f.hasher(); err != nil {
		return nil, err
	}
	s := *f.compiled.schema
	s.columns = slices.Clone(s.columns)
	st.schema, st.intake, st.lot = &s, f, &lot{}
	if st.fallback.make != nil {
		st.fallback.key = st.fallback.make()
	}
	st.slots = make([]slot, len(s.columns)+2)
	st.facts.slots = st.slots
	if f.csv != nil {
		st.src = f.csv.NewPart()
	} else {
		st.src = f.src
	}
	st.cells = st.src.Row()
	return &st, nil
}

// end ends the reading for all; the first reason stays.
func (f *intake) end(why error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.reason == nil {
		f.reason = why
		if why != io.EOF { //nolint:errorlint // it is io.EOF itself
			close(f.gone)
		}
	}
	return f.reason
}

func (f *intake) why() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reason
}

// lock waits for the source.
func (f *intake) lock(ctx context.Context) error {
	select {
	case f.reading <- struct{}{}:
		return nil
	case <-f.gone:
		return f.why()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *intake) unlock() { <-f.reading }

// close gives back what holds the source, when nobody reads from it.
func (f *intake) close() {
	_ = f.end(errors.New("the reader is closed"))
	f.reading <- struct{}{}
	defer f.unlock()
	if f.release != nil {
		f.release()
		f.release = nil
	}
}

// read takes the next lot, decodes, enters and hashes it. What is wrong with it ends
// the reading for all.
func (st *stream) read(ctx context.Context) error {
	f := st.intake
	before, entered, err := st.takeLot(ctx)
	if entered == nil {
		return err
	}
	if err == nil && f.csv != nil {
		err = st.decodePart()
	}
	select {
	case <-before:
	case <-f.gone:
		return f.why()
	case <-ctx.Done():
		return f.end(ctx.Err())
	}
	err = f.enter(st, err)
	if e, ok := errors.AsType[*gateway.Error](err); ok && e.Problems != nil {
		e.Report = f.report()
	}
	if err != nil {
		err = f.end(err)
	}
	if err == nil || err == io.EOF { //nolint:errorlint // it is io.EOF itself
		close(entered)
		if failed := st.hash(ctx); failed != nil {
			return f.end(failed)
		}
	}
	if len(st.lot.records) > 0 && err == io.EOF { //nolint:errorlint // it is io.EOF itself
		return nil
	}
	return err
}

// takeLot takes the next lot from the source, and its turn. A source without parts
// is decoded by who takes from it.
func (st *stream) takeLot(ctx context.Context) (before <-chan struct{}, entered chan struct{}, err error) {
	f := st.intake
	st.lot.reset()
	if err = f.lock(ctx); err != nil {
		return nil, nil, f.end(err)
	}
	defer f.unlock()
	if err = f.why(); err != nil {
		return nil, nil, err
	}
	before, entered = f.newest, make(chan struct{})
	f.newest = entered
	if f.csv != nil {
		err = f.csv.Cut(ctx, st.src.(*tabular.CSV))
	} else {
		err = st.decodeLot(ctx, lotRows)
	}
	return before, entered, err
}

// enter writes a lot into the books, in its turn: what is told of the file is made
// here, and the lot's rows that are doubled are dropped. err is what taking and
// decoding the lot came to; it is returned if nothing else ends the reading.
func (f *intake) enter(st *stream, err error) error {
	l, t := st.lot, &f.tally
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dates |= l.dates
	line, events := f.lines, l.events
	defer func() { t.forgot = f.seen.full }()
	for i := range l.records {
		r := &l.records[i]
		if t.rows+t.refused == st.maxRows {
			return t.fatal(line+int(r.line), "", codeTooManyRows)
		}
		wrong := !r.good
		for ; len(events) > 0 && int(events[0].record) == i; events = events[1:] {
			t.note(st, line+int(r.line), events[0])
		}
		if r.key != 0 && !f.seen.add(r.key) {
			t.note(st, line+int(r.line), event{field: int16(st.schema.record), code: codeDuplicate}) //nolint:gosec // a field
			wrong = true
		}
		if !wrong {
			t.rows++
			t.links[r.link]++
			continue
		}
		if r.good {
			l.drop(i)
		}
		t.refused++
		t.problems.Rows++
	}
	if f.csv != nil {
		f.lines += st.cells.After - 1
	}
	if t.refused > 0 && st.rejectBatch {
		f.refusing.Store(true)
	}
	switch {
	case l.fatal.Code != "":
		return t.fatal(line+l.fatal.Line, l.fatal.Field, l.fatal.Code)
	case err == io.EOF && t.rows+t.refused == 0: //nolint:errorlint // a source returns io.EOF itself
		return fatal(1, "", codeNoRecords, &t.problems)
	case err != nil && err != io.EOF: //nolint:errorlint // a source returns io.EOF itself
		return err
	case f.refusing.Load():
		l.empty()
		return err
	}
	l.pack(len(st.program.template))
	if failed := l.draw(f.random, len(st.program.template)); failed != nil {
		return failed
	}
	return err
}
