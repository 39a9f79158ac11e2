package disclosure

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"

	"github.com/pana-exchange/pana/gateway"
)

// The canonical form of a release's published cells is a line of magic, the
// length and bytes of a JSON header, and then, set by set and cell by cell, one
// byte of status and for a value one varint a measure; then, for each value that the
// cell carries, one byte that says whether its sum is shown and, if it is, a varint in
// units of its precision. There is one encoding of
// anything: Decode refuses what Encode would not have written, so that the digest
// which an officer approved names one set of cells and one only (decisions.md 13).
//
// Cells are not labelled: the definition in the header says which they are, and its
// gate which sets have none; a
// file of a million cells is three megabytes.

const magic = "pana/published/2\n"

// header is what a release is, beside its cells: all that is needed to answer, to
// replay an answer and to judge it, and nothing that is secret. Fields are only ever
// added with a new magic.
type header struct {
	Release    gateway.ReleaseID    `json:"release"`
	Number     int                  `json:"number"`
	Lineage    string               `json:"lineage"`
	Rules      gateway.ReleaseRules `json:"rules"`
	Definition gateway.Definition   `json:"definition"`
	Tables     []byte               `json:"ptables"` // as integers, for whoever replays an answer
	Gate       Gate                 `json:"gate"`    // which sets have no cells here
	Units      []gateway.ContractID `json:"units,omitempty"`
	Summary    Summary              `json:"summary"`
}

// maxHeader bounds the header of a release that is read.
const maxHeader = 64 << 20

// maxEncoded bounds a whole release that is read: a country's has under a million
// cells of a few bytes.
const maxEncoded = 1 << 30

// Encode writes the canonical bytes.
func (p *Published) Encode(w io.Writer) error {
	head, err := json.Marshal(p.head)
	if err != nil {
		return fmt.Errorf("encoding the header of a release: %w", err)
	}
	if len(head) > maxHeader {
		return gateway.Errorf(gateway.TooLarge, "the definition of a release is too long")
	}
	b := binary.BigEndian.AppendUint32([]byte(magic), uint32(len(head))) //nolint:gosec // bounded above
	_, err = w.Write(append(b, head...))
	if err != nil {
		return fmt.Errorf("writing a release: %w", err)
	}
	for _, s := range p.l.sets {
		if p.closed[s.index] {
			continue
		}
		_, err = w.Write(p.cells[s.index].append(s, p.signed(), nil))
		if err != nil {
			return fmt.Errorf("writing a release: %w", err)
		}
	}
	return nil
}

func (c *published) append(s *set, signed bool, b []byte) []byte {
	for i, st := range c.status {
		b = append(b, byte(st))
		if st != statusValue {
			continue
		}
		for _, m := range s.Measures {
			if v := c.values[m][i]; signed {
				b = binary.AppendVarint(b, v)
			} else {
				b = binary.AppendUvarint(b, uint64(v)) //nolint:gosec // not negative
			}
		}
		b = c.appendSums(s, i, b)
	}
	return b
}

// seal computes the digests.
func (p *Published) seal() error {
	h := sha256.New()
	err := p.Encode(h)
	if err != nil {
		return err
	}
	p.digest = hex.EncodeToString(h.Sum(nil))
	if len(p.head.Tables) == 0 { // of a profile without keyed noise
		return nil
	}
	tables := sha256.Sum256(p.head.Tables)
	p.tables = hex.EncodeToString(tables[:])
	return nil
}

// errDecode is all that is said of bytes that are not a release: they may be
// damaged, and their content is nobody's business.
func errDecode(what string) error {
	return gateway.Errorf(gateway.Internal, "these are not the published cells of a release: %s", what)
}

// Decode reads what Encode wrote, and nothing else. Compare Digest with the one
// that was approved before serving from it.
func Decode(r io.Reader) (*Published, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxEncoded+1))
	if err != nil {
		return nil, fmt.Errorf("reading a release: %w", err)
	}
	if len(data) > maxEncoded {
		return nil, errDecode("they are too long")
	}
	p := &Published{}
	rest, err := p.decodeHeader(data)
	if err != nil {
		return nil, err
	}
	if p.l, err = newLattice(&p.head.Definition); err != nil {
		return nil, errDecode("their definition is refused")
	}
	if err = p.l.checkGate(); err != nil {
		return nil, errDecode("their definition is refused")
	}
	if p.closed, err = p.l.closedSets(&p.head.Gate); err != nil {
		return nil, errDecode("their sparsity gate is none")
	}
	if p.cellsOpen() > len(rest) {
		return nil, errDecode("cells are missing")
	}
	for _, s := range p.l.sets {
		var c published
		if p.closed[s.index] {
			p.cells = append(p.cells, noCells(s))
			continue
		}
		if c, rest, err = p.decodeCells(s, rest); err != nil {
			return nil, err
		}
		p.cells = append(p.cells, c)
	}
	if len(rest) > 0 {
		return nil, errDecode("something follows the last cell")
	}
	return p, p.seal()
}

// cellsOpen is the number of cells that an encoding has.
func (p *Published) cellsOpen() int {
	n := 0
	for _, s := range p.l.sets {
		if !p.closed[s.index] {
			n += s.cells
		}
	}
	return n
}

// decodeHeader reads the header and returns what follows. JSON has many spellings;
// only the one that would be written is accepted.
func (p *Published) decodeHeader(data []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(data, []byte(magic))
	if !ok || len(rest) < 4 {
		return nil, errDecode("they do not begin as one")
	}
	n := binary.BigEndian.Uint32(rest)
	rest = rest[4:]
	if n > maxHeader || int(n) > len(rest) {
		return nil, errDecode("the header is cut short")
	}
	err := json.Unmarshal(rest[:n], &p.head)
	if err != nil {
		return nil, errDecode("the header is damaged")
	}
	again, err := json.Marshal(p.head)
	if err != nil || !bytes.Equal(again, rest[:n]) {
		return nil, errDecode("the header is not canonical")
	}
	return rest[n:], nil
}

func (p *Published) decodeCells(s *set, b []byte) (published, []byte, error) {
	c := noCells(s)
	var at []int
	for i := range c.status {
		at = s.nodes(i, at)
		if len(b) == 0 || status(b[0]) > statusOmitted || (status(b[0]) == statusOmitted) != p.l.omits(s, at) {
			return c, nil, errDecode("a cell has no known status")
		}
		c.status[i], b = status(b[0]), b[1:]
		if c.status[i] != statusValue {
			continue
		}
		for _, m := range s.Measures {
			v, n := p.varint(b)
			if n <= 0 || n > 1 && b[n-1] == 0 || !p.publishable(v) {
				return c, nil, errDecode("a cell's value is damaged")
			}
			c.values[m][i], b = v, b[n:]
		}
		var ok bool
		if b, ok = c.decodeSums(s, i, b); !ok {
			return c, nil, errDecode("a cell's sum is damaged")
		}
	}
	return c, b, nil
}

// varint reads a value; n is 0 or less when there is none.
func (p *Published) varint(b []byte) (v int64, n int) {
	if p.signed() {
		return binary.Varint(b)
	}
	u, n := binary.Uvarint(b)
	if u > math.MaxInt64 {
		return 0, 0
	}
	return int64(u), n
}
