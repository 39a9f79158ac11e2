package exchange

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"strconv"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/gateway/warehouse"
	"github.com/pana-exchange/pana/pipelines"
)

// What a batch is to the earlier ones of its agency.
//
// A record is its id within the quarters that a batch reports: agencies may number anew
// each year. An original brings records that were not sent before. Two originals may
// report the same days (a large file is sent in parts, and some records come late), but
// never the same record: one that has a record of an accepted batch is refused whole,
// because it would be counted twice. A correction replaces, in the quarters of its
// period, the records that it has in common with earlier batches, and adds the others;
// a record that it moves to another quarter must not stay behind in one that its period
// does not hold. So the periods tell which closed quarters a batch touches. A report of
// nothing has no records.
//
// All this looks at the agency's own batches under the contract, or those of its unit,
// and at no other row. Records are known by the keyed pseudonym of their id, which is of
// the agency alone.

// content is what makes two uploads the same: the body, and the sheet of it that is
// meant. A mapping or an encoding does not: the same bytes read in another way would be
// the same records once more; the receipt says how they were read. The same bytes as an
// original and as a correction are two, so that a correction can be taken back by
// sending the original's bytes again; so are corrections of different batches. A report
// of nothing has no bytes, and is its period and the unit that had nothing: when another
// one takes its own back, this one stands.
func (u Upload) content(unit int) [sha256.Size]byte {
	digest := u.Digest
	if u.Blind {
		digest = sha256.Sum256(append([]byte("pana blind\x00"), digest[:]...))
	}
	if u.Said.Sheet != "" {
		digest = sha256.Sum256(append(append([]byte("pana sheet\x00"), digest[:]...), u.Said.Sheet...))
	}
	switch m := u.Manifest; m.Kind {
	case gateway.Correction:
		return sha256.Sum256(append(append([]byte("pana correction\x00"), digest[:]...), m.Previous...))
	case gateway.Nothing:
		return sha256.Sum256([]byte("pana nothing\x00" + m.PeriodFrom.String() + m.PeriodTo.String() + strconv.Itoa(unit)))
	case gateway.Original:
	}
	return digest
}

// read takes the body in and judges it.
func (l *loading) read(ctx context.Context) error {
	if l.upload.Manifest.Kind == gateway.Nothing {
		n, err := io.Copy(l.hash, l.upload.Body)
		if err == nil && n > 0 {
			err = gateway.Errorf(gateway.Invalid, "a report of nothing has an empty body; send records as kind=original")
		}
		if err != nil {
			return err
		}
		return checkDigest(l.hash, l.upload.Digest)
	}
	err := l.stream(ctx)
	if err != nil {
		return err
	}
	return l.judge()
}

// finish ends the load and verifies it. A report of nothing has none.
func (l *loading) finish(ctx context.Context) (warehouse.Sums, error) {
	if l.upload.Manifest.Kind == gateway.Nothing {
		return warehouse.Sums{}, nil
	}
	sums, err := l.load.Finish(ctx)
	if err != nil {
		return warehouse.Sums{}, err
	}
	return sums, l.unique(ctx)
}

// unique refuses the batch for doubled records that reading could not find, because it
// remembers so many and no more. Which rows they are is not known here, so that they
// cannot be left out either.
func (l *loading) unique(ctx context.Context) error {
	if !l.reader.Forgot() {
		return nil
	}
	doubled, err := l.x.Warehouse.Doubled(ctx, l.contract, l.attempt.Load)
	if err != nil {
		return fmt.Errorf("looking for doubled record ids: %w", err)
	}
	if doubled == 0 {
		return nil
	}
	return l.repeats(pipelines.DuplicateRecord, doubled,
		"%d of the records have the record identifier of another one of the file; nothing was stored. Leave them out")
}

func sameBatch(a, b gateway.Batch) bool { return a.ID == b.ID && a.Load == b.Load && a.Seq == b.Seq }

