package parquet_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"

	"github.com/pana-exchange/pana/pipelines/internal/parquet"
)

var update = flag.Bool("update", false, "write the hostile files anew")

// A field is one of a structure of Thrift's compact protocol, as a test writes it.
type field struct {
	id    int
	kind  byte
	value []byte
}

func i64(id int, v int64) field { return field{id, 6, binary.AppendVarint(nil, v)} }
func i32(id int, v int64) field { return field{id, 5, binary.AppendVarint(nil, v)} }
func text(id int, v string) field {
	return field{id, 8, append(binary.AppendUvarint(nil, uint64(len(v))), v...)}
}
func part(id int, fields ...field) field { return field{id, 12, structure(fields...)} }
func many(id int, kind byte, claimed int, values ...[]byte) field {
	return field{id, 9, append(binary.AppendUvarint([]byte{0xf0 | kind}, uint64(claimed)), bytes.Join(values, nil)...)}
}

func structure(fields ...field) []byte {
	var out []byte
	last := 0
	slices.SortFunc(fields, func(a, b field) int { return a.id - b.id })
	for _, f := range fields {
		out = append(append(out, byte(f.id-last)<<4|f.kind), f.value...)
		last = f.id
	}
	return append(out, 0)
}

// A crafted is a file of one column of texts, and what it says of itself: by default
// the truth.
type crafted struct {
	rows, groupRows, values int64
	codec                   int64
	pages                   [][]byte
	start, length           int64 // of the chunk; 0: the truth
	column                  []field
	more                    []field // of the footer
	chunk                   []field
	elements                int
	groups                  int
	footer                  int64 // length that is claimed; 0: the truth
}

func (c crafted) bytes() []byte {
	file := []byte("PAR1")
	for _, p := range c.pages {
		file = append(file, p...)
	}
	length := int64(len(file) - 4)
	if c.length != 0 {
		length = c.length
	}
	if c.start == 0 {
		c.start = 4
	}
	column := c.column
	if column == nil {
		column = []field{i32(1, 6), i32(3, 0), text(4, "record_id")}
	}
	meta := part(3, i32(1, 6), i32(4, c.codec), i64(5, c.values), i64(7, length), i64(9, c.start))
	chunk := structure(append([]field{i64(2, 0), meta}, c.chunk...)...)
	group := structure(many(1, 12, 1, chunk), i64(2, 0), i64(3, c.groupRows))
	fields := append([]field{
		i32(1, 1), many(2, 12, max(2, c.elements), structure(text(4, "t"), i32(5, 1)), structure(column...)),
		i64(3, c.rows), many(4, 12, max(1, c.groups), group),
	}, c.more...)
	footer := structure(fields...)
	claimed := int64(len(footer))
	if c.footer != 0 {
		claimed = c.footer
	}
	file = binary.LittleEndian.AppendUint32(append(file, footer...), uint32(claimed))
	return append(file, "PAR1"...)
}

// page is a page: its kind, the lengths that it claims, and the values.
func page(kind, length, sealed, values, encoding int64, body []byte) []byte {
	inner := part(5, i32(1, values), i32(2, encoding), i32(3, 3), i32(4, 3))
	if kind == 2 {
		inner = part(7, i32(1, values), i32(2, encoding))
	}
	return append(structure(i32(1, kind), i32(2, length), i32(3, sealed), inner), body...)
}

func plainTexts(texts ...string) []byte {
	var b []byte
	for _, t := range texts {
		b = append(binary.LittleEndian.AppendUint32(b, uint32(len(t))), t...)
	}
	return b
}

func honest(kind, values, encoding int64, body []byte) []byte {
	return page(kind, int64(len(body)), int64(len(body)), values, encoding, body)
}

// threeRows is a good file of three records.
func threeRows() crafted {
	return crafted{rows: 3, groupRows: 3, values: 3, pages: [][]byte{honest(0, 3, 0, plainTexts("a", "b", "c"))}}
}

// with is a file that differs from a good one.
func with(change func(c *crafted)) []byte {
	c := threeRows()
	change(&c)
	return c.bytes()
}

// run is a repeated index of one byte.
func run(width byte, count uint64, value byte) []byte {
	return append(binary.AppendUvarint([]byte{width}, count<<1), value)
}

type hostileFile struct {
	name    string
	want    error
	content []byte
}

