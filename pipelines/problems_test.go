package pipelines

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/internal/tabular"
)

// A fault changes one or more fields of the good record and is found as one
// problem, in the field that comes first.
type fault struct {
	name string
	code gateway.ProblemCode
	set  []string // field, value, field, value; the problem is in the first field
}

var faults = []fault{
	{"record id missing", codeRequired, []string{"record_id", ""}},
	{"sex missing", codeRequired, []string{"child_sex", ""}},
	{"condition empty", codeRequired, []string{"absent_reason", "", "child_iin", ""}},
	{"condition empty of the age", codeRequired, []string{"age_years", "", "birth_date", ""}},
	{"condition in", codeRequired, []string{"order_kind", "", "event_type", "ORDER"}},
	{"condition in, several codes", codeRequired, []string{"referral_date", "", "referred_to", "police|helpline"}},
	{"id too long", codeTooLong, []string{"record_id", strings.Repeat("7", 65)}},
	{"B47 4 KiB id", codeTooLong, []string{"record_id", strings.Repeat("A", 4096)}},
	{"name too long", codeTooLong, []string{"family_name", strings.Repeat("x", 101)}},
	{"line break in a name", codeLineBreak, []string{"family_name", "a\nb"}},
	{"B42 id of spaces", codePlaceholder, []string{"record_id", "   "}},
	{"B42 NULL", codePlaceholder, []string{"record_id", "NULL"}},
	{"B42 dash", codePlaceholder, []string{"record_id", "-"}},
	{"B42 em dash", codePlaceholder, []string{"record_id", "—"}},
	{"B42 zeros", codePlaceholder, []string{"record_id", "0000000000"}},
	{"B42 unknown", codePlaceholder, []string{"referral_key", "Unknown"}},
	{"B42 unknown in Russian", codePlaceholder, []string{"record_id", "НЕИЗВЕСТНО"}},
	{"B42 unknown in Kazakh", codePlaceholder, []string{"record_id", "белгісіз"}},
	{"B42 IIN of zeros", codePlaceholder, []string{"child_iin", "000000000000"}},
	{"B42 IIN n/a", codePlaceholder, []string{"child_iin", "N/A"}},
	{"B44 space around an id", codeIdentifierForm, []string{"record_id", " P-1"}},
	{"B44 full-width digits", codeIdentifierForm, []string{"record_id", "P-１２"}},
	{"B44 no-break space", codeIdentifierForm, []string{"record_id", "P\u00a01"}},
	{"B44 zero-width joiner", codeIdentifierForm, []string{"record_id", "P\u200d1"}},
	{"B44 right-to-left mark", codeIdentifierForm, []string{"record_id", "P-1\u200f"}},
	{"B46 ligature", codeIdentifierForm, []string{"record_id", "ﬁle"}},
	{"tab in an id", codeIdentifierForm, []string{"record_id", "P\t1"}},

	{"unknown code", codeCodeUnknown, []string{"setting", "MOON"}},
	{"code in lower case", codeCodeUnknown, []string{"setting", "home"}},
	{"code with a space", codeCodeUnknown, []string{"setting", "HOME "}},
	{"the start of a code", codeCodeUnknown, []string{"setting", "HOM"}},
	{"a code and more", codeCodeUnknown, []string{"setting", "INSTITUTIONINSTITUTION"}},
	{"B51 a number in the region", codeCodeUnknown, []string{"residence", "943476591"}},
	{"B51 form without its code", codeCodeUnknown, []string{"residence", "100000"}},
	{"the total never arrives in a row", codeCodeUnknown, []string{"child_sex", "_T"}},
	{"form of a diagnosis", codeCodeUnknown, []string{"icd", "T74.123"}},
	{"form of a diagnosis in lower case", codeCodeUnknown, []string{"icd", "t74.1"}},
	{"B56 formula", codeCodeUnknown, []string{"law", "=cmd|' /C calc'!A0"}},
	{"several codes, one unknown", codeCodeUnknown, []string{"violence", "01|07"}},
	{"several codes, one empty", codeCodeUnknown, []string{"violence", "01||02"}},
	{"several codes, separator last", codeCodeUnknown, []string{"violence", "01|"}},
	{"several codes in a field of one", codeCodeUnknown, []string{"setting", "HOME|SCHOOL"}},
	{"code before its time", codeCodeNotValid, []string{"residence", "10", "report_date", "2022-06-07", "incident_date", ""}},

	{"B53 negative", codeNumberForm, []string{"days_absent", "-1"}},
	{"B53 fraction", codeNumberForm, []string{"days_absent", "17.5"}},
	{"B53 exponent", codeNumberForm, []string{"days_absent", "1e3"}},
	{"B53 space", codeNumberForm, []string{"days_absent", "12 "}},
	{"B54 thousands separator", codeNumberForm, []string{"days_absent", "1 000"}},
	{"B54 decimal comma", codeNumberForm, []string{"days_absent", "1,5"}},
	{"leading zero", codeNumberForm, []string{"days_absent", "007"}},
	{"full-width digits", codeNumberForm, []string{"days_absent", "１２"}},
	{"B53 out of range", codeNumberRange, []string{"days_absent", "366"}},
	{"a number that wraps around", codeNumberRange, []string{"days_absent", "18446744073709551619"}},
	{"age out of range", codeNumberRange, []string{"age_years", "256"}},

	{"B52 zeros", codeDateForm, []string{"incident_date", "0000-00-00"}},
	{"B52 no such day", codeDateForm, []string{"incident_date", "2024-02-30"}},
	{"B52 day first", codeDateForm, []string{"incident_date", "03/04/2025"}},
	{"date with a time", codeDateForm, []string{"incident_date", "2025-03-01T10:00:00"}},
	{"short date", codeDateForm, []string{"incident_date", "2025-3-1"}},
	{"B52 9999", codeDateFuture, []string{"incident_date", "9999-12-31"}},
	{"tomorrow", codeDateFuture, []string{"referral_date", "2025-07-01"}},
	{"event too long ago", codeDateTooOld, []string{"incident_date", "1999-12-31"}},
	{"B52 birth too long ago", codeDateTooOld, []string{"birth_date", "1899-12-31"}},
	{"event before the period", codeDateOutside, []string{"report_date", "2020-12-31", "incident_date", ""}},
	{"report before the incident", codeDateOrder, []string{"report_date", "2025-02-28"}},
	{"referral before the report", codeDateOrder, []string{"referral_date", "2025-03-03"}},
	{"event before birth", codeDateBeforeBirth, []string{"report_date", "2022-01-01", "incident_date", "", "birth_date", "2022-01-02", "child_iin", "", "absent_reason", "NEWBORN"}},
	{"18 years on the day", codeAgeRange, []string{"birth_date", "2007-03-04", "child_iin", "", "absent_reason", "REFUSED"}},

	{"IIN of an adult", codeAgeRange, []string{"birth_date", "1985-07-06", "child_iin", "850706490006"}},
	{"IIN of 11 digits", codeIINLength, []string{"child_iin", "30509690008"}},
	{"IIN with a letter O", codeIINNotDigits, []string{"child_iin", "13O509690008"}},
	{"IIN with a space", codeIINNotDigits, []string{"child_iin", " 130509690008"}},
	{"B44 full-width IIN", codeIINNotDigits, []string{"child_iin", "１３０５０９６９０００８"}},
	{"B43 check digit", codeIINCheckDigit, []string{"child_iin", "130509690009"}},
	{"never issued", codeIINNeverIssued, []string{"child_iin", "821214240092"}},
	{"BIN", codeIINIsBIN, []string{"child_iin", "140840023411"}},
	{"no such day in the IIN", codeIINDate, []string{"child_iin", "090229590005"}},
	{"digit 7 is 0", codeIINCenturyZero, []string{"child_iin", "130509090009"}},
	{"digit 7 is 7", codeIINCentury, []string{"child_iin", "120229790000"}},
	{"born in the future", codeIINFuture, []string{"child_iin", "310115590008"}},
}

