package tabular

import (
	"bytes"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pana-exchange/pana/gateway"
)

// headBytes is how much of the start of a file is looked at.
const headBytes = 64 << 10

// signatures are the first bytes of formats, and what they are to be called where
// another was said.
var signatures = []struct {
	magic       string
	format      gateway.Format
	compression gateway.Compression
	called      string
}{
	{"PK\x03\x04", gateway.FormatXLSX, "", "a workbook (XLSX) or another ZIP archive"},
	{"PAR1", gateway.FormatParquet, "", "a Parquet file"},
	{"PARE", gateway.FormatParquet, "", "an encrypted Parquet file"},
	{"\x1f\x8b", "", gateway.Gzip, "compressed by gzip"},
	{"\x28\xb5\x2f\xfd", "", gateway.Zstd, "compressed by zstd"},
	{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "", "", "a workbook of Excel 97 to 2003 (XLS); save it as XLSX or CSV"},
	{"%PDF", "", "", "a PDF document"},
	{"{\\rtf", "", "", "an RTF document"},
	{"\x42\x5a\x68", "", "", "compressed by bzip2; use gzip or zstd"},
	{"\xfd7zXZ\x00", "", "", "compressed by xz; use gzip or zstd"},
	{"7z\xbc\xaf\x27\x1c", "", "", "a 7-Zip archive; use gzip or zstd"},
	{"Rar!", "", "", "a RAR archive; use gzip or zstd"},
}

// Sniff says what a file is by its first bytes: the format and the envelope, of
// which the format inside is not known. Text that starts with a brace is NDJSON.
func Sniff(head []byte) (gateway.Format, gateway.Compression) {
	for _, s := range signatures {
		if bytes.HasPrefix(head, []byte(s.magic)) && (s.format != "" || s.compression != "") {
			return s.format, s.compression
		}
	}
	if bytes.HasPrefix(bytes.TrimLeft(bytes.TrimPrefix(head, []byte(bomUTF8)), " \t\r\n"), []byte("{")) {
		return gateway.FormatNDJSON, ""
	}
	return gateway.FormatCSV, ""
}

// otherFormat refuses text that is none.
func otherFormat(head []byte) error {
	for _, s := range signatures {
		if bytes.HasPrefix(head, []byte(s.magic)) {
			return &FileError{1, FormatOther, "the file is " + s.called}
		}
	}
	return nil
}

const (
	bomUTF8    = "\xef\xbb\xbf"
	bomUTF16LE = "\xff\xfe"
	bomUTF16BE = "\xfe\xff"
	bomUTF32LE = "\xff\xfe\x00\x00"
	bomUTF32BE = "\x00\x00\xfe\xff"
)

const sayEncoding = "; save the file as UTF-8, or say its encoding: utf-8, utf-16le, utf-16be, windows-1251 or kz-1048"

// encodingOf finds out the encoding of a text by its start, and how many bytes its
// byte order mark has. What nothing speaks for is taken for UTF-8, so that the
// reading ends at the first byte that is not.
func encodingOf(head []byte, said string, known func([]byte) bool) (encoding string, mark int, err error) {
	switch {
	case bytes.HasPrefix(head, []byte(bomUTF32LE)) || bytes.HasPrefix(head, []byte(bomUTF32BE)):
		return "", 0, &FileError{1, EncodingUnknown, "the byte order mark is that of UTF-32" + sayEncoding}
	case bytes.HasPrefix(head, []byte(bomUTF8)):
		encoding, mark = UTF8, len(bomUTF8)
	case bytes.HasPrefix(head, []byte(bomUTF16LE)):
		encoding, mark = UTF16LE, len(bomUTF16LE)
	case bytes.HasPrefix(head, []byte(bomUTF16BE)):
		encoding, mark = UTF16BE, len(bomUTF16BE)
	}
	switch {
	case encoding != "" && said != "" && said != encoding && (said == UTF8 || mark == 3 || strings.HasPrefix(said, "utf-16")):
		return "", 0, &FileError{1, EncodingUnknown, "the byte order mark is that of " + encoding + ", and " + said + " was said"}
	case said != "" && said != encoding:
		if _, ok := decoder(said); !ok {
			return "", 0, &FileError{1, EncodingUnknown, "an encoding was said that is not read" + sayEncoding}
		}
		return said, 0, nil
	case encoding != "":
		return encoding, mark, nil
	}
	return guessed(head, known)
}

// guessed tells encodings without a mark apart, where only one can be meant.
func guessed(head []byte, known func([]byte) bool) (string, int, error) {
	if bytes.IndexByte(head[:min(len(head), 1024)], 0) >= 0 {
		for _, encoding := range []string{UTF16LE, UTF16BE} {
			text := decoded(head, encoding)
			skipped, _ := separatorLine(text)
			if line := firstLine(text[skipped:]); bytes.IndexByte(line, notText) < 0 && knownCells(line, known) > 0 {
				return encoding, 0, nil
			}
		}
		return UTF8, 0, nil // and the NUL is the problem
	}
	if utf8.Valid(wholeRunes(head)) {
		return UTF8, 0, nil
	}
	cyrillic, koi, msdos := likeness(head, windows1251), likeness(head, koi8), likeness(head, dos)
	switch {
	case max(cyrillic, koi, msdos) == 0:
		return UTF8, 0, nil // and the byte that is not is the problem
	case cyrillic < max(koi, msdos)+0.1:
		return "", 0, &FileError{1, EncodingAmbiguous, "the text can be read as KOI8-R, as code page 866 or as Windows-1251" + sayEncoding}
	case differs1048(head):
		return "", 0, &FileError{1, EncodingAmbiguous, "the text can be read as Windows-1251 and, with Kazakh letters, as KZ-1048" + sayEncoding}
	}
	return Windows1251, 0, nil
}

