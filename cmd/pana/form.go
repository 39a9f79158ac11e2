package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"

	"github.com/spf13/pflag"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines"
)

// fileFlags say of a file what cannot be told from it. They are the same for a
// check and for an upload, and so is what comes of them.
type fileFlags struct {
	encoding, separator, sheet, mapping string
}

func (f *fileFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.encoding, "encoding", "", "encoding of a CSV file, where it cannot be told: utf-8, utf-16le, utf-16be, windows-1251 or kz-1048")
	flags.StringVar(&f.separator, "separator", "", "separator of a CSV file, where it cannot be told: comma, semicolon or tab")
	flags.StringVar(&f.sheet, "sheet", "", "sheet of a workbook; default: the first")
	flags.StringVar(&f.mapping, "map", "", "YAML file that puts your names of columns and codes in the place of the contract's")
}

// said is what the flags and the first bytes of the file say.
func (f *fileFlags) said(path string) (gateway.Said, error) {
	file, err := os.Open(path) //nolint:gosec // the user names the file
	if err != nil {
		return gateway.Said{}, usageError{errors.New("the file cannot be read: " + path)}
	}
	defer func() { _ = file.Close() }()
	head := make([]byte, 1024)
	n, err := io.ReadFull(file, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return gateway.Said{}, usageError{errors.New("the file cannot be read: " + path)}
	}
	s, err := sniff(file, head[:n])
	if err != nil {
		return s, err
	}
	s.Encoding, s.Separator, s.Sheet = f.encoding, f.separator, f.sheet
	if f.mapping == "" {
		return s, nil
	}
	text, err := os.ReadFile(f.mapping)
	if err != nil {
		return s, usageError{errors.New("the mapping cannot be read: " + f.mapping)}
	}
	s.Mapping, err = configs.Mapping(text)
	if err != nil {
		return s, usageError{err}
	}
	return s, nil
}

// sniff says what the file is by its first bytes, and by those inside where it is
// compressed.
func sniff(file io.ReadSeeker, head []byte) (gateway.Said, error) {
	s := pipelines.Sniff(head)
	if s.Compression == "" {
		return s, nil
	}
	_, err := file.Seek(0, io.SeekStart)
	if err != nil {
		return s, usageError{errors.New("the file cannot be read")}
	}
	inside, err := pipelines.SniffInside(file, s.Compression)
	return gateway.Said{Format: inside.Format, Compression: s.Compression}, err
}

// mediaOf is the media type of a format.
var mediaOf = map[gateway.Format]string{
	"": "text/csv", gateway.FormatNDJSON: "application/x-ndjson",
	gateway.FormatXLSX:    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	gateway.FormatParquet: "application/vnd.apache.parquet",
}

// setSaid tells the gateway what the file was said to be.
func setSaid(request *http.Request, s gateway.Said) error {
	media, ok := mediaOf[s.Format]
	if !ok {
		media = "text/csv" // and the gateway says what it is
	}
	if s.Encoding != "" {
		media += "; charset=" + s.Encoding
	}
	request.Header.Set("Content-Type", media)
	if s.Compression != "" {
		request.Header.Set("Content-Encoding", string(s.Compression))
	}
	query := request.URL.Query()
	if s.Separator != "" {
		query.Set("separator", s.Separator)
	}
	if s.Sheet != "" {
		query.Set("sheet", s.Sheet)
	}
	request.URL.RawQuery = query.Encode()
	if s.Mapping == nil {
		return nil
	}
	text, err := json.Marshal(s.Mapping)
	if err != nil || len(text) > maxMapping {
		return usageError{errors.New("the mapping is too long to be sent: 8 KiB at most")}
	}
	request.Header.Set("Pana-Mapping", ":"+base64.StdEncoding.EncodeToString(text)+":")
	return nil
}

// maxMapping is how long a mapping may be so that it fits the head of a request.
const maxMapping = 8 << 10