func (f fault) record() record {
	r := good()
	for i := 0; i < len(f.set); i += 2 {
		r[gateway.FieldName(f.set[i])] = f.set[i+1]
	}
	return r
}

func TestEveryFaultIsFoundOnce(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			got := readFile(t, testOptions(t), good().with("record_id", "first"), f.record())
			if got.err != nil {
				t.Fatal(got.err)
			}
			wantProblems(t, got, "3:"+f.set[0]+":"+string(f.code))
			if len(got.rows) != 1 || got.reader.Rows() != 1 || got.reader.Refused() != 1 || got.reader.Problems().Rows != 1 {
				t.Errorf("%d rows in blocks, %d rows, %d refused, %d with problems",
					len(got.rows), got.reader.Rows(), got.reader.Refused(), got.reader.Problems().Rows)
			}
		})
	}
}

// What must be accepted although a careless rule would refuse it.
func TestGoodVariants(t *testing.T) {
	for name, set := range map[string][]string{
		"no IIN with a reason":              {"child_iin", "", "absent_reason", "NEWBORN"},
		"age instead of a birth date":       {"child_iin", "", "absent_reason", "REFUSED", "birth_date", "", "age_years", "0"},
		"sex unknown beside an IIN":         {"child_sex", "_U"},
		"17 years on the last day":          {"birth_date", "2007-03-05", "child_iin", "", "absent_reason", "REFUSED"},
		"born on the day of the event":      {"birth_date", "2025-03-04", "child_iin", "", "absent_reason", "NEWBORN"},
		"incident on the day of the report": {"incident_date", "2025-03-04"},
		"a region without its district":     {"residence", "61"},
		"a diagnosis without its fourth":    {"icd", "T74"},
		"a diagnosis with its fifth":        {"icd", "S52.10"},
		"a code from its first day on":      {"residence", "10", "report_date", "2022-06-08", "incident_date", ""},
		"the same code twice":               {"violence", "02|02"},
		"zero":                              {"days_absent", "0"},
		"an id of another script":           {"record_id", "Іс-№1/24-Қ"},
		"an id in NFD":                      {"record_id", "й-1"},
		"an id of one digit":                {"record_id", "1"},
		"a name in quotation marks":         {"family_name", `О"Хара, "мл."`},
		"today":                             {"report_date", today, "incident_date", "", "referral_date", today},
	} {
		t.Run(name, func(t *testing.T) {
			got := readFile(t, testOptions(t), fault{set: set}.record())
			if got.err != nil || len(got.rows) != 1 {
				t.Errorf("error %v, problems %v", got.err, got.problem)
			}
		})
	}
}

