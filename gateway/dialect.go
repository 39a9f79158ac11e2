package gateway

// A Format is the kind of file that a batch comes in.
type Format string

// The formats of files.
const (
	FormatCSV     Format = "csv"
	FormatNDJSON  Format = "ndjson"
	FormatXLSX    Format = "xlsx"
	FormatParquet Format = "parquet"
)

// A Compression is the envelope of a file.
type Compression string

// The envelopes that are opened, once.
const (
	Gzip Compression = "gzip"
	Zstd Compression = "zstd"
)

// Said is what a sender says of a file. What is not said is found out from the
// start of the file; what is said and not so is refused.
type Said struct {
	Format      Format      `json:"format,omitempty"` // "" is CSV
	Compression Compression `json:"compression,omitempty"`
	Encoding    string      `json:"encoding,omitempty"`  // of CSV: utf-8, utf-16le, utf-16be, windows-1251 or kz-1048
	Separator   string      `json:"separator,omitempty"` // of CSV: comma, semicolon or tab
	Sheet       string      `json:"sheet,omitempty"`     // of XLSX: a sheet's name; "" is the first
	Mapping     *Mapping    `json:"mapping,omitempty"`   // the agency's own names
}

// A Mapping puts an agency's names for columns and codes in the place of the
// contract's. It is sent with every batch that needs it, and its digest is in the
// receipt.
type Mapping struct {
	Columns map[string]FieldName            `json:"columns,omitempty"` // header of the file: field
	Codes   map[FieldName]map[string]string `json:"codes,omitempty"`   // field: value of the file: code of the contract's list
}

// A Dialect is what a file turned out to be written in, for the agency to see: it
// is in reports and in the receipt, and says nothing of what the file holds.
type Dialect struct {
	Format      Format       `json:"format"`
	Compression Compression  `json:"compression,omitempty"`
	Encoding    string       `json:"encoding,omitempty"`
	BOM         bool         `json:"byte_order_mark,omitempty"`
	Separator   string       `json:"separator,omitempty"`
	Lines       string       `json:"line_ends,omitempty"` // LF, CRLF or CR, as the header's
	Sheet       int          `json:"sheet,omitempty"`     // number of the sheet that was read
	Dates       []string     `json:"dates,omitempty"`     // forms of dates that were seen
	Columns     []ReadColumn `json:"columns,omitempty"`   // in the order of the file
	Mapping     string       `json:"mapping,omitempty"`   // SHA-256 of the mapping as JSON
	Mapped      []FieldName  `json:"mapped,omitempty"`    // fields whose codes the mapping gives
}

// A ReadColumn says which field a column was read as, and by which of its names.
type ReadColumn struct {
	Column int       `json:"column"` // from 1
	Field  FieldName `json:"field"`
	Named  string    `json:"named"` // field, title-kk, title-ru, title-en or mapping
}

// A DateForm is a way to write dates beside ISO 8601 that a contract allows.
type DateForm string

// The forms of dates.
const (
	DateDotted  DateForm = "DD.MM.YYYY"
	DateSlashed DateForm = "DD/MM/YYYY"
	DateShort   DateForm = "DD.MM.YY" // the last year with these digits that has begun: as LibreOffice saves CSV here
	DateSerial  DateForm = "serial"   // days since 1899-12-30, five digits, as spreadsheets count
)
