package pipelines

import (
	"slices"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/internal/tabular"
)

// The problem codes of a cell or a row. They are stable: agencies' programs, the
// messages in three languages and the documentation refer to them. [Describe]
// says what each means. A rule of the policy brings codes of its own.
const (
	codeRequired       gateway.ProblemCode = "REQUIRED"
	codeTooLong        gateway.ProblemCode = "TOO_LONG"
	codeLineBreak      gateway.ProblemCode = "LINE_BREAK"
	codeBareQuote      gateway.ProblemCode = "BARE_QUOTE"
	codeTooFewCells    gateway.ProblemCode = "TOO_FEW_CELLS"
	codeTooManyCells   gateway.ProblemCode = "TOO_MANY_CELLS"
	codePlaceholder    gateway.ProblemCode = "PLACEHOLDER"
	codeIdentifierForm gateway.ProblemCode = "IDENTIFIER_FORM"
	codeDuplicate      gateway.ProblemCode = "DUPLICATE_RECORD"

	codeCodeUnknown  gateway.ProblemCode = "CODE_UNKNOWN"
	codeCodeNotValid gateway.ProblemCode = "CODE_NOT_VALID_ON_DATE"
	codeNumberForm   gateway.ProblemCode = "NUMBER_FORM"
	codeNumberRange  gateway.ProblemCode = "NUMBER_RANGE"

	codeDateForm        gateway.ProblemCode = "DATE_FORM"
	codeDateUnlikely    gateway.ProblemCode = "DATE_UNLIKELY"
	codeDateFuture      gateway.ProblemCode = "DATE_FUTURE"
	codeDateTooOld      gateway.ProblemCode = "DATE_TOO_OLD"
	codeDateOutside     gateway.ProblemCode = "DATE_OUTSIDE_PERIOD"
	codeDateOrder       gateway.ProblemCode = "DATE_ORDER"
	codeDateBeforeBirth gateway.ProblemCode = "DATE_BEFORE_BIRTH"
	codeAgeRange        gateway.ProblemCode = "AGE_RANGE"

	codeIINNotDigits    gateway.ProblemCode = "IIN_NOT_DIGITS"
	codeIINLength       gateway.ProblemCode = "IIN_LENGTH"
	codeIINIsBIN        gateway.ProblemCode = "IIN_IS_BIN"
	codeIINNeverIssued  gateway.ProblemCode = "IIN_NEVER_ISSUED"
	codeIINCheckDigit   gateway.ProblemCode = "IIN_CHECK_DIGIT"
	codeIINCenturyZero  gateway.ProblemCode = "IIN_CENTURY_ZERO"
	codeIINCentury      gateway.ProblemCode = "IIN_CENTURY"
	codeIINDate         gateway.ProblemCode = "IIN_DATE"
	codeIINFuture       gateway.ProblemCode = "IIN_FUTURE"
	codeIINDateMismatch gateway.ProblemCode = "IIN_DATE_MISMATCH"
	codeIINSexMismatch  gateway.ProblemCode = "IIN_SEX_MISMATCH"
)

// The problem codes that end the reading: after them nothing in the file can be
// trusted to stand where it seems to.
const (
	codeEmptyFile       gateway.ProblemCode = "EMPTY_FILE"
	codeNoRecords       gateway.ProblemCode = "NO_RECORDS"
	codeTooManyRows     gateway.ProblemCode = "TOO_MANY_ROWS"
	codeUnknownColumn   gateway.ProblemCode = "UNKNOWN_COLUMN"
	codeRefusedColumn   gateway.ProblemCode = "REFUSED_COLUMN"
	codeMissingColumn   gateway.ProblemCode = "MISSING_COLUMN"
	codeDoubledColumn   gateway.ProblemCode = "DOUBLED_COLUMN"
	codeAmbiguousColumn gateway.ProblemCode = "AMBIGUOUS_COLUMN"
)

// The problem codes of whole batches, which the gateway finds: against what the agency
// sent before, and, where [Reader.Forgot], in the file itself.
const (
	DuplicateRecord                       = codeDuplicate
	SentBefore        gateway.ProblemCode = "RECORD_SENT_BEFORE"
	OutsideCorrection gateway.ProblemCode = "RECORD_OF_OTHER_QUARTER"
)