func TestAllProblemsOfARowAreReported(t *testing.T) {
	bad := good().with("setting", "MOON").with("incident_date", "x").with("child_iin", "1").with("days_absent", "x")
	got := readFile(t, testOptions(t), bad)
	wantProblems(t, got, "2:child_iin:IIN_LENGTH", "2:incident_date:DATE_FORM", "2:setting:CODE_UNKNOWN", "2:days_absent:NUMBER_FORM")
	if p := got.reader.Problems(); p.Rows != 1 || len(p.Counts) != 4 {
		t.Errorf("%d rows, %d counts", p.Rows, len(p.Counts))
	}
}

func TestDoubledRecord(t *testing.T) {
	o := testOptions(t)
	got := readFile(t, o, good(), good().with("record_id", "P-2"), good(), good().with("record_id", "P-3").with("setting", "x"), good().with("record_id", "P-3"))
	wantProblems(t, got, "4:record_id:DUPLICATE_RECORD", "5:setting:CODE_UNKNOWN", "6:record_id:DUPLICATE_RECORD")
	o.Limits.Unique = 1
	got = readFile(t, o, good(), good().with("record_id", "P-2"), good().with("record_id", "P-2"), good())
	wantProblems(t, got, "5:record_id:DUPLICATE_RECORD")
}

