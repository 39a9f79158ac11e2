package pipelines

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strconv"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
)

// Inner computes the inner pseudonyms of children by a key server; inputs are as
// [pseudonym.ChildInput] makes them.
type Inner func(ctx context.Context, inputs [][]byte) ([][16]byte, error)

// innerChars is the length of an inner pseudonym as it stands in a blind file: 16 bytes
// in lower-case hexadecimal.
const innerChars = 32

// Blind reads an agency's file where the agency is, as [Open] and [Reader.Next] of the
// gateway would, with all its checks, and writes it for a gateway that must not see
// whose records they are (trust.md 5.4): CSV, in UTF-8 with commas, with what inner
// returns in the place of the IIN. What the gateway would take from the IIN, birth date
// and sex, stands in their columns; days and codes have the contract's own spelling; and
// no column of text, such as a name, is there at all. The agency's own record and
// referral numbers go as they are, as in clear, and are keyed at the gateway.
//
// It writes good records only; the report says how many were not, and a file with any
// is not to be sent. The options need no keys.
func Blind(ctx context.Context, r io.Reader, o Options, inner Inner, w io.Writer) (*gateway.Report, error) {
	keys, err := pseudonym.Ephemeral(randomSource(&o))
	if err != nil {
		return nil, err
	}
	buffered := bufio.NewWriter(w)
	o.Keys, o.Inner, o.blindTo = keys, inner, buffered
	reader, err := Open(ctx, r, o)
	if err != nil {
		return reportIn(err), err
	}
	defer reader.Close()
	block := gateway.NewBlock(o.Contract.Layout())
	for err == nil { // by this goroutine alone: records stay in their order
		err = reader.Next(ctx, block)
	}
	if !errors.Is(err, io.EOF) {
		return reportIn(err), err
	}
	return reader.Report(), buffered.Flush()
}

func reportIn(err error) *gateway.Report {
	if e, ok := errors.AsType[*gateway.Error](err); ok {
		return e.Report
	}
	return nil
}

// prepareBlind compiles what is special in a file that comes blind, or goes.
func (st *stream) prepareBlind(o *Options) error {
	st.inner, st.blind, st.blindTo = o.Inner, o.Blind, o.blindTo
	s := st.schema
	switch {
	case !o.Blind && o.blindTo == nil:
		if o.Keys.KeyServer() != "" && o.Inner == nil && st.program.pid {
			return gateway.Errorf(gateway.Conflict, "this gateway takes blind batches only: pana upload --blind")
		}
		return nil
	case s.birth < 0 || s.sex < 0 || !st.program.pid:
		return gateway.Errorf(gateway.Unsupported, "batches of contract %s cannot come blind: it needs columns of birth date and sex", s.contract.ID)
	case o.Blind && (o.Said.Format != "" && o.Said.Format != gateway.FormatCSV || o.Said.Mapping != nil):
		return gateway.Errorf(gateway.Unsupported, "a blind batch is the CSV that pana upload --blind makes, without a mapping")
	}
	if !o.Blind {
		return nil
	}
	for i := range s.columns {
		if withheld(s.columns[i].field) {
			s.columns[i].required, s.columns[i].when = false, condition{}
		}
	}
	return nil
}

// withheld reports whether a field never leaves the agency in a blind file: what is
// text is never stored, and names people.
func withheld(f *gateway.Field) bool { return f.Type == gateway.TypeText || f.Refused }

// blindHeader checks the header of a blind file, and writes that of one that is made.
func (st *stream) blindHeader(closed func()) error {
	err := st.checkBlindHeader()
	if err == nil && st.blindTo != nil {
		err = st.writeBlindHeader()
	}
	if err != nil && closed != nil {
		closed()
	}
	return err
}

// checkBlindHeader refuses a file that has what a blind one never has.
func (st *stream) checkBlindHeader() error {
	for i := range st.schema.columns {
		if c := &st.schema.columns[i]; st.blind && c.place >= 0 && withheld(c.field) {
			return gateway.Errorf(gateway.Invalid, "a blind batch has no column %s: make it with pana upload --blind", c.field.Name)
		}
	}
	return nil
}

// parseInner checks the form of an inner pseudonym. What has another form may be an
// identifier that somebody sent by mistake: it is refused and, as ever, not repeated.
func parseInner(cell []byte) gateway.ProblemCode {
	if len(cell) != innerChars || bytes.ContainsFunc(cell, func(c rune) bool { return (c < '0' || c > '9') && (c < 'a' || c > 'f') }) {
		return codeIdentifierForm
	}
	return ""
}

