package parquet

// The physical types of columns (parquet.thrift, Type).
const (
	kindBoolean = iota
	kindInt32
	kindInt64
	kindInt96
	kindFloat
	kindDouble
	kindBytes
	kindFixed
)

// The repetitions of columns.
const (
	required = 0
	optional = 1
)

// The annotations that decide what a value's text is, as the fields of the union
// LogicalType.
const (
	logicalString    = 1
	logicalEnum      = 4
	logicalDecimal   = 5
	logicalDate      = 6
	logicalTimestamp = 8
	logicalInteger   = 10
	logicalNull      = 11
	logicalJSON      = 12
	logicalUUID      = 14
)

// An element is one of the schema (SchemaElement).
type element struct {
	kind, length, repetition, children int32
	converted, scale                   int32
	logical                            int64 // 0: none
	unit                               int64 // of a timestamp: 1 milli, 2 micro, 3 nano
	unsigned                           bool
	name                               string
}

// A chunk is a column of a group (ColumnChunk).
type chunk struct {
	start, length, values int64
	kind, codec           int32
}

// A group is a number of records (RowGroup).
type group struct {
	rows   int64
	chunks []chunk
}

// A metadata is what the footer says (FileMetaData).
type metadata struct {
	limit    int64 // end of what chunks may lie in
	columns  int   // most
	chunks   int   // of all groups so far
	rows     int64
	elements []element
	groups   []group
}

func (m *metadata) read(text []byte) error {
	c := &compact{buf: text}
	m.rows = -1
	c.fields(isStruct, func(id int64, kind byte) bool {
		switch id {
		case 2:
			c.list(kind, maxElements, ErrColumns, func(kind byte) { m.element(c, kind) })
		case 3:
			m.rows = c.integer(kind)
		case 4:
			c.list(kind, maxGroups, ErrLarge, func(kind byte) { m.group(c, kind) })
		case 8:
			c.fail(ErrEncrypted) // the footer is in plain, columns are not
		default:
			return false
		}
		return true
	})
	return c.err
}

func (m *metadata) element(c *compact, kind byte) {
	e := element{kind: -1, converted: -1}
	c.fields(kind, func(id int64, kind byte) bool {
		switch id {
		case 1:
			e.kind = c.small(kind)
		case 2:
			e.length = c.small(kind)
		case 3:
			e.repetition = c.small(kind)
		case 4:
			e.name = string(c.bytes(kind))
		case 5:
			e.children = c.small(kind)
		case 6:
			e.converted = c.small(kind)
		case 7:
			e.scale = c.small(kind)
		case 10:
			e.annotation(c, kind)
		default:
			return false
		}
		return true
	})
	m.elements = append(m.elements, e)
}

// annotation reads the union LogicalType.
func (e *element) annotation(c *compact, kind byte) {
	c.fields(kind, func(id int64, kind byte) bool {
		e.logical = id
		c.fields(kind, func(part int64, kind byte) bool {
			switch {
			case id == logicalDecimal && part == 1:
				e.scale = c.small(kind)
			case id == logicalTimestamp && part == 2:
				c.fields(kind, func(unit int64, _ byte) bool {
					e.unit = unit
					return false
				})
			case id == logicalInteger && part == 2:
				e.unsigned = kind == isFalse
				return kind == isFalse || kind == isTrue
			default:
				return false
			}
			return true
		})
		return true
	})
}

func (m *metadata) group(c *compact, kind byte) {
	g := group{rows: -1}
	c.fields(kind, func(id int64, kind byte) bool {
		switch id {
		case 1:
			c.list(kind, m.columns, ErrColumns, func(kind byte) { g.chunk(c, kind) })
		case 3:
			g.rows = c.integer(kind)
		default:
			return false
		}
		return true
	})
	if m.chunks += len(g.chunks); m.chunks > maxChunks {
		c.fail(ErrLarge)
	}
	m.groups = append(m.groups, g)
}

func (g *group) chunk(c *compact, kind byte) {
	one := chunk{kind: -1}
	c.fields(kind, func(id int64, kind byte) bool {
		switch id {
		case 1:
			if len(c.bytes(kind)) > 0 {
				c.fail(&FeatureError{0, "the columns lie in other files"})
			}
		case 3:
			one.read(c, kind)
		case 8, 9:
			c.fail(ErrEncrypted)
		default:
			return false
		}
		return true
	})
	g.chunks = append(g.chunks, one)
}

// read reads ColumnMetaData.
func (one *chunk) read(c *compact, kind byte) {
	dictionary := int64(0)
	c.fields(kind, func(id int64, kind byte) bool {
		switch id {
		case 1:
			one.kind = c.small(kind)
		case 4:
			one.codec = c.small(kind)
		case 5:
			one.values = c.integer(kind)
		case 7:
			one.length = c.integer(kind)
		case 9:
			one.start = c.integer(kind)
		case 11:
			dictionary = c.integer(kind)
		default:
			return false
		}
		return true
	})
	if dictionary > 0 && dictionary < one.start {
		one.start = dictionary
	}
}

// flat returns the columns of a schema without structure.
func (m *metadata) flat() ([]*column, error) {
	if len(m.elements) < 2 {
		return nil, ErrForm
	}
	var columns []*column
	for at := 1; at < len(m.elements); at++ {
		e := &m.elements[at]
		if e.children != 0 || e.repetition != required && e.repetition != optional {
			return nil, &FeatureError{len(columns) + 1, "is a list, a map or a structure"}
		}
		c, err := newColumn(e)
		if err != nil {
			return nil, in(len(columns), err)
		}
		columns = append(columns, c)
	}
	if int(m.elements[0].children) != len(columns) {
		return nil, ErrForm
	}
	if len(columns) > m.columns {
		return nil, ErrColumns
	}
	return columns, nil
}

// agree holds what the footer says against the file and against itself.
func (m *metadata) agree(columns []*column) error {
	rows := int64(0)
	for _, g := range m.groups {
		if g.rows < 0 || len(g.chunks) != len(columns) {
			return ErrForm
		}
		if rows += g.rows; rows < 0 {
			return ErrForm
		}
		for i, c := range g.chunks {
			inside := c.start >= int64(len(magic)) && c.length >= 0 && c.start <= m.limit && c.length <= m.limit-c.start
			if g.rows == 0 {
				inside = c.length == 0
			}
			if !inside || c.values != g.rows || c.kind != columns[i].kind {
				return ErrForm
			}
			if !known(c.codec) {
				return &FeatureError{i + 1, "is compressed in a way that is not read; write the file with zstd, snappy, gzip or no compression"}
			}
		}
	}
	if rows != m.rows {
		return ErrForm
	}
	return nil
}
