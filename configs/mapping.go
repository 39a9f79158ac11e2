package configs

import "github.com/pana-exchange/pana/gateway"

// mappingFile is an agency's mapping file.
type mappingFile struct {
	Columns map[string]gateway.FieldName            `yaml:"columns"`
	Codes   map[gateway.FieldName]map[string]string `yaml:"codes"`
}

// Mapping reads an agency's mapping file: YAML with the keys columns (header of
// the file: field) and codes (field: value of the file: code). Whether it fits a
// contract is found when a file is opened under it.
func Mapping(text []byte) (*gateway.Mapping, error) {
	var file mappingFile
	found := &problems{}
	if read("mapping", text, &file, found) == nil {
		return nil, found.err()
	}
	return &gateway.Mapping{Columns: file.Columns, Codes: file.Codes}, nil
}
