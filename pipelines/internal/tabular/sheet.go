package tabular

// How the rows of a sheet are read from its XML.

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/pana-exchange/pana/gateway"
)

// Next reads the next row that is not empty.
func (x *XLSX) Next(ctx context.Context) (gateway.ProblemCode, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if x.ended {
		return "", io.EOF
	}
	for {
		switch more, code, err := x.record(ctx); {
		case err != nil:
			return "", badBook(err)
		case code != "":
			return code, nil
		case !more:
			x.ended = true
			return "", io.EOF
		}
		last := len(x.row.Cells)
		for last > 0 && x.row.Cells[last-1].Start == x.row.Cells[last-1].End {
			last--
		}
		if last == 0 {
			continue
		}
		if x.width == 0 {
			x.width = last
		}
		for len(x.row.Cells) < x.width {
			x.row.Cells = append(x.row.Cells, Span{})
		}
		x.row.Cells = x.row.Cells[:max(last, x.width)]
		x.row.Breaks = bytes.IndexByte(x.row.Buf, '\n') >= 0
		x.row.Buf = slices.Grow(x.row.Buf, slack)
		clear(x.row.Buf[len(x.row.Buf) : len(x.row.Buf)+slack])
		return "", nil
	}
}

// record reads up to the end of a row. It reports false at the end of the sheet.
func (x *XLSX) record(ctx context.Context) (bool, gateway.ProblemCode, error) {
	x.row.Buf, x.row.Cells = x.row.Buf[:0], x.row.Cells[:0]
	for {
		text, tag, err := x.xml.next(ctx)
		if errors.Is(err, io.EOF) {
			return false, "", errXML // the sheet's end comes first
		}
		if err != nil {
			return false, "", err
		}
		local, opens, closes := element(tag)
		switch string(local) {
		case "sheetData":
			if closes {
				return false, "", nil
			}
		case "row":
			if opens {
				line := x.row.Line + 1
				if at := attribute(tag, "r"); at != nil {
					line = number(at)
				}
				if line <= x.row.Line {
					return false, "", errXML
				}
				x.row.Line, x.row.After = line, line+1
			}
			if closes {
				return true, "", nil
			}
		case "c":
			if opens {
				x.start(tag)
			}
			if closes {
				if code, err := x.finish(); code != "" || err != nil {
					return false, code, err
				}
			}
		case "v", "t":
			if !opens {
				if x.cell.value, err = unescape(x.cell.value, text); err != nil {
					return false, "", err
				}
				if len(x.cell.value) > x.limit {
					return false, RowTooLong, nil
				}
				x.cell.given = true
			}
		}
	}
}

// start notes what a cell's tag says.
func (x *XLSX) start(tag []byte) {
	c := &x.cell
	c.column = len(x.row.Cells)
	if at := attribute(tag, "r"); at != nil {
		c.column = columnOf(at)
	}
	c.kind = kindOf(attribute(tag, "t"))
	c.style = -1
	if s := attribute(tag, "s"); s != nil {
		c.style = number(s)
	}
	c.value, c.given = c.value[:0], false
}

// kindOf is the type of a cell, without an allocation for those that there are.
func kindOf(t []byte) string {
	switch string(t) {
	case "s":
		return "s"
	case "b":
		return "b"
	case "d":
		return "d"
	case "str", "inlineStr", "e":
		return "text"
	}
	return "n"
}

// columnOf returns the number of the column of a cell like B5, -1 where it is none.
func columnOf(at []byte) int {
	n := 0
	for _, b := range at {
		if b < 'A' || b > 'Z' {
			break
		}
		if n = n*26 + int(b-'A') + 1; n > sheetColumns {
			return -1
		}
	}
	return n - 1
}

// finish puts the cell into the record.
func (x *XLSX) finish() (gateway.ProblemCode, error) {
	c := &x.cell
	if c.column < len(x.row.Cells) {
		return "", errXML // before another, or beyond the sheet
	}
	if !c.given {
		return "", nil
	}
	if c.column >= x.columns {
		return TooManyColumns, nil
	}
	for len(x.row.Cells) < c.column {
		x.row.Cells = append(x.row.Cells, Span{})
	}
	from := len(x.row.Buf)
	if err := x.write(); err != nil {
		return "", err
	}
	if len(x.row.Buf) > x.limit {
		return RowTooLong, nil
	}
	x.row.Cells = append(x.row.Cells, span(from, len(x.row.Buf)))
	return "", nil
}

// write appends the text of the cell to the record.
func (x *XLSX) write() error {
	c, buf := &x.cell, &x.row.Buf
	switch c.kind {
	case "s":
		i := number(c.value)
		if i < 0 || i >= len(x.ends) {
			return errXML
		}
		from := uint32(0)
		if i > 0 {
			from = x.ends[i-1]
		}
		*buf = append(*buf, x.strings[from:x.ends[i]]...)
	case "b":
		*buf = append(*buf, map[string]string{"1": "TRUE", "0": "FALSE"}[string(c.value)]...)
	case "d":
		*buf = append(*buf, bytes.TrimSuffix(c.value, []byte("T00:00:00"))...)
	case "text":
		*buf = append(*buf, c.value...)
	default:
		return x.writeNumber()
	}
	return nil
}

func (x *XLSX) writeNumber() error {
	c := &x.cell
	day := c.style >= 0 && c.style < len(x.days) && x.days[c.style]
	plain := len(c.value) < 16
	for _, b := range c.value {
		plain = plain && b >= '0' && b <= '9'
	}
	if plain && !day {
		x.row.Buf = append(x.row.Buf, c.value...)
		return nil
	}
	if len(c.value) == 0 {
		return nil
	}
	v, err := strconv.ParseFloat(string(c.value), 64)
	switch {
	case err != nil || math.IsInf(v, 0) || math.IsNaN(v):
		return errXML
	case day && v >= 1 && v < 2958466 && math.Floor(v) != 60:
		x.serials.Store(true)
		x.row.Buf = appendDay(x.row.Buf, v, x.Since1904)
	case v == math.Trunc(v) && math.Abs(v) < 1e15:
		x.row.Buf = strconv.AppendInt(x.row.Buf, int64(v), 10)
	default:
		x.row.Buf = strconv.AppendFloat(x.row.Buf, v, 'f', -1, 64)
	}
	return nil
}

// appendDay writes a day counted as spreadsheets do; with its time where it is not
// midnight, which no contract takes for a date.
func appendDay(to []byte, v float64, since1904 bool) []byte {
	epoch := time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)
	switch {
	case since1904:
		epoch = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)
	case v < 60: // in front of the day that never was
		epoch = epoch.AddDate(0, 0, 1)
	}
	day := epoch.AddDate(0, 0, int(v))
	if seconds := math.Round((v - math.Floor(v)) * 86400); seconds > 0 {
		return day.Add(time.Duration(seconds)*time.Second).AppendFormat(to, "2006-01-02T15:04:05")
	}
	return day.AppendFormat(to, time.DateOnly)
}
