// Package output writes a protected table in the forms that other programs read:
// CSV for spreadsheets, SDMX-CSV and SDMX-JSON for statistical offices, DHIS2's data
// value sets for a ministry's health information system, and workbooks, Parquet and
// Arrow for analysis.
//
// [Write] is all of it. It takes a [Document]: the table as the gateway answers it,
// the pinned definition that gives its codes their titles, and when the release was
// built. A format is found by its media type ([Negotiate]) or by the ending of a file
// ([ByName]).
//
// The same document gives the same bytes in every format, because the ledger commits
// to the digest of what was sent. So nothing here reads a clock. For the same reason
// a file cannot hold its own proof: that comes beside it. What each file does hold is
// the citation: the release and its digest, the revision of the policies, the
// decision, and the digest of the same answer in JSON.
//
// A hidden cell is written as hidden and no format says why: disclosure.md 2.4 hides
// small counts, zeros and near-parents alike, and a reader who could tell primary
// from secondary suppression would know which cells to attack.
package output

import (
	"encoding/hex"
	"io"
	"mime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pana-exchange/pana/gateway"
)

// A Format is a form in which a table can be written.
type Format string

// The formats. JSON is the canonical answer, which the caller encodes.
const (
	JSON     Format = "json"
	CSV      Format = "csv"
	SDMXCSV  Format = "sdmx-csv"
	SDMXJSON Format = "sdmx-json"
	DHIS2    Format = "dhis2"
	XLSX     Format = "xlsx"
	Parquet  Format = "parquet"
	// Arrow is its IPC file, ArrowStream its IPC stream.
	Arrow       Format = "arrow"
	ArrowStream Format = "arrow-stream"
)

// A kind is what is known of a format.
type kind struct {
	format  Format
	asked   string // the media type without parameters, as Accept names it
	media   string // as Content-Type
	endings []string
	write   func(io.Writer, *Document) error
}

func kinds() []kind {
	return []kind{
		{JSON, "application/json", "application/json", []string{".json"}, nil},
		{CSV, "text/csv", "text/csv; charset=utf-8; header=present", []string{".csv"}, writeCSV},
		{
			SDMXCSV, "application/vnd.sdmx.data+csv", "application/vnd.sdmx.data+csv; version=2.0.0; charset=utf-8",
			[]string{".sdmx.csv"},
			writeSDMXCSV,
		},
		{
			SDMXJSON, "application/vnd.sdmx.data+json", "application/vnd.sdmx.data+json; version=2.1.0",
			[]string{".sdmx.json"},
			writeSDMXJSON,
		},
		// DHIS2 takes data value sets as application/json; they are asked for by a name
		// of ours, of the tree for those who register none (RFC 6838 3.4).
		{DHIS2, "application/x.dhis2.datavalueset+json", "application/x.dhis2.datavalueset+json", []string{".dhis2.json"}, writeDHIS2},
		{
			XLSX, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
			[]string{".xlsx"},
			writeXLSX,
		},
		{Parquet, "application/vnd.apache.parquet", "application/vnd.apache.parquet", []string{".parquet"}, writeParquet},
		{Arrow, "application/vnd.apache.arrow.file", "application/vnd.apache.arrow.file", []string{".arrow"}, writeArrow},
		{ArrowStream, "application/vnd.apache.arrow.stream", "application/vnd.apache.arrow.stream", []string{".arrows"}, writeArrowStream},
	}
}

func (f Format) kind() (kind, bool) {
	all := kinds()
	i := slices.IndexFunc(all, func(k kind) bool { return k.format == f })
	if i < 0 {
		return kind{}, false
	}
	return all[i], true
}

// MediaType returns the format's Content-Type.
func (f Format) MediaType() string {
	k, _ := f.kind()
	return k.media
}

// Formats returns all formats, JSON first.
func Formats() []Format {
	var all []Format
	for _, k := range kinds() {
		all = append(all, k.format)
	}
	return all
}

// Asked returns the media types by which the formats are asked for.
func Asked() []string {
	var all []string
	for _, k := range kinds() {
		all = append(all, k.asked)
	}
	return all
}

// ByName returns the format that the ending of a file's name stands for: the longest
// that fits, so a.sdmx.csv is SDMX-CSV and a.csv is not.
func ByName(name string) (Format, bool) {
	found, length := Format(""), 0
	for _, k := range kinds() {
		for _, ending := range k.endings {
			if strings.HasSuffix(strings.ToLower(name), ending) && len(ending) > length {
				found, length = k.format, len(ending)
			}
		}
	}
	return found, length > 0
}

