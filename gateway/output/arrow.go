package output

import (
	"encoding/binary"
	"io"
	"math"
	"slices"

	fb "github.com/google/flatbuffers/go"
)

// What the flatbuffers of Arrow (Schema.fbs, Message.fbs, File.fbs) call what is
// written here.
const (
	arrowV5     = 4 // MetadataVersion
	arrowSchema = 1 // MessageHeader
	arrowBatch  = 3
	arrowFloat  = 3 // Type
	arrowUTF8   = 5
	arrowDouble = 2 // Precision
)

const arrowMagic = "ARROW1"

// writeArrow writes Arrow's IPC file: a schema, one batch of records, not compressed,
// and where the batch lies. The citation is metadata of the schema, under keys that
// begin with "pana.". The layout is written with the encoder of flatbuffers alone:
// Arrow's library for Go would be 7.1 MB of the binary, for as few lines.
func writeArrow(w io.Writer, d *Document) error {
	columns, meta, err := d.framed()
	if err != nil {
		return err
	}
	file := append(append([]byte(arrowMagic), 0, 0), schemaCapsule(columns, meta).framed()...)
	batch := batchCapsule(columns, len(d.Table.Cells))
	at, framed := len(file), batch.framed()
	footer := arrowFooter(columns, meta, at, len(framed)-len(batch.body), len(batch.body))
	file = append(append(append(file, framed...), arrowEnd...), footer...)
	file = binary.LittleEndian.AppendUint32(file, uint32(len(footer))) //nolint:gosec // a table's
	_, err = w.Write(append(file, arrowMagic...))
	return err
}

// writeArrowStream writes Arrow's IPC stream.
func writeArrowStream(w io.Writer, d *Document) error {
	columns, meta, err := d.framed()
	if err != nil {
		return err
	}
	batch := batchCapsule(columns, len(d.Table.Cells))
	_, err = w.Write(append(append(schemaCapsule(columns, meta).framed(), batch.framed()...), arrowEnd...))
	return err
}

// arrowEnd ends a stream: a message that continues, of no length.
var arrowEnd = []byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}

// A capsule is a message of Arrow: a flatbuffer, and the buffers that it names.
type capsule struct{ head, body []byte }

// framed is a capsule with its frame ("Encapsulated message format"): the length of
// the head, padded so that the body begins at a multiple of eight.
func (c capsule) framed() []byte {
	head := padded(c.head)
	b := binary.LittleEndian.AppendUint32([]byte{0xff, 0xff, 0xff, 0xff}, uint32(len(head))) //nolint:gosec // of a table
	return append(append(b, head...), c.body...)
}

func padded(b []byte) []byte { return append(b, make([]byte, -len(b)&7)...) }

func schemaCapsule(columns []column, meta []pair) capsule {
	b := fb.NewBuilder(4096)
	return capsule{head: arrowMessage(b, arrowSchema, buildSchema(b, columns, meta), 0)}
}

func arrowMessage(b *fb.Builder, kind byte, header fb.UOffsetT, body int) []byte {
	b.StartObject(5)
	b.PrependInt16Slot(0, arrowV5, 0)
	b.PrependByteSlot(1, kind, 0)
	b.PrependUOffsetTSlot(2, header, 0)
	b.PrependInt64Slot(3, int64(body), 0)
	b.Finish(b.EndObject())
	return b.FinishedBytes()
}

// buildSchema builds a Schema.
func buildSchema(b *fb.Builder, columns []column, meta []pair) fb.UOffsetT {
	var fields, pairs []fb.UOffsetT
	for _, c := range columns {
		fields = append(fields, c.buildField(b))
	}
	for _, p := range meta {
		key, value := b.CreateString(p.key), b.CreateString(p.value)
		b.StartObject(2)
		b.PrependUOffsetTSlot(0, key, 0)
		b.PrependUOffsetTSlot(1, value, 0)
		pairs = append(pairs, b.EndObject())
	}
	allFields, allPairs := b.CreateVectorOfTables(fields), b.CreateVectorOfTables(pairs)
	b.StartObject(4) // the byte order is little-endian, which is 0
	b.PrependUOffsetTSlot(1, allFields, 0)
	b.PrependUOffsetTSlot(2, allPairs, 0)
	return b.EndObject()
}

