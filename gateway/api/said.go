package api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// mediaTypes are the formats of batches by media type.
var mediaTypes = map[string]gateway.Format{
	"text/csv":             "", // CSV
	"application/x-ndjson": gateway.FormatNDJSON,
	"application/jsonl":    gateway.FormatNDJSON,

	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": gateway.FormatXLSX,
	"application/vnd.apache.parquet":                                    gateway.FormatParquet,
}

// charsets are those that a batch of CSV may be said to be in. UTF-16 alone does
// not say which byte comes first (RFC 2781), so it is none.
var charsets = []string{"utf-8", "utf-16le", "utf-16be", "windows-1251", "kz-1048"}

var errMedia = gateway.Errorf(gateway.Unsupported,
	"send the batch as text/csv, with or without a charset (utf-8, utf-16le, utf-16be, windows-1251 or kz-1048), or as application/x-ndjson, a workbook (XLSX) or application/vnd.apache.parquet")

// said reads what an upload says of its file: the media type, the separator and
// the sheet in the query, and the mapping in a header of its own.
func said(h http.Header, q url.Values) (gateway.Said, error) {
	var s gateway.Said
	media, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	format, known := mediaTypes[media]
	if err != nil || !known {
		return s, errMedia
	}
	s.Format = format
	for name, value := range params {
		s.Encoding = strings.ToLower(value)
		if name != "charset" || !slices.Contains(charsets, s.Encoding) || format != "" && s.Encoding != "utf-8" {
			return s, errMedia
		}
	}
	if format != "" {
		s.Encoding = ""
	}
	s.Separator = q.Get("separator")
	if s.Separator != "" && (format != "" || !slices.Contains([]string{"comma", "semicolon", "tab"}, s.Separator)) {
		return s, gateway.Errorf(gateway.Invalid, "separator is of CSV: comma, semicolon or tab")
	}
	s.Sheet = q.Get("sheet")
	if s.Sheet != "" && format != gateway.FormatXLSX {
		return s, gateway.Errorf(gateway.Invalid, "sheet is of XLSX: the name of one")
	}
	switch coding := h.Values("Content-Encoding"); {
	case len(coding) == 0:
	case len(coding) == 1 && (coding[0] == string(gateway.Gzip) || coding[0] == string(gateway.Zstd)):
		s.Compression = gateway.Compression(coding[0])
	default:
		return s, gateway.Errorf(gateway.Unsupported, "send the batch with one Content-Encoding, gzip or zstd, or with none")
	}
	s.Mapping, err = mapping(h)
	return s, err
}

// mapping reads the header Pana-Mapping: JSON as a byte sequence (RFC 9651).
func mapping(h http.Header) (*gateway.Mapping, error) {
	values := h.Values("Pana-Mapping")
	if len(values) == 0 {
		return nil, nil
	}
	bad := gateway.Errorf(gateway.Invalid, "send one Pana-Mapping header: the JSON object {\"columns\": {…}, \"codes\": {…}} as :BASE64:")
	value := values[0]
	if len(values) != 1 || len(value) < 2 || value[0] != ':' || value[len(value)-1] != ':' {
		return nil, bad
	}
	text, err := base64.StdEncoding.Strict().DecodeString(value[1 : len(value)-1])
	if err != nil {
		return nil, bad
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	m := &gateway.Mapping{}
	if d.Decode(m) != nil || doubled(json.NewDecoder(bytes.NewReader(text))) {
		return nil, bad
	}
	if _, err = d.Token(); !errors.Is(err, io.EOF) {
		return nil, bad
	}
	return m, nil
}