func TestIINVectors(t *testing.T) {
	data, err := os.ReadFile("testdata/iin-vectors.csv")
	if err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[string][]gateway.ProblemCode{
		"checksum": {codeIINCheckDigit}, "date": {codeIINDate}, "century_sex": {codeIINCentury, codeIINCenturyZero},
		"future_date": {codeIINFuture}, "unissuable": {codeIINNeverIssued}, "format": {codeIINLength, codeIINNotDigits}, "bin_not_iin": {codeIINIsBIN},
	}
	for _, line := range lines[1:] {
		facts, code := parseIIN([]byte(line[0]), day(t, today))
		if line[1] == "false" {
			if !slices.Contains(reasons[line[5]], code) {
				t.Errorf("%s: %q, want %s", line[0], code, line[5])
			}
			continue
		}
		sex := map[bool]string{true: "M", false: "F"}[facts.male]
		if code != "" || gateway.Day(facts.birth.v).String() != line[2] || sex != line[3] {
			t.Errorf("%s: %q, born %s, %s; want %s, %s", line[0], code, gateway.Day(facts.birth.v), sex, line[2], line[3])
		}
		// Any one wrong digit but the eleventh, whose weight is 0 in the first
		// pass, breaks the check or leaves the rest of the rule.
		for i := range 10 {
			wrong := []byte(line[0])
			for range 9 {
				wrong[i] = '0' + (wrong[i]-'0'+1)%10
				if check, ok := iinCheck(wrong); ok && check == wrong[11]-'0' && !secondPass(line[0]) && !secondPass(string(wrong)) {
					t.Errorf("%s passes with a wrong digit %d", line[0], i+1)
				}
			}
		}
	}
	if len(lines) != 33 {
		t.Errorf("%d vectors", len(lines)-1)
	}
}

// secondPass reports whether the first pass gives 10.
func secondPass(iin string) bool {
	sum := 0
	for i := range 11 {
		sum += int(iin[i]-'0') * (i + 1)
	}
	return sum%11 == 10
}

// A fileFault ends the reading.
var fileFaults = []struct {
	name string
	code gateway.ProblemCode
	at   string // line and column
	kind gateway.Kind
	text string
}{
	{"B29 empty", codeEmptyFile, "1:", gateway.Invalid, ""},
	{"BOM alone", codeEmptyFile, "1:", gateway.Invalid, "\xef\xbb\xbf"},
	{"B30 header alone", codeNoRecords, "1:", gateway.Invalid, "@"},
	{"UTF-32", tabular.EncodingUnknown, "1:", gateway.Invalid, "\xff\xfe\x00\x00r\x00\x00\x00"},
	{"UTF-16 with half a pair", tabular.NotUTF8, "1:", gateway.Invalid, "\xff\xfer\x00\x3d\xd8,\x00"},
	{"KOI8-R", tabular.EncodingAmbiguous, "1:", gateway.Invalid, "@" + goodLine("1", "\xeb\xc1\xc9\xd2\xcf\xd7\xc1")},
	{"Windows-1251 or KZ-1048", tabular.EncodingAmbiguous, "1:", gateway.Invalid, "@" + goodLine("1", "\xc8\xe2\xe0\xed\xee\xe2\xe0") + goodLine("2", "\xbc\xf1\xe5\xeb\xfc")},
	{"two separators", tabular.SeparatorAmbiguous, "1:", gateway.Invalid, "record_id,child_sex;basis\n"},
	{"a workbook", tabular.FormatOther, "1:", gateway.Invalid, "PK\x03\x04"},
	{"B39 not UTF-8", tabular.NotUTF8, "3:family_name", gateway.Invalid, "@" + goodLine("1", "x") + goodLine("2", "\xd0\xff")},
	{"B41 NUL in an id", tabular.NUL, "2:record_id", gateway.Invalid, "@" + goodLine("a\x00b", "x")},
	{"B57 open quote", tabular.QuoteOpen, "3:", gateway.Invalid, "@" + goodLine("1", "x") + goodLine("2", `"x`) + goodLine("3", "x")},
	{"open quote, closed by the next", tabular.QuoteForm, "2:", gateway.Invalid, "@" + goodLine("1", `"x`) + goodLine("2", `"x"`)},
	{"text behind a quote", tabular.QuoteForm, "2:", gateway.Invalid, "@" + goodLine("1", `"x"y`)},
	{"row too long", tabular.RowTooLong, "2:", gateway.Invalid, "@" + goodLine("1", strings.Repeat("x", 1<<16))},
	{"B32 row much too long", tabular.RowTooLong, "2:", gateway.Invalid, "@" + goodLine("1", strings.Repeat("x", 1<<22))},
	{"B31 too many rows", codeTooManyRows, "5:", gateway.TooLarge, "@" + goodLine("1", "x") + goodLine("2", "") + goodLine("3", "") + goodLine("4", "")},
	{"B33 too many columns", tabular.TooManyColumns, "1:", gateway.Invalid, strings.Repeat("a,", 1000) + "\n"},
	{"B49 unknown column", codeUnknownColumn, "1:#3", gateway.Invalid, strings.Replace(shortHeader, "residence", "Иванов", 1)},
	{"B48 renamed column", codeUnknownColumn, "1:#1", gateway.Invalid, strings.Replace(shortHeader, "record_id", "recordid", 1)},
	{"second BOM", codeUnknownColumn, "1:#1", gateway.Invalid, "\xef\xbb\xbf\xef\xbb\xbf" + shortHeader},
	{"B48 doubled column", codeDoubledColumn, "1:child_sex", gateway.Invalid, "child_sex," + shortHeader},
	{"B48 missing column", codeMissingColumn, "1:basis", gateway.Invalid, strings.Replace(shortHeader, ",basis", "", 1)},
	{"B50 free text", codeRefusedColumn, "1:narrative", gateway.Invalid, "narrative," + shortHeader},
	{"a title of two fields", codeAmbiguousColumn, "1:#10", gateway.Invalid, strings.Replace(shortHeader, "\n", ",Twice\n", 1)},
}