// buildField builds the Field of a column.
func (c column) buildField(b *fb.Builder) fb.UOffsetT {
	name, children := b.CreateString(c.name), b.CreateVectorOfTables(nil)
	kind := byte(arrowUTF8)
	b.StartObject(1) // Utf8 has no members; of FloatingPoint it is the precision
	if c.texts == nil {
		kind = arrowFloat
		b.PrependInt16Slot(0, arrowDouble, 0)
	}
	of := b.EndObject()
	b.StartObject(7)
	b.PrependUOffsetTSlot(0, name, 0)
	b.PrependBoolSlot(1, c.texts == nil, false)
	b.PrependByteSlot(2, kind, 0)
	b.PrependUOffsetTSlot(3, of, 0)
	b.PrependUOffsetTSlot(5, children, 0)
	return b.EndObject()
}

// batchCapsule has the values.
func batchCapsule(columns []column, rows int) capsule {
	var body []byte
	var buffers, nodes []span
	add := func(buffer []byte) {
		buffers = append(buffers, span{len(body), len(buffer)})
		body = padded(append(body, buffer...))
	}
	for _, c := range columns {
		valid, missing := []byte{}, 0
		if c.texts == nil {
			valid, missing = bitmap(c.numbers)
		}
		nodes = append(nodes, span{rows, missing})
		add(valid) // empty where none is missing ("Validity bitmaps")
		for _, values := range c.buffers() {
			add(values)
		}
	}
	b := fb.NewBuilder(1024)
	allBuffers, allNodes := buildSpans(b, buffers), buildSpans(b, nodes)
	b.StartObject(5)
	b.PrependInt64Slot(0, int64(rows), 0)
	b.PrependUOffsetTSlot(1, allNodes, 0)
	b.PrependUOffsetTSlot(2, allBuffers, 0)
	return capsule{arrowMessage(b, arrowBatch, b.EndObject(), len(body)), body}
}

// buffers are a column's values: of texts where each ends and all of them.
func (c column) buffers() [][]byte {
	if c.texts == nil {
		var values []byte
		for _, v := range c.numbers {
			bits := uint64(0)
			if v != nil {
				bits = math.Float64bits(*v)
			}
			values = binary.LittleEndian.AppendUint64(values, bits)
		}
		return [][]byte{values}
	}
	ends, values := []byte{0, 0, 0, 0}, []byte{}
	for _, text := range c.texts {
		values = append(values, text...)
		ends = binary.LittleEndian.AppendUint32(ends, uint32(len(values))) //nolint:gosec // of a table
	}
	return [][]byte{ends, values}
}

// buildSpans builds a vector of FieldNode or Buffer, which are two numbers each.
func buildSpans(b *fb.Builder, spans []span) fb.UOffsetT {
	b.StartVector(16, len(spans), 8)
	for _, s := range slices.Backward(spans) {
		b.PrependInt64(int64(s.length))
		b.PrependInt64(int64(s.start))
	}
	return b.EndVector(len(spans))
}

// arrowFooter is the Footer of a file with one batch.
func arrowFooter(columns []column, meta []pair, at, head, body int) []byte {
	b := fb.NewBuilder(4096)
	schema := buildSchema(b, columns, meta)
	b.StartVector(24, 0, 8)
	dictionaries := b.EndVector(0)
	b.StartVector(24, 1, 8)
	b.PrependInt64(int64(body))
	b.Pad(4)
	b.PrependInt32(int32(head)) //nolint:gosec // of a table
	b.PrependInt64(int64(at))
	batches := b.EndVector(1)
	b.StartObject(5)
	b.PrependInt16Slot(0, arrowV5, 0)
	b.PrependUOffsetTSlot(1, schema, 0)
	b.PrependUOffsetTSlot(2, dictionaries, 0)
	b.PrependUOffsetTSlot(3, batches, 0)
	b.Finish(b.EndObject())
	return b.FinishedBytes()
}