// hostile are the files of trust.md 6.4, B60, and others that lie.
func hostile() []hostileFile {
	dictionary := honest(2, 2, 0, plainTexts("x", "y"))
	indexed := func(body []byte) func(*crafted) {
		return func(c *crafted) { c.pages = [][]byte{dictionary, honest(0, 3, 8, body)} }
	}
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	bomb := encoder.EncodeAll(make([]byte, 30<<20), nil)
	deltas := append(binary.AppendUvarint(nil, 128), 4, 3, 0)
	endless := append(binary.AppendUvarint(binary.AppendUvarint(nil, 128), 4), 0xff, 0xff, 0xff, 0xff, 0x7f, 0)
	return []hostileFile{
		{"good", nil, threeRows().bytes()},
		{"more rows in the footer", parquet.ErrForm, with(func(c *crafted) { c.rows = 1 << 40 })},
		{"more rows in the group", parquet.ErrForm, with(func(c *crafted) { c.groupRows = 4 })},
		{"more rows everywhere but in the page", parquet.ErrForm, with(func(c *crafted) { c.rows, c.groupRows, c.values = 1<<40, 1<<40, 1<<40 })},
		{"fewer rows than the page has", parquet.ErrForm, with(func(c *crafted) { c.rows, c.groupRows, c.values = 2, 2, 2 })},
		{"fewer rows than values", parquet.ErrForm, with(func(c *crafted) {
			c.rows, c.groupRows, c.values = 2, 2, 2
			c.pages = [][]byte{honest(0, 2, 0, plainTexts("a", "b", "c"))}
		})},
		{"a page too many", parquet.ErrForm, with(func(c *crafted) { c.pages = append(c.pages, honest(0, 1, 0, plainTexts("d"))) })},
		{"negative rows", parquet.ErrForm, with(func(c *crafted) { c.rows, c.groupRows, c.values = -3, -3, -3 })},
		{"groups that are not there", parquet.ErrForm, with(func(c *crafted) { c.groups = 1000 })},
		{"a billion groups", parquet.ErrLarge, with(func(c *crafted) { c.groups = 1 << 30 })},
		{"a billion columns", parquet.ErrColumns, with(func(c *crafted) { c.elements = 1 << 30 })},
		{"columns that are not there", parquet.ErrForm, with(func(c *crafted) { c.elements = 100 })},
		{"a footer of 4 GB", parquet.ErrForm, with(func(c *crafted) { c.footer = 1<<32 - 1 })},
		{"a chunk behind the end", parquet.ErrForm, with(func(c *crafted) { c.start = 1 << 50 })},
		{"a chunk over the end", parquet.ErrForm, with(func(c *crafted) { c.length = 1 << 62 })},
		{"a chunk in front of the start", parquet.ErrForm, with(func(c *crafted) { c.start = -1 })},
		{"B60 encrypted footer", parquet.ErrEncrypted, []byte("PARE" + string(threeRows().bytes()[4:]))},
		{"B60 encrypted, footer in plain", parquet.ErrEncrypted, with(func(c *crafted) { c.more = []field{part(8, part(1))} })},
		{"B60 encrypted column", parquet.ErrEncrypted, with(func(c *crafted) { c.chunk = []field{part(8, part(1))} })},
		{"a column in another file", errFeature, with(func(c *crafted) { c.chunk = []field{text(1, "x")} })},
		{"another type than the schema's", parquet.ErrForm, with(func(c *crafted) { c.column = []field{i32(1, 2), i32(3, 0), text(4, "record_id")} })},
		{"codec that is not read", errFeature, with(func(c *crafted) { c.codec = 4 })},
		{"encoding that is not read", errFeature, with(func(c *crafted) { c.pages = [][]byte{honest(0, 3, 9, make([]byte, 12))} })},
		{"kind of page that there is not", parquet.ErrForm, with(func(c *crafted) { c.pages = [][]byte{honest(9, 3, 0, nil)} })},
		{"a page of 2 GB", parquet.ErrLarge, with(func(c *crafted) {
			c.codec, c.pages = 1, [][]byte{page(0, 1<<31-1, 4, 3, 0, make([]byte, 4))}
		})},
		{"a page of negative length", parquet.ErrForm, with(func(c *crafted) { c.pages = [][]byte{page(0, -1, 4, 3, 0, make([]byte, 4))} })},
		{"a page longer than its chunk", parquet.ErrForm, with(func(c *crafted) { c.pages = [][]byte{page(0, 400, 400, 3, 0, make([]byte, 4))} })},
		{"a page that is not as long as it says", parquet.ErrForm, with(func(c *crafted) {
			body := snappy.Encode(nil, plainTexts("a", "b", "c"))
			c.codec, c.pages = 1, [][]byte{page(0, 14, int64(len(body)), 3, 0, body)}
		})},
		{"a page bomb", parquet.ErrLarge, with(func(c *crafted) {
			c.codec, c.pages = 6, [][]byte{page(0, 30<<20, int64(len(bomb)), 3, 0, bomb)}
		})},
		{"check sum", parquet.ErrForm, with(func(c *crafted) {
			body := plainTexts("a", "b", "c")
			c.pages = [][]byte{append(structure(i32(1, 0), i32(2, 15), i32(3, 15), i32(4, 1), part(5, i32(1, 3), i32(2, 0), i32(3, 3))), body...)}
		})},
		{"a text of 4 GB", parquet.ErrForm, with(func(c *crafted) { c.pages = [][]byte{honest(0, 3, 0, []byte{0xff, 0xff, 0xff, 0xff, 'a'})} })},
		{"B60 dictionary that claims two billion entries", parquet.ErrForm, with(func(c *crafted) {
			c.pages = [][]byte{page(2, 5, 5, 1<<31-1, 0, plainTexts("x")), honest(0, 3, 8, run(1, 3, 0))}
		})},
		{"dictionary of fewer than it has", parquet.ErrForm, with(func(c *crafted) {
			c.pages = [][]byte{page(2, 10, 10, 1, 0, plainTexts("x", "y")), honest(0, 3, 8, run(1, 3, 0))}
		})},
		{"two dictionaries", parquet.ErrForm, with(func(c *crafted) { c.pages = [][]byte{dictionary, dictionary, honest(0, 3, 8, run(1, 3, 0))} })},
		{"no dictionary", parquet.ErrForm, with(func(c *crafted) { c.pages = [][]byte{honest(0, 3, 8, run(1, 3, 0))} })},
		{"an index that is not there", parquet.ErrForm, with(indexed(run(8, 3, 2)))},
		{"indexes of 255 bits", parquet.ErrForm, with(indexed(run(255, 3, 0)))},
		{"too few indexes", parquet.ErrForm, with(indexed(run(1, 2, 0)))},
		{"runs of nothing", parquet.ErrForm, with(indexed(bytes.Repeat([]byte{1, 0}, 50)))},
		{"deltas of texts without lengths", parquet.ErrForm, with(func(c *crafted) { c.pages = [][]byte{honest(0, 3, 6, deltas)} })},
		{"deltas without end", parquet.ErrForm, with(func(c *crafted) { c.pages = [][]byte{honest(0, 3, 7, endless)} })},
		{"deltas of no blocks", parquet.ErrForm, with(func(c *crafted) { c.pages = [][]byte{honest(0, 3, 6, []byte{0, 0, 3, 0})} })},
		{"structures without end", parquet.ErrForm, append(append([]byte("PAR1"), bytes.Repeat([]byte{0x9c}, 100)...), "\x64\x00\x00\x00PAR1"...)},
		{"lists without end", parquet.ErrForm, append(append([]byte("PAR1"), bytes.Repeat([]byte{0x99}, 100)...), "\x64\x00\x00\x00PAR1"...)},
		{"no footer", parquet.ErrForm, []byte("PAR1\x00\x00\x00\x00PAR1")},
	}
}