var sentences = map[gateway.ProblemCode]string{
	codeRequired:       "The cell must not be empty here.",
	codeTooLong:        "The value is longer than the contract allows.",
	codeLineBreak:      "The cell holds a line break; perhaps a quotation mark was left open.",
	codeBareQuote:      "A quotation mark stands inside a cell that does not start with one; enclose the cell in quotation marks and double those inside.",
	codeTooFewCells:    "The row has fewer cells than the header.",
	codeTooManyCells:   "The row has more cells than the header; perhaps a value that holds the separator is not in quotation marks.",
	codePlaceholder:    "The value stands for no value (zeros, a dash, NULL, unknown); leave the cell empty instead.",
	codeIdentifierForm: "The identifier starts or ends with a space, or holds characters that look like others or cannot be seen.",
	codeDuplicate:      "Another record of the file has the same record identifier.",

	SentBefore:        "The agency sent a record with this record identifier before; send changes as a correction.",
	OutsideCorrection: "The agency reported this record in a quarter that the period of the correction does not hold.",

	codeCodeUnknown:  "The code is not in the code list of the column.",
	codeCodeNotValid: "The code was not valid on the date of the event.",
	codeNumberForm:   "The value is not a whole number written with the digits 0 to 9 alone.",
	codeNumberRange:  "The number is outside the range that the contract allows.",

	codeDateForm:        "The value is not a date of the calendar written as YYYY-MM-DD, or as the contract allows beside it.",
	codeDateUnlikely:    "The date is more than five years before the event or more than one year after it; check the year.",
	codeDateFuture:      "The date lies in the future.",
	codeDateTooOld:      "The date is too long ago: events from 2000-01-01 on, births from 1900-01-01 on.",
	codeDateOutside:     "The date of the event lies outside the period of the batch.",
	codeDateOrder:       "The date lies before another date of the row that must not come after it.",
	codeDateBeforeBirth: "The date of the event lies before the birth of the child.",
	codeAgeRange:        "The person was not a child (0 to 17 years) on the date of the event.",

	codeIINNotDigits:    "The IIN holds something else than the digits 0 to 9.",
	codeIINLength:       "The IIN does not have 12 digits; perhaps a spreadsheet dropped leading zeros.",
	codeIINIsBIN:        "The number is the BIN of an organisation, not the IIN of a person.",
	codeIINNeverIssued:  "The number is one that is never issued as an IIN, because both passes of its check give 10.",
	codeIINCheckDigit:   "The last digit of the IIN does not fit the others; a digit is mistyped.",
	codeIINCenturyZero:  "The seventh digit of the IIN is 0, which no published rule explains.",
	codeIINCentury:      "The seventh digit of the IIN is not one of 1 to 6.",
	codeIINDate:         "The first six digits of the IIN are not a date of birth.",
	codeIINFuture:       "The IIN says that the child is yet to be born.",
	codeIINDateMismatch: "The date of birth is not the one that the IIN says, which is taken.",
	codeIINSexMismatch:  "The sex is not the one that the IIN says, which is taken.",

	codeEmptyFile:          "The file is empty.",
	codeNoRecords:          "The file holds a header and no records.",
	tabular.NotUTF8:        "The text is not in the encoding that it should be in, which is UTF-8 where the report names no other; save the file as UTF-8.",
	tabular.NUL:            "The text holds a NUL byte; save the file as UTF-8, not as UTF-16 or as a workbook.",
	tabular.QuoteOpen:      "A quotation mark is opened and never closed.",
	tabular.QuoteForm:      "Text follows a closing quotation mark; perhaps an earlier one was left open.",
	tabular.RowTooLong:     "The row is too long; perhaps a quotation mark was left open.",
	codeTooManyRows:        "The file has more records than one batch may have; send it in parts.",
	tabular.TooManyColumns: "The header has more columns than any contract.",
	codeUnknownColumn:      "The header names a column that the contract does not have; take the column out of the file.",
	codeRefusedColumn:      "The column holds free text, which no rule can make safe; take the column out of the file.",
	codeMissingColumn:      "A column that the contract requires is missing.",
	codeDoubledColumn:      "The header names a column twice.",
	codeAmbiguousColumn:    "The header names a column by a title that two columns of the contract have; use the name of the field.",

	tabular.EncodingAmbiguous:  "The encoding of the text cannot be told for sure; save the file as UTF-8 or say the encoding.",
	tabular.EncodingUnknown:    "The text is in an encoding that is not read, or not in the one that was said.",
	tabular.SeparatorAmbiguous: "The separator of the columns cannot be told for sure; say which is meant.",
	tabular.WorkbookForm:       "The workbook is damaged, or not one that spreadsheets write; save it anew as XLSX, or as CSV.",
	tabular.WorkbookTooLarge:   "The workbook holds more text than is read at once; save it as CSV.",
	tabular.ParquetForm:        "The Parquet file is damaged, cut off or contradicts itself; write it anew, or send CSV.",
	tabular.ParquetTooLarge:    "The Parquet file needs more memory than one file is given; write it with smaller row groups and pages, or send CSV.",
	tabular.ParquetEncrypted:   "The Parquet file is encrypted; write it without: the connection and the gateway's store are encrypted anyway.",
	tabular.ParquetFeature:     "The Parquet file uses a type, a compression or an encoding that is not read; write its columns as plain values.",
	tabular.SheetUnknown:       "The workbook has no sheet of the name that was said.",
	tabular.JSONForm:           "The line is not a JSON object of plain values under keys that are all different.",
	tabular.FormatOther:        "The file is not in the format that was said or that its name promises.",
}

// Describe says in one English sentence what a problem code means. Codes that are
// not of this package come from row rules of the policy.
func Describe(code string) string {
	if s, ok := sentences[gateway.ProblemCode(code)]; ok {
		return s
	}
	return "A rule of the policy in force refuses the row."
}

// Codes returns every problem code of this package, sorted, for translations
// and documentation.
func Codes() []gateway.ProblemCode {
	codes := make([]gateway.ProblemCode, 0, len(sentences))
	for c := range sentences {
		codes = append(codes, c)
	}
	slices.Sort(codes)
	return codes
}