// compareTries is how often a commit begins anew because another batch of the agency
// came beside it. Each try finds one more batch of the few that an agency may send at
// once.
const compareTries = 20

// settle compares the batch with those beside it and commits it, again when another one
// was accepted in between.
func (l *loading) settle(ctx context.Context, sums warehouse.Sums) ([]byte, error) {
	for try := 1; ; try++ {
		compared, err := l.compare(ctx)
		if err != nil {
			return nil, err
		}
		receipt, err := l.commit(ctx, sums, compared)
		if errors.Is(err, registry.ErrCompareAgain) && try < compareTries {
			continue
		}
		return receipt, err
	}
}

// compare finds fault with records that the agency sent before, and returns the Seq of
// the newest batch that was looked at.
func (l *loading) compare(ctx context.Context) (uint64, error) {
	if l.upload.Manifest.Kind == gateway.Nothing {
		return 0, nil
	}
	m := l.upload.Manifest
	batches, err := l.x.Registry.Beside(ctx, l.caller.Agency, l.caller.Unit, l.contract.ID, m)
	if err != nil || len(batches) == 0 {
		return 0, err
	}
	earlier := make([]gateway.LoadID, len(batches))
	for i, b := range batches {
		earlier[i] = b.Load
	}
	found, err := l.x.Warehouse.Repeated(ctx, l.contract, l.attempt.Load, earlier, m.PeriodFrom.Quarter(), m.PeriodTo.Quarter())
	if err != nil {
		return 0, fmt.Errorf("comparing record ids: %w", err)
	}
	if found.Inside+found.Outside > 0 { // in itself, where another attempt was faster?
		err = l.x.Registry.Standing(ctx, l.attempt.Batch, l.attempt.Load)
		if err != nil {
			return 0, err
		}
	}
	switch {
	case m.Kind == gateway.Original && found.Inside > 0:
		return 0, l.repeats(pipelines.SentBefore, found.Inside,
			"%d of the records were sent before, in a batch that was accepted; nothing was stored. Send what changed as kind=correction, or leave these records out")
	case m.Kind == gateway.Correction && found.Outside > 0:
		return 0, l.repeats(pipelines.OutsideCorrection, found.Outside,
			"%d of the records were reported before in a quarter outside the period of this correction; nothing was stored. Choose a period that holds both the old and the new date")
	}
	return batches[len(batches)-1].Seq, nil
}

// repeats refuses the batch for records that the agency sent before, or twice: in which
// rows they are is not known here.
func (l *loading) repeats(code gateway.ProblemCode, rows uint64, format string) error {
	e := l.refusal(format, rows)
	problems := *e.Problems
	problems.Counts = maps.Clone(e.Problems.Counts)
	if problems.Counts == nil {
		problems.Counts = map[gateway.ColumnProblem]int{}
	}
	column := gateway.ColumnProblem{Field: l.contract.RecordID().Name, Code: code}
	problems.Counts[column] += int(rows) //nolint:gosec // rows of one batch
	e.Problems = &problems
	e.Report = gateway.NewReport(l.contract, l.records(), &problems, e.Report.ReadAs)
	return e
}

// complete compares what the manifest announces with what came.
func (l *loading) complete() error {
	want, got := l.upload.Manifest.Records, l.records()
	if want == 0 || want == got {
		return nil
	}
	return l.refusal("the batch announces %d records and the file has %d; nothing was stored. Send the whole file, or the right number", want, got)
}

// order is how the batches of a snapshot replace one another, for a build.
func order(batches []gateway.Batch) []warehouse.Ordered {
	var list []warehouse.Ordered
	for _, b := range batches {
		o := warehouse.Ordered{Load: b.Load, Seq: b.Seq, Unit: b.Unit}
		if b.Manifest.Kind == gateway.Correction {
			o.From, o.To = b.Manifest.PeriodFrom.Quarter(), b.Manifest.PeriodTo.Quarter()
		}
		list = append(list, o)
	}
	return list
}