const shortHeader = "record_id,child_sex,residence,report_date,event_type,basis,family_name,birth_date,absent_reason\n"

func goodLine(id, name string) string {
	return id + ",F,61,2025-03-04,REPORT,LAW," + name + ",2013-05-09,REFUSED\n"
}

func TestWhatEndsTheReading(t *testing.T) {
	for _, f := range fileFaults {
		t.Run(f.name, func(t *testing.T) {
			o := testOptions(t)
			o.Limits.Rows = 3
			got := read(t, o, strings.NewReader(strings.ReplaceAll(f.text, "@", shortHeader)))
			e := wantKind(t, got.err, f.kind)
			if e.Problems == nil {
				t.Fatal("no problems")
			}
			found := slices.ContainsFunc(e.Problems.First, func(p gateway.RowError) bool {
				line, field, _ := strings.Cut(f.at, ":")
				return p.Code == f.code && string(p.Field) == field && line == string(rune('0'+p.Line))
			})
			if !found {
				t.Errorf("%v in %v, want %s at %s", e.Detail, e.Problems.First, f.code, f.at)
			}
			if got.reader == nil {
				return
			}
			again := got.reader.Next(t.Context(), gateway.NewBlock(o.Contract.Layout()))
			if !errors.Is(again, f.kind) {
				t.Errorf("Next again: %v", again)
			}
		})
	}
}

func TestRaggedRowsAndBareQuotes(t *testing.T) {
	text := shortHeader + goodLine("1", "x") + "2,F,61\n" + goodLine("3", "x,y") + goodLine("4", `x"y`) + goodLine("5", "x") + `6,"F",61`
	got := read(t, testOptions(t), strings.NewReader(text))
	wantProblems(t, got, "3::TOO_FEW_CELLS", "4::TOO_MANY_CELLS", "5:family_name:BARE_QUOTE", "7::TOO_FEW_CELLS")
	if got.reader.Rows() != 2 || got.reader.Refused() != 4 || got.err != nil {
		t.Errorf("%d rows, %d refused, %v", got.reader.Rows(), got.reader.Refused(), got.err)
	}
}

