package output_test

import (
	"encoding/csv"
	"encoding/hex"
	"strconv"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/gateway/output"
)

func hexOf(digest [32]byte) string { return hex.EncodeToString(digest[:]) }

// FuzzGuard states the law of CSV: what a program reads back is what was written,
// and no spreadsheet takes it for a formula.
func FuzzGuard(f *testing.F) {
	for _, seed := range []string{
		"", "=1+1", "+7", "-5", "-5.5e3", "-", "--1", "@SUM(A1)", "\t=1", "\r=1", "\n", " =1", "\u200b=1", "\ufeff=cmd", "＝1", "'", "''=", "'=1", "a,b", "\"=1\"", "e\r\nf", "\x00=1", "\xff=1", "1e", "Y10T14",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		safe := output.Guard(text)
		if _, err := strconv.ParseFloat(safe, 64); err != nil && safe != "" && strings.ContainsRune("=+-@\t\r", rune(safe[0])) {
			t.Fatalf("%q is written as %q", text, safe)
		}
		if output.Unguard(safe) != text {
			t.Fatalf("%q comes back from %q as %q", text, safe, output.Unguard(safe))
		}
		var b strings.Builder
		w := csv.NewWriter(&b)
		err := w.Write([]string{safe, "end"})
		w.Flush()
		if err != nil {
			t.Fatal(err)
		}
		got, err := csv.NewReader(strings.NewReader(b.String())).Read()
		if err != nil {
			t.Fatal(err)
		}
		// The reader makes one line end of two characters into one.
		if want := strings.ReplaceAll(text, "\r\n", "\n"); output.Unguard(got[0]) != want {
			t.Fatalf("%q is read as %q", text, got[0])
		}
	})
}