// differs1048 reports whether a byte stands for two letters in the two code pages.
func differs1048(head []byte) bool {
	return slices.ContainsFunc(head, func(b byte) bool { return windows1251[b] != kz1048[b] })
}

// wholeRunes leaves out a character that the end of the head cuts off.
func wholeRunes(head []byte) []byte {
	if len(head) < headBytes {
		return head
	}
	for i := len(head) - 1; i >= len(head)-utf8.UTFMax; i-- {
		if utf8.RuneStart(head[i]) {
			if !utf8.FullRune(head[i:]) {
				return head[:i]
			}
			break
		}
	}
	return head
}

// frequent are the letters that make four fifths of Russian text, and as much of
// Kazakh text as is written with them.
const frequent = "оеаинтсрвлкмдпуыйяь"

// likeness is how much like words in Cyrillic letters a text looks in a code page:
// the share of frequent letters, and 0 where a character is none that such text
// has, where letters of two alphabets are in one word, or where capitals follow
// small letters, as they do where the code page is the wrong one.
func likeness(head []byte, page *codePage) float64 {
	letters, often := 0, 0
	var word struct{ latin, cyrillic, small int }
	for _, b := range head {
		r := page[b]
		switch {
		case b < utf8.RuneSelf && !unicode.IsLetter(r):
			word.latin, word.cyrillic, word.small = 0, 0, 0
			continue
		case b < utf8.RuneSelf:
			word.latin++
		case unicode.Is(unicode.Cyrillic, r):
			word.cyrillic++
			letters++
			small := unicode.ToLower(r)
			if strings.ContainsRune(frequent, small) {
				often++
			}
			if small == r {
				word.small++
			} else if word.small > 0 {
				return 0
			}
		case strings.ContainsRune("«»№–—…“”„‘’\u00a0§·", r):
			word.latin, word.cyrillic, word.small = 0, 0, 0
			continue
		default:
			return 0
		}
		if word.latin > 0 && word.cyrillic > 0 {
			return 0
		}
	}
	if letters < 3 {
		return 0
	}
	return float64(often) / float64(letters)
}

// decoded is the start of a text in UTF-8.
func decoded(head []byte, encoding string) []byte {
	d, _ := decoder(encoding)
	if d == nil {
		return head
	}
	text := make([]byte, 3*len(head)+utf8.UTFMax)
	n, _, _ := d.Transform(text, head, false)
	return text[:n]
}

// firstLine is the text in front of the first line end outside quotation marks.
func firstLine(text []byte) []byte {
	quoted := false
	for i, b := range text {
		switch {
		case b == '"':
			quoted = !quoted
		case !quoted && (b == '\n' || b == '\r'):
			return text[:i]
		}
	}
	return text
}

// linesOf names the line end behind a line of the text: LF, CRLF or CR.
func linesOf(text []byte) string {
	rest := text[len(firstLine(text)):]
	switch {
	case len(rest) == 0 || rest[0] == '\n':
		return "LF"
	case len(rest) == 1 || rest[1] == '\n':
		return "CRLF"
	}
	return "CR"
}

var separatorNames = map[byte]string{',': "comma", ';': "semicolon", '\t': "tab"}

const separators = ",;\t"

// knownCells is the most columns of a header that are known, over the separators.
func knownCells(line []byte, known func([]byte) bool) int {
	most := 0
	for _, sep := range []byte(separators) {
		most = max(most, knownWith(line, sep, known))
	}
	return most
}

func knownWith(line []byte, sep byte, known func([]byte) bool) int {
	s := &CSV{row: Row{Buf: make([]byte, len(line)+1+slack)}, sep: sep, limit: len(line) + 1, end: len(line) + 1}
	copy(s.row.Buf, line)
	s.row.Buf[len(line)] = '\n'
	if code, done := s.record(); code != "" || !done {
		return 0
	}
	n := 0
	for i := range s.row.Cells {
		if known(s.row.Cell(i)) {
			n++
		}
	}
	return n
}

// separatorOf chooses the separator with which most columns of the header are
// known; the comma where none is. Two that are as good are not told apart.
func separatorOf(line []byte, said string, known func([]byte) bool) (byte, error) {
	for sep, name := range separatorNames {
		if name == said {
			return sep, nil
		}
	}
	if said != "" {
		return 0, &FileError{1, SeparatorAmbiguous, "a separator was said that is none; there are comma, semicolon and tab"}
	}
	best, most, tied := byte(','), 0, false
	for _, sep := range []byte(separators) {
		if bytes.IndexByte(line, sep) < 0 {
			continue
		}
		switch n := knownWith(line, sep, known); {
		case n > most:
			best, most, tied = sep, n, false
		case n == most && n > 0:
			tied = true
		}
	}
	if tied {
		return 0, &FileError{1, SeparatorAmbiguous, "the header can be read with two separators; say which is meant: comma, semicolon or tab"}
	}
	return best, nil
}
