package output_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/output"
)

// A frame is a file of columns as a reader of others has it: one text a row, its
// columns and the metadata.
type frame struct {
	columns []string
	rows    []string
	meta    map[string]string
}

// readParquet reads with parquet-go, which checks pages and footer against each other.
func readParquet(body []byte) (f frame, err error) {
	file, err := parquet.OpenFile(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return f, err
	}
	f.meta = map[string]string{}
	for _, kv := range file.Metadata().KeyValueMetadata {
		f.meta[kv.Key] = kv.Value
	}
	for _, c := range file.Schema().Fields() {
		f.columns = append(f.columns, fmt.Sprint(c.Name(), " ", c.Type(), " ", c.Optional()))
	}
	reader := parquet.NewReader(file)
	defer func() { err = errors.Join(err, reader.Close()) }()
	buffer := make([]parquet.Row, 3) // fewer than there are, so that pages are taken up again
	for {
		n, err := reader.ReadRows(buffer)
		for _, row := range buffer[:n] {
			var cells []string
			for _, v := range row {
				cells = append(cells, parquetCell(v))
			}
			f.rows = append(f.rows, strings.Join(cells, " "))
		}
		if errors.Is(err, io.EOF) {
			return f, nil
		}
		if err != nil {
			return f, err
		}
	}
}

func parquetCell(v parquet.Value) string {
	switch {
	case v.IsNull():
		return "-"
	case v.Kind() == parquet.Double:
		return number(v.Double())
	}
	return v.String()
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// readArrow reads a file or a stream with arrow-go.
func readArrow(body []byte) (frame, error) {
	if bytes.HasPrefix(body, []byte("ARROW1")) {
		file, err := ipc.NewFileReader(bytes.NewReader(body))
		if err != nil {
			return frame{}, err
		}
		f := frameOf(file.Schema())
		for i := range file.NumRecords() {
			batch, err := file.RecordBatch(i)
			if err != nil {
				return f, err
			}
			f.rows = append(f.rows, rowsOf(batch)...)
		}
		return f, file.Close()
	}
	stream, err := ipc.NewReader(bytes.NewReader(body))
	if err != nil {
		return frame{}, err
	}
	defer stream.Release()
	f := frameOf(stream.Schema())
	for stream.Next() {
		f.rows = append(f.rows, rowsOf(stream.RecordBatch())...)
	}
	return f, stream.Err()
}

func frameOf(s *arrow.Schema) frame {
	f := frame{meta: s.Metadata().ToMap()}
	for _, c := range s.Fields() {
		kind := map[arrow.Type]string{arrow.STRING: "STRING", arrow.FLOAT64: "DOUBLE"}[c.Type.ID()]
		f.columns = append(f.columns, fmt.Sprint(c.Name, " ", kind, " ", c.Nullable))
	}
	return f
}

func rowsOf(batch arrow.RecordBatch) []string {
	var rows []string
	for i := range int(batch.NumRows()) {
		var cells []string
		for _, c := range batch.Columns() {
			switch c := c.(type) {
			case *array.String:
				cells = append(cells, c.Value(i))
			case *array.Float64:
				if c.IsNull(i) {
					cells = append(cells, "-")
					continue
				}
				cells = append(cells, number(c.Value(i)))
			}
		}
		rows = append(rows, strings.Join(cells, " "))
	}
	return rows
}

// readers are the public libraries by format.
var readers = map[output.Format]func([]byte) (frame, error){
	output.Parquet: readParquet, output.Arrow: readArrow, output.ArrowStream: readArrow,
}

// TestFrame reads a table back from Parquet and Arrow with the libraries that everybody
// has: each cell with its status, a number or none, and the citation.
func TestFrame(t *testing.T) {
	d := demo(t)
	for f, read := range readers {
		got := must(read(written(t, f, d)))(t)
		if diff := cmp.Diff([]string{"region STRING false", "quarter STRING false", "status STRING false", "value DOUBLE true", "noise_sd DOUBLE true"}, got.columns); diff != "" {
			t.Errorf("%s: %s", f, diff)
		}
		want := []string{
			"71 2025Q2 value 145 7.0711", "71 2025Q3 value 0 7.0711", "62 2025Q3 suppressed - -",
			"33 2025Q3 not_reported - -", "_U 2025Q2 impossible - -",
		}
		if diff := cmp.Diff(want, got.rows); diff != "" {
			t.Errorf("%s: %s", f, diff)
		}
		for key, want := range map[string]string{
			"release": "demo-1", "release_digest": d.Table.Digest, "decision": d.Table.Decision, "policy": string(d.Table.Policy),
			"answer_digest": hexOf(d.Answer), "question": d.Table.Label, "measure": "children", "base": "5", "notice": d.Notice,
			"filter": `{"pair":"education+health","sex":"F"}`, "notes": strings.Join(d.Table.Notes, "\n"),
		} {
			if got.meta["pana."+key] != want {
				t.Errorf("%s: %s is %q", f, key, got.meta["pana."+key])
			}
		}
		if titles := got.meta["pana.titles"]; !strings.Contains(titles, "code 71 (ru)") || strings.Contains(titles, "Y15T17") {
			t.Errorf("%s: the titles are %s", f, titles)
		}
		if row := must(read(written(t, f, estimates(t))))(t).rows[0]; row != "71 2025Q2 value 12.5 0.31" {
			t.Errorf("%s: an estimate is %q", f, row)
		}
	}
}

// TestFrameOfAny writes tables of no cell to more than a page of levels holds in one
// byte, with texts of every length, and a dimension by the name of a column of ours.
func TestFrameOfAny(t *testing.T) {
	for _, cells := range []int{0, 1, 7, 8, 9, 64, 5000} {
		d := demo(t)
		d.Table.Dimensions, d.Table.Cells = []string{"status", "region"}, nil
		d.Definition.Cubes[0].Dimensions = append(d.Definition.Cubes[0].Dimensions, "status")
		var want []string
		for i := range cells {
			c := gateway.Cell{Nodes: []string{strings.Repeat("ж", i%5+1), fmt.Sprint(i)}, Status: gateway.StatusSuppressed}
			row := fmt.Sprintf("%s %d suppressed - -", c.Nodes[0], i)
			if i%3 == 0 {
				c.Status, c.Value = gateway.StatusValue, new(int64(i))
				row = fmt.Sprintf("%s %d value %d 7.0711", c.Nodes[0], i, i)
			}
			d.Table.Cells, want = append(d.Table.Cells, c), append(want, row)
		}
		for f, read := range readers {
			got, err := read(written(t, f, d))
			if err != nil {
				t.Fatalf("%s of %d cells: %v", f, cells, err)
			}
			if diff := cmp.Diff(want, got.rows); diff != "" {
				t.Errorf("%s of %d cells: %s", f, cells, diff)
			}
			if len(got.columns) != 5 || !strings.HasPrefix(got.columns[0], "dim_status ") {
				t.Errorf("%s: the columns are %v", f, got.columns)
			}
		}
	}
}

// TestFrameThatIsCut is refused by the readers, so that what they take is whole.
func TestFrameThatIsCut(t *testing.T) {
	for f, read := range readers {
		whole := written(t, f, demo(t))
		for _, at := range []int{9, len(whole) / 2, len(whole) - 9} {
			if got, err := read(whole[:at]); err == nil && len(got.rows) == 5 && f != output.ArrowStream {
				t.Errorf("%s: %d of %d bytes are taken for the whole", f, at, len(whole))
			}
		}
	}
}
