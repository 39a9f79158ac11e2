package pipelines

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/pana-exchange/pana/gateway"
)

// The bounds of a mapping: it comes with every batch.
const (
	maxMappedColumns = 256
	maxMappedCodes   = 4096
	maxMappedBytes   = 256 // of one name or value
)

// A columnNames knows by which names a file may call the fields of a contract: by
// their own, by their titles in Kazakh, Russian and English, and by those of the
// agency's mapping, which goes before all.
type columnNames struct {
	contract *gateway.Contract
	fields   map[string]named
	others   []*gateway.Contract
}

// A named is what a name stands for: -1 where two fields have one title.
type named struct {
	field int
	by    string
}

// byMapping is how a column is named whose header is in the mapping.
const byMapping = "mapping"

func newColumnNames(c *gateway.Contract, m *gateway.Mapping) (*columnNames, error) {
	names := &columnNames{contract: c, fields: map[string]named{}}
	for i := range c.Fields {
		f := &c.Fields[i]
		names.add(string(f.Name), named{i, "field"})
		names.add(f.Title.KK, named{i, "title-kk"})
		names.add(f.Title.RU, named{i, "title-ru"})
		names.add(f.Title.EN, named{i, "title-en"})
	}
	for i := range c.Fields { // no title takes the name of a field away
		names.fields[normalised([]byte(c.Fields[i].Name))] = named{i, "field"}
	}
	if m == nil {
		return names, nil
	}
	own := map[string]bool{}
	for header, field := range m.Columns {
		key := normalised([]byte(header))
		i := index(c, field)
		if i < 0 || key == "" || len(header) > maxMappedBytes || own[key] || len(m.Columns) > maxMappedColumns {
			return nil, gateway.Errorf(gateway.Invalid, "the mapping is not one of contract %s: each of its columns, up to %d, names one field of the contract", c.ID, maxMappedColumns)
		}
		own[key] = true
		names.fields[key] = named{i, byMapping}
	}
	return names, nil
}

func index(c *gateway.Contract, name gateway.FieldName) int {
	for i := range c.Fields {
		if c.Fields[i].Name == name {
			return i
		}
	}
	return -1
}

func (n *columnNames) add(name string, as named) {
	key := normalised([]byte(name))
	switch there, taken := n.fields[key]; {
	case key == "":
	case !taken:
		n.fields[key] = as
	case there.field != as.field:
		n.fields[key] = named{-1, ""}
	}
}

// find returns the field that a header names.
func (n *columnNames) find(header []byte) (named, bool) {
	if len(header) > 4*maxMappedBytes {
		return named{}, false
	}
	as, ok := n.fields[normalised(header)]
	return as, ok
}

func (n *columnNames) known(header []byte) bool { _, ok := n.find(header); return ok }

// elsewhere returns how another contract writes a header: the name or the title of
// a field of it. "": none does.
func (n *columnNames) elsewhere(header []byte) string {
	if len(header) > 4*maxMappedBytes {
		return ""
	}
	key := normalised(header)
	for _, c := range n.others {
		for i := range c.Fields {
			f := &c.Fields[i]
			for _, name := range []string{string(f.Name), f.Title.KK, f.Title.RU, f.Title.EN} {
				if name != "" && normalised([]byte(name)) == key {
					return name
				}
			}
		}
	}
	return ""
}

// normalised is a name without what people do not see: capitals, forms of one
// letter, and spaces around and between words.
func normalised(name []byte) string {
	lower := bytes.ToLower(norm.NFC.Bytes(name))
	return string(bytes.Join(bytes.Fields(lower), []byte{' '}))
}

// mappingDigest identifies a mapping: SHA-256 of its JSON, whose keys are sorted.
func mappingDigest(m *gateway.Mapping) string {
	text, err := json.Marshal(m)
	if err != nil {
		panic("pipelines: internal error: a mapping that cannot be encoded")
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// aliases returns the mapping's values of a field with the numbers of their codes.
func aliases(m *gateway.Mapping, f *gateway.Field) (map[string]uint16, error) {
	if m == nil || len(m.Codes[f.Name]) == 0 {
		return nil, nil
	}
	numbers := make(map[string]uint16, len(m.Codes[f.Name]))
	for value, code := range m.Codes[f.Name] {
		n, ok := uint16(0), false
		if f.Type == gateway.TypeCode {
			n, ok = f.List.Number([]byte(code))
		}
		if !ok || value == "" || len(value) > maxMappedBytes || strings.ContainsAny(value, "|\x00") || len(m.Codes[f.Name]) > maxMappedCodes {
			return nil, gateway.Errorf(gateway.Invalid, "the mapping's codes of field %s are not ones: each of its values, up to %d, names one code of the field's list", f.Name, maxMappedCodes)
		}
		numbers[value] = n
	}
	return numbers, nil
}

// checkMapping refuses codes of fields that the contract does not have.
func checkMapping(c *gateway.Contract, m *gateway.Mapping) error {
	if m == nil {
		return nil
	}
	for field := range m.Codes {
		if c.Field(field) == nil {
			return gateway.Errorf(gateway.Invalid, "the mapping has codes of a field that contract %s does not have", c.ID)
		}
	}
	return nil
}
