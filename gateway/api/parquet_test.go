package api_test

import (
	"bytes"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/pana-exchange/pana/gateway"
)

const parquetType = "application/vnd.apache.parquet"

// sendingParquet is an upload of records as a Parquet file, each a change of the good
// one.
func sendingParquet(t *testing.T, changes ...map[string]string) call {
	t.Helper()
	group := parquet.Group{}
	for name := range record() {
		group[name] = parquet.String()
	}
	var b bytes.Buffer
	w := parquet.NewGenericWriter[map[string]string](&b, parquet.NewSchema("police", group))
	for _, change := range changes {
		row := record()
		maps.Copy(row, change)
		_ = must(w.Write([]map[string]string{row}))(t)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return sending("police", "police", b.String()).with("Content-Type", parquetType)
}

// parquetContents are B60 of trust.md 6.4: files that lie, and what a good one may
// hold wrong.
func parquetContents(t *testing.T) []refusal {
	t.Helper()
	var list []refusal
	for _, path := range must(filepath.Glob("../../pipelines/internal/parquet/testdata/hostile/*.parquet"))(t) {
		name := strings.TrimSuffix(filepath.Base(path), ".parquet")
		if name == "good" { // of another contract
			name += " but for its columns"
		}
		file := sending("police", "police", string(must(os.ReadFile(path))(t)))
		slug := "unreadable-file"
		if name == "a-billion-columns" {
			slug = "limit-columns"
		}
		list = append(list, refusal{"B60 " + name, file.with("Content-Type", parquetType), 400, slug})
	}
	if len(list) < 30 {
		t.Fatalf("%d files", len(list))
	}
	return append(
		list,
		refusal{"CSV as Parquet", sending("police", "police", table(nil)).with("Content-Type", parquetType), 400, "unreadable-file"},
		refusal{"Parquet as CSV", sendingParquet(t, nil).with("Content-Type", "text/csv"), 400, "unreadable-file"},
		refusal{"Parquet in gzip", sendingParquet(t, nil).with("Content-Encoding", "gzip"), 415, "unsupported"},
		refusal{"B43 in Parquet", sendingParquet(t, map[string]string{"child_iin": "120823590908"}), 422, "refused-batch"},
		refusal{"B41 in Parquet", sendingParquet(t, map[string]string{"record_id": canary + "\x00"}), 400, "unreadable-file"},
	)
}

// A Parquet file is stored, and the receipt says what it was read as.
func TestParquetIsAccepted(t *testing.T) {
	s := newStack(t)
	var receipt gateway.Receipt
	s.want(t, http.StatusCreated, sendingParquet(t, nil, map[string]string{"record_id": "2"})).decode(t, &receipt)
	if d := receipt.Report.ReadAs; d.Format != gateway.FormatParquet || len(d.Columns) != len(record()) || receipt.Stored != 2 {
		t.Errorf("%+v, %d records", d, receipt.Stored)
	}
}