func TestLinesArePhysicalLines(t *testing.T) {
	text := strings.ReplaceAll(shortHeader, "\n", "\r\n") + "\r\n\n" + goodLine("1", "\"a\nb\r\n\nc\"") + goodLine("2", "x") + strings.Replace(goodLine("3", "x"), "LAW", "?", 1)
	got := read(t, testOptions(t), strings.NewReader(text))
	wantProblems(t, got, "4:family_name:LINE_BREAK", "9:basis:CODE_UNKNOWN")
}

func TestEveryCodeIsDescribedAndTested(t *testing.T) {
	tested := map[gateway.ProblemCode]bool{
		codeTooFewCells: true, codeTooManyCells: true, codeBareQuote: true, codeDuplicate: true, SentBefore: true, OutsideCorrection: true, tabular.JSONForm: true, tabular.WorkbookForm: true, tabular.SheetUnknown: true, tabular.WorkbookTooLarge: true,
		tabular.ParquetForm: true, tabular.ParquetTooLarge: true, tabular.ParquetEncrypted: true, tabular.ParquetFeature: true, // in tests of their own
	}
	for _, f := range faults {
		tested[f.code] = true
	}
	for _, f := range append(fileFaults, warnings()...) {
		tested[f.code] = true
	}
	for _, code := range Codes() {
		if !tested[code] {
			t.Errorf("no test brings about %s", code)
		}
		if s := Describe(string(code)); !strings.HasSuffix(s, ".") || s == Describe("OF_A_RULE") {
			t.Errorf("%s is described as %q", code, s)
		}
	}
}

// In a batch that one bad row refuses, the reader goes on for the sake of the
// report, and nothing more is put into blocks.
func TestRejectBatch(t *testing.T) {
	o := testOptions(t)
	o.Batch.Reject = "" // the default
	got := readFile(t, o, good(), good().with("record_id", "2").with("basis", "?"), good().with("record_id", "3"), good().with("record_id", "4").with("icd", "?"), good().with("record_id", "5"))
	wantProblems(t, got, "3:basis:CODE_UNKNOWN", "5:icd:CODE_UNKNOWN")
	if len(got.rows) != 0 || got.reader.Rows() != 3 || got.reader.Refused() != 2 || got.err != nil {
		t.Errorf("%d rows in blocks, %d rows, %d refused, %v", len(got.rows), got.reader.Rows(), got.reader.Refused(), got.err)
	}
}

func TestProblemsAreCountedBeyondTheFirst(t *testing.T) {
	o := testOptions(t)
	o.MaxProblems = 2
	var bad []record
	for _, id := range []string{"1", "2", "3", "4", "5"} {
		bad = append(bad, good().with("record_id", id).with("basis", "?"))
	}
	p := readFile(t, o, bad...).reader.Problems()
	if len(p.First) != 2 || p.Omitted != 3 || p.Rows != 5 || p.Counts[gateway.ColumnProblem{Field: "basis", Code: codeCodeUnknown}] != 5 {
		t.Errorf("%d first, %d omitted, %d rows, %v", len(p.First), p.Omitted, p.Rows, p.Counts)
	}
}

// A failing source is no end of the file: half a file must not be taken for all.
func TestSourceErrors(t *testing.T) {
	text := shortHeader + goodLine("1", "x") + goodLine("2", "x")
	for _, cause := range []error{io.ErrUnexpectedEOF, errors.New("reset"), gateway.Errorf(gateway.TooLarge, "too large")} {
		got := read(t, testOptions(t), io.MultiReader(strings.NewReader(text), failing{cause}))
		if !errors.Is(got.err, cause) {
			t.Errorf("%v, want %v", got.err, cause)
		}
	}
	got := read(t, testOptions(t), io.MultiReader(strings.NewReader(text), failing{fmt.Errorf("broken line: %w", io.EOF)}))
	if got.err == nil || errors.Is(got.err, io.EOF) {
		t.Errorf("%v is taken for the end", got.err)
	}
	if got := read(t, testOptions(t), failing{nil}); !errors.Is(got.err, io.ErrNoProgress) {
		t.Errorf("%v, want no progress", got.err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
