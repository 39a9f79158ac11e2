package configs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/pana-exchange/pana/gateway"
)

// fuzzFile puts any text in the place of one file of a folder: the folder is
// accepted, or refused as the author's fault; nothing panics.
func fuzzFile(f *testing.F, name string) {
	f.Helper()
	f.Add(small(f)[name].Data)
	f.Fuzz(func(t *testing.T, text []byte) {
		files := small(t)
		files[name] = &fstest.MapFile{Data: text}
		if err := loadAll(files); err != nil && !errors.Is(err, gateway.Invalid) {
			t.Errorf("not the author's fault: %v", err)
		}
	})
}

func FuzzContract(f *testing.F)   { fuzzFile(f, "contracts/shelter.yaml") }
func FuzzCommon(f *testing.F)     { fuzzFile(f, "contracts/common.yaml") }
func FuzzListIndex(f *testing.F)  { fuzzFile(f, "codelists/codelists.yaml") }
func FuzzCodeList(f *testing.F)   { fuzzFile(f, "codelists/places.csv") }
func FuzzDefinition(f *testing.F) { fuzzFile(f, "cubes/tiny.yaml") }
func FuzzWide(f *testing.F)       { fuzzFile(f, "cubes/wide.yaml") }

func FuzzSettings(f *testing.F) {
	shipped, err := os.ReadFile("gateway.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(shipped)
	f.Add([]byte("limits: {uploads: 1e3, rows: 0x10}\n"))
	f.Add([]byte("listen: &a 127.0.0.1:1\ndata: *a\n"))
	f.Add([]byte("<<: {data: d}\n"))
	f.Add([]byte("a.b: 1\nlimits.uploads: 3\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		file := filepath.Join(t.TempDir(), "gateway.yaml")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if c, err := Load(file, nil); err != nil && !errors.Is(err, gateway.Invalid) {
			t.Errorf("not the operator's fault: %v", err)
		} else if err == nil && (c.Validate() != nil || c.Limits.Uploads < 1) {
			t.Errorf("accepted what is not valid: %+v", c)
		}
	})
}