// errFeature stands for a [parquet.FeatureError].
var errFeature = errors.New("a feature")

// What lies is refused for what it is, and for little memory (trust.md 6.4, B60).
func TestHostileFiles(t *testing.T) {
	for _, c := range hostile() {
		t.Run(c.name, func(t *testing.T) {
			before := allocated()
			got, err := records(t.Context(), c.content, limits)
			if spent := allocated() - before; spent > 4<<20 {
				t.Errorf("%d bytes were asked for", spent)
			}
			if _, ok := errors.AsType[*parquet.FeatureError](err); ok && errors.Is(c.want, errFeature) {
				return
			}
			if !errors.Is(err, c.want) || c.want == nil && len(got) != 4 {
				t.Errorf("%d records: %v, want %v", len(got), err, c.want)
			}
		})
	}
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// The hostile files are kept, for tests of what reads files through this package.
func TestHostileFilesAreKept(t *testing.T) {
	for _, c := range hostile() {
		path := filepath.Join("testdata", "hostile", strings.ReplaceAll(c.name, " ", "-")+".parquet")
		if len(c.content) > 64<<10 {
			continue
		}
		if *update {
			if err := os.WriteFile(path, c.content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		kept, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(kept, c.content) {
			t.Errorf("%s is another file (%v); write it with -update", path, err)
		}
	}
}

// A file gives all the records that it declares or an error, every record has a cell
// for every column, and no more memory is asked for than the limits say.
func FuzzFile(f *testing.F) {
	for _, c := range hostile() {
		if len(c.content) < 64<<10 {
			f.Add(c.content)
		}
	}
	seeds, err := filepath.Glob("testdata/seeds/*.parquet")
	if err != nil || len(seeds) == 0 {
		f.Fatal("there are no seeds", err)
	}
	for _, path := range seeds {
		content, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	small := parquet.Limits{Columns: 16, Cell: 1 << 10, Held: 1 << 20, Bytes: 16 << 20, Ratio: 100}
	f.Fuzz(func(t *testing.T, content []byte) {
		before := allocated()
		defer func() {
			if spent := allocated() - before; spent > uint64(96<<20+64*len(content)) {
				t.Fatalf("%d bytes were asked for", spent)
			}
		}()
		file, err := parquet.Open(bytes.NewReader(content), int64(len(content)), small)
		if err != nil {
			return
		}
		defer file.Close()
		var buf []byte
		var cells []parquet.Cell
		for n := range int64(20_000) {
			buf, cells, err = file.Next(context.Background(), buf[:0], cells[:0])
			if errors.Is(err, io.EOF) && n != file.Rows() {
				t.Fatalf("%d records, %d declared", n, file.Rows())
			}
			if err != nil {
				return
			}
			if n >= file.Rows() || len(cells) != len(file.Columns()) {
				t.Fatalf("record %d of %d has %d cells of %d", n, file.Rows(), len(cells), len(file.Columns()))
			}
			for _, c := range cells {
				if c.Start > c.End || c.End > len(buf) || c.End-c.Start > small.Cell {
					t.Fatal("a cell is not in its record")
				}
			}
		}
	})
}