// Negotiate returns the format that Accept prefers (RFC 9110 12.5.1): the highest
// weight, then the first that is named. Without Accept it is JSON. It reports false
// where none of ours is acceptable.
func Negotiate(accept string) (Format, bool) {
	if strings.TrimSpace(accept) == "" {
		return JSON, true
	}
	best, weight := Format(""), 0.0
	for part := range strings.SplitSeq(accept, ",") {
		media, parameters, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		q := 1.0
		if text, weighed := parameters["q"]; weighed {
			q, err = strconv.ParseFloat(text, 64)
			if err != nil {
				continue
			}
		}
		if f, ours := byMedia(media); ours && q > weight {
			best, weight = f, q
		}
	}
	return best, weight > 0
}

func byMedia(media string) (Format, bool) {
	switch media {
	case "*/*", "application/*":
		return JSON, true
	case "text/*":
		return CSV, true
	}
	all := kinds()
	i := slices.IndexFunc(all, func(k kind) bool { return k.asked == media })
	if i < 0 {
		return "", false
	}
	return all[i].format, true
}

// A Document is a table with what has to be known to write it.
type Document struct {
	Table      *gateway.Table
	Definition *gateway.Definition // as it is pinned in the release
	Built      time.Time           // when the release was built
	Notice     string              // whose policies are in force; breaks that the table crosses are added
	Answer     [32]byte            // SHA-256 of the same answer in JSON
}

// Write writes a document in any format but JSON. It reports Invalid where the
// format has no place for the table: see [DHIS2].
func Write(w io.Writer, f Format, d *Document) error {
	k, known := f.kind()
	if !known || k.write == nil {
		return gateway.Errorf(gateway.Unsupported, "tables are not written in that format here")
	}
	if d.Definition == nil || d.Definition.Cube(d.Table.Cube) == nil {
		return gateway.Errorf(gateway.Invalid, "the release's definition does not hold the table's cube")
	}
	if breaks := d.Definition.BreaksOf(d.Table); len(breaks) > 0 {
		broken := *d
		for _, b := range breaks {
			broken.Notice = strings.TrimSpace(broken.Notice + " " + b.String())
		}
		d = &broken
	}
	return k.write(w, d)
}

// proof says where the proof is: no file can hold that of its own bytes.
const proof = "beside this file (header Pana-Evidence); pana audit answer verifies both"

// A cited is one line of the citation.
type cited struct {
	id    string // of a column or attribute, in capitals
	title gateway.Text
	value string
}

// citation is what a file says of where it comes from, in each format.
func (d *Document) citation() []cited {
	t := d.Table
	return []cited{
		{"RELEASE", gateway.Text{KK: "Шығарылым", RU: "Выпуск", EN: "Release"}, string(t.Release)},
		{"RELEASE_DIGEST", gateway.Text{KK: "Шығарылымның SHA-256 дайджесі", RU: "SHA-256 выпуска", EN: "SHA-256 of the release's cells"}, t.Digest},
		{"POLICY", gateway.Text{KK: "Саясат редакциясы", RU: "Редакция политики", EN: "Policy revision"}, string(t.Policy)},
		{"DECISION", gateway.Text{KK: "Шешім", RU: "Решение", EN: "Decision"}, t.Decision},
		{"ANSWER_DIGEST", gateway.Text{KK: "JSON жауабының SHA-256 дайджесі", RU: "SHA-256 ответа в JSON", EN: "SHA-256 of the answer in JSON"}, hex.EncodeToString(d.Answer[:])},
		{"NOTICE", gateway.Text{KK: "Ескертпе", RU: "Примечание", EN: "Notice"}, d.Notice},
		{"PROOF", gateway.Text{KK: "Дәлел", RU: "Доказательство", EN: "Proof"}, proof},
	}
}

// A figure is what a cell shows, as text: numbers in their one spelling, or nothing.
type figure struct{ value, variance, sd string }

func (d *Document) figure(c gateway.Cell) figure {
	switch {
	case c.Status != gateway.StatusValue:
	case c.Value != nil:
		return figure{value: strconv.FormatInt(*c.Value, 10), variance: strconv.FormatFloat(d.Table.Variance, 'g', -1, 64)}
	case c.Estimate != nil && c.SD != nil:
		return figure{value: c.Estimate.String(), sd: c.SD.String()}
	}
	return figure{}
}
