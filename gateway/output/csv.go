package output

import (
	"encoding/csv"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// writeCSV writes one line a cell. A statistic has its standard deviation in the
// place of the variance. The citation stands in each line, because headers of HTTP
// are not saved.
func writeCSV(w io.Writer, d *Document) error {
	t := d.Table
	header := append(append([]string{"release", "measure"}, t.Dimensions...),
		"status", "value", "variance", "sd", "base", "decision", "policy", "notice", "release_digest", "answer_digest", "proof")
	cite := d.citation()
	out := csv.NewWriter(w)
	err := writeLine(out, header)
	for _, c := range t.Cells {
		if err != nil {
			return err
		}
		f := d.figure(c)
		line := append(append([]string{string(t.Release), string(t.Measure)}, c.Nodes...),
			string(c.Status), f.value, f.variance, f.sd, strconv.Itoa(t.Base),
			t.Decision, string(t.Policy), d.Notice, cite[1].value, cite[4].value, proof)
		err = writeLine(out, line)
	}
	if err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}

func writeLine(w *csv.Writer, line []string) error {
	for i, text := range line {
		line[i] = Guard(text)
	}
	return w.Write(line)
}

var number = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// Guard returns text that no spreadsheet takes for a formula when it opens a CSV
// file: an apostrophe goes before what begins with a sign of a formula, also behind
// spaces, control and invisible characters or in its full width, and before what
// begins with a tab, a line end or an apostrophe already. A number stays as it is.
// [Unguard] takes the apostrophe away again.
func Guard(text string) string {
	if text == "" || number.MatchString(text) {
		return text
	}
	bare := strings.TrimLeftFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
	})
	if strings.ContainsRune("\t\r\n'", rune(text[0])) || bare != "" && strings.ContainsRune("=+-@＝＋－＠", []rune(bare)[0]) {
		return "'" + text
	}
	return text
}

// Unguard returns the text that [Guard] got.
func Unguard(text string) string { return strings.TrimPrefix(text, "'") }
