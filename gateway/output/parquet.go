package output

import (
	"encoding/binary"
	"io"
	"math"
)

// What parquet.thrift calls what is written here.
const (
	parquetDouble   = 5 // Type
	parquetBytes    = 6
	parquetRequired = 0 // FieldRepetitionType
	parquetOptional = 1
	parquetUTF8     = 0 // ConvertedType
	parquetPlain    = 0 // Encoding
	parquetRLE      = 3
)

const parquetMagic = "PAR1"

// writeParquet writes one row group with a page for each column, plain and without
// compression: a table has a few thousand cells, and its bytes must be the same
// whichever version of a library compresses (see the package comment). The citation is
// metadata of the file, under keys that begin with "pana.". That is three structures
// of Thrift; a library would be 4.6 MB of the binary for them.
func writeParquet(w io.Writer, d *Document) error {
	columns, meta, err := d.framed()
	if err != nil {
		return err
	}
	file := []byte(parquetMagic)
	chunks := make([]span, len(columns))
	for i, c := range columns {
		chunks[i].start = len(file)
		file = append(file, c.page()...)
		chunks[i].length = len(file) - chunks[i].start
	}
	footer := parquetFooter(columns, chunks, len(d.Table.Cells), meta)
	file = append(file, footer...)
	file = binary.LittleEndian.AppendUint32(file, uint32(len(footer))) //nolint:gosec // a table's
	_, err = w.Write(append(file, parquetMagic...))
	return err
}

// A span is where in a file something lies.
type span struct{ start, length int }

func (c column) rows() int { return max(len(c.texts), len(c.numbers)) }

// page is a column's one page: its header and its values.
func (c column) page() []byte {
	var values []byte
	for _, text := range c.texts {
		values = append(binary.LittleEndian.AppendUint32(values, uint32(len(text))), text...) //nolint:gosec // a code
	}
	if c.texts == nil {
		// One run of packed levels of one bit (Encodings.md, RLE), its length before it.
		bits, _ := bitmap(c.numbers)
		run := append(binary.AppendUvarint(nil, uint64(len(bits))<<1|1), bits...)
		values = append(binary.LittleEndian.AppendUint32(nil, uint32(len(run))), run...) //nolint:gosec // a table's
	}
	for _, v := range c.numbers {
		if v != nil {
			values = binary.LittleEndian.AppendUint64(values, math.Float64bits(*v))
		}
	}
	var h thrift
	h.i32(1, 0) // a page of data
	h.i32(2, len(values))
	h.i32(3, len(values))
	h.open(5)
	h.i32(1, c.rows())
	h.i32(2, parquetPlain)
	h.i32(3, parquetRLE)
	h.i32(4, parquetRLE)
	h.close()
	return append(h.end(), values...)
}

// parquetFooter is the FileMetaData.
func parquetFooter(columns []column, chunks []span, rows int, meta []pair) []byte {
	var f thrift
	f.i32(1, 1)
	f.list(2, thriftStruct, len(columns)+1)
	f.element()
	f.text(4, "table")
	f.i32(5, len(columns))
	f.close()
	for _, c := range columns {
		c.schema(&f)
	}
	f.i64(3, rows)
	if rows == 0 {
		f.list(4, thriftStruct, 0)
	} else {
		f.list(4, thriftStruct, 1)
		f.element()
		f.list(1, thriftStruct, len(columns))
		total := 0
		for i, c := range columns {
			c.chunk(&f, chunks[i])
			total += chunks[i].length
		}
		f.i64(2, total)
		f.i64(3, rows)
		f.close()
	}
	f.list(5, thriftStruct, len(meta))
	for _, p := range meta {
		f.element()
		f.text(1, p.key)
		f.text(2, p.value)
		f.close()
	}
	f.text(6, "pana version "+version)
	return f.end()
}

// schema is the SchemaElement of a column.
func (c column) schema(f *thrift) {
	f.element()
	if c.texts == nil {
		f.i32(1, parquetDouble)
		f.i32(3, parquetOptional)
		f.text(4, c.name)
	} else {
		f.i32(1, parquetBytes)
		f.i32(3, parquetRequired)
		f.text(4, c.name)
		f.i32(6, parquetUTF8)
		f.open(10) // LogicalType, which is a union
		f.open(1)  // STRING
		f.close()
		f.close()
	}
	f.close()
}

// chunk is the ColumnChunk of a column.
func (c column) chunk(f *thrift, at span) {
	kind := parquetBytes
	if c.texts == nil {
		kind = parquetDouble
	}
	f.element()
	f.i64(2, 0) // of no use since 2.9 of the format, and required
	f.open(3)
	f.i32(1, kind)
	f.list(2, thriftI32, 2)
	f.b = binary.AppendVarint(binary.AppendVarint(f.b, parquetPlain), parquetRLE)
	f.list(3, thriftBinary, 1)
	f.b = append(binary.AppendUvarint(f.b, uint64(len(c.name))), c.name...)
	f.i32(4, 0) // not compressed
	f.i64(5, c.rows())
	f.i64(6, at.length)
	f.i64(7, at.length)
	f.i64(9, at.start)
	f.close()
	f.close()
}

// The types of Thrift's compact protocol.
const (
	thriftI32    = 5
	thriftI64    = 6
	thriftBinary = 8
	thriftList   = 9
	thriftStruct = 12
)

// A thrift writes structures in Thrift's compact protocol. Fields come in ascending
// order of their ids, less than 16 apart.
type thrift struct {
	b     []byte
	last  int   // id of the field before, in the structure that is open
	outer []int // the same of those around it
}

func (t *thrift) field(id int, kind byte) {
	t.b = append(t.b, byte(id-t.last)<<4|kind) //nolint:gosec // less than 16
	t.last = id
}

func (t *thrift) i32(id, v int) {
	t.field(id, thriftI32)
	t.b = binary.AppendVarint(t.b, int64(v))
}

func (t *thrift) i64(id, v int) {
	t.field(id, thriftI64)
	t.b = binary.AppendVarint(t.b, int64(v))
}

func (t *thrift) text(id int, v string) {
	t.field(id, thriftBinary)
	t.b = append(binary.AppendUvarint(t.b, uint64(len(v))), v...)
}

// list begins a list, whose n elements follow.
func (t *thrift) list(id int, kind byte, n int) {
	t.field(id, thriftList)
	if n < 15 {
		t.b = append(t.b, byte(n)<<4|kind) //nolint:gosec // less than 15
		return
	}
	t.b = binary.AppendUvarint(append(t.b, 0xf0|kind), uint64(n))
}

// open begins a structure as a field, element one in a list; close ends both.
func (t *thrift) open(id int) {
	t.field(id, thriftStruct)
	t.element()
}

func (t *thrift) element() {
	t.outer = append(t.outer, t.last)
	t.last = 0
}

func (t *thrift) close() {
	t.b = append(t.b, 0)
	t.last, t.outer = t.outer[len(t.outer)-1], t.outer[:len(t.outer)-1]
}

// end ends the outermost structure.
func (t *thrift) end() []byte { return append(t.b, 0) }