// decodeInner writes the inner pseudonyms that a blind file has.
func (l *lot) decodeInner() {
	for i, at := range l.iins {
		l.pids[i] = [16]byte{}
		if at.Start < at.End {
			_, _ = hex.Decode(l.pids[i][:], l.text[at.Start:at.End]) // parseInner has looked
		}
	}
}

// askInner has the key server make the inner pseudonyms of the lot's children.
func (st *stream) askInner(ctx context.Context) error {
	l := st.lot
	inputs, rows := make([][]byte, 0, len(l.iins)), make([]int, 0, len(l.iins))
	for i, at := range l.iins {
		l.pids[i] = [16]byte{}
		if at.Start < at.End {
			inputs = append(inputs, pseudonym.ChildInput(nil, st.program.domain, l.text[at.Start:at.End]))
			rows = append(rows, i)
		}
	}
	if len(inputs) == 0 {
		return nil
	}
	inner, err := st.inner(ctx, inputs)
	for _, input := range inputs {
		clear(input)
	}
	if err != nil {
		return err
	}
	if len(inner) != len(inputs) {
		return errors.New("the key server answered for another number of children")
	}
	for i, row := range rows {
		l.pids[row] = inner[i]
	}
	return nil
}

// writeBlind writes the lot's rows as a blind file has them.
func (st *stream) writeBlind(ctx context.Context) error {
	l := st.lot
	l.pids = slices.Grow(l.pids[:0], l.rows)[:l.rows]
	if err := st.askInner(ctx); err != nil {
		return err
	}
	var row []byte
	for i, rest := range l.rests {
		row = row[:0]
		if l.iins[i].Start < l.iins[i].End {
			row = hex.AppendEncode(row, l.pids[i][:])
		}
		row = append(row, l.text[rest.Start:rest.End]...)
		if _, err := st.blindTo.Write(row); err != nil {
			return errors.New("the blind file cannot be written")
		}
	}
	return nil
}

// writeBlindHeader writes the names of the columns, the child's identifier first.
func (st *stream) writeBlindHeader() error {
	head := []byte(st.schema.columns[st.schema.iin].field.Name)
	for i := range st.schema.columns {
		if f := st.schema.columns[i].field; i != st.schema.iin && !withheld(f) {
			head = append(append(head, ','), f.Name...)
		}
	}
	if _, err := st.blindTo.Write(append(head, '\n')); err != nil {
		return errors.New("the blind file cannot be written")
	}
	return nil
}

// keepRest keeps the current row, but for the child's identifier, as a blind file has it.
func (st *stream) keepRest() {
	l, start := st.lot, len(st.lot.text)
	for i := range st.schema.columns {
		if f := st.schema.columns[i].field; i != st.schema.iin && !withheld(f) {
			l.text = append(l.text, ',')
			st.appendCell(i)
		}
	}
	l.text = append(l.text, '\n')
	l.rests = append(l.rests, pseudonym.Span{Start: int32(start), End: int32(len(l.text))}) //nolint:gosec // a part of a file
}

// appendCell spells a value as the contract does.
func (st *stream) appendCell(i int) {
	c, slot, l := &st.schema.columns[i], &st.slots[i], st.lot
	if !slot.given {
		return
	}
	switch c.kind {
	case gateway.TypeDate, gateway.TypeBirthDate:
		l.text = append(l.text, gateway.Day(slot.v).String()...) //nolint:gosec // a day
	case gateway.TypeInteger, gateway.TypeAge:
		l.text = strconv.AppendInt(l.text, slot.v, 10)
	case gateway.TypeCode:
		l.text = appendCodes(l.text, c, slot.v)
	case gateway.TypeIdentifier:
		l.text = appendQuoted(l.text, st.cell(i))
	case gateway.TypeIIN, gateway.TypeText: // they stand elsewhere, or nowhere
	}
}

func appendCodes(dst []byte, c *column, v int64) []byte {
	codes := c.field.List.Codes
	if !c.multi {
		return append(dst, codes[v-1].Code...)
	}
	separator := ""
	for n := range codes {
		if uint64(v)>>n&1 != 0 { //nolint:gosec // bits
			dst = append(append(dst, separator...), codes[n].Code...)
			separator = "|"
		}
	}
	return dst
}

func appendQuoted(dst, cell []byte) []byte {
	dst = append(dst, '"')
	for _, b := range cell {
		if b == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, b)
	}
	return append(dst, '"')
}
