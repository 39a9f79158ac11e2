package pipelines

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/csv"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/pseudonym/blind"
)

// keyServer is a key server in this process, and a keyring that names it.
func keyServer(tb testing.TB, o *Options) Inner {
	tb.Helper()
	key, err := blind.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	o.Keys, err = o.Keys.WithKeyServer(key.PublicKey().String())
	if err != nil {
		tb.Fatal(err)
	}
	return func(_ context.Context, inputs [][]byte) ([][16]byte, error) {
		batch, request, err := blind.Blind(key.PublicKey(), inputs)
		if err != nil {
			return nil, err
		}
		parsed, err := blind.ParseRequest(request)
		if err != nil {
			return nil, err
		}
		response, err := key.Evaluate(parsed)
		if err != nil {
			return nil, err
		}
		return batch.Finalize(response)
	}
}

// blindRecords are of every kind: with an IIN and without, with a birth date and a sex
// that are not the IIN's, with quotes, a doubled one and bad ones.
func blindRecords() []record {
	return []record{
		good(),
		good().with("record_id", `P,"2"`).with("birth_date", "09.05.2013").with("child_sex", "M"),
		good().with("record_id", "P-3").with("child_iin", "").with("birth_date", "2014-02-03"),
		good().with("record_id", "P-1"),
		good().with("record_id", "P-5").with("child_iin", "130509690009"),
		good().with("record_id", "P-6").with("birth_date", "2012-12-12").with("referred_to", "").with("days_absent", ""),
	}
}

// TestBlindIsPlain: rows of a blind batch are those of the batch in clear, pids, shifted
// days and all, and the file between has nothing that names a child.
func TestBlindIsPlain(t *testing.T) {
	o := testOptions(t)
	inner := keyServer(t, &o)
	inClear := o
	inClear.Inner = inner
	want := readFile(t, inClear, blindRecords()...)
	if want.err != nil || len(want.rows) < 3 || want.rows[0]["pid"] == ([16]byte{}) {
		t.Fatal(len(want.rows), want.err)
	}
	var sent bytes.Buffer
	report, err := Blind(t.Context(), strings.NewReader(file(header(o.Contract), blindRecords()...)), o, inner, &sent)
	if err != nil || report.Records != 6 || report.Refused != 6-len(want.rows) {
		t.Fatal(report, err)
	}
	for _, canary := range []string{"130509690008", "Каирова", "family_name"} {
		if strings.Contains(sent.String(), canary) {
			t.Errorf("the blind file has %s", canary)
		}
	}
	gatewaySide := o
	gatewaySide.Blind = true
	got := read(t, gatewaySide, &sent)
	if got.err != nil || got.reader.Refused() > 0 {
		t.Fatal(got.problem, got.err)
	}
	for _, rows := range [][]row{want.rows, got.rows} {
		for _, r := range rows {
			delete(r, gateway.ColumnRandom)
			delete(r, gateway.ColumnMAC)
		}
	}
	if diff := cmp.Diff(want.rows, got.rows); diff != "" {
		t.Error(diff)
	}
}

// TestBlindRefuses: a blind batch that has what it must not is refused, and nothing of
// it is repeated.
func TestBlindRefuses(t *testing.T) {
	o := testOptions(t)
	inner := keyServer(t, &o)
	var sent bytes.Buffer
	if _, err := Blind(t.Context(), strings.NewReader(file(header(o.Contract), good())), o, inner, &sent); err != nil {
		t.Fatal(err)
	}
	table, err := csv.NewReader(&sent).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	gatewaySide := o
	gatewaySide.Blind = true
	try := func(changed [][]string) result {
		var text bytes.Buffer
		_ = csv.NewWriter(&text).WriteAll(changed)
		return read(t, gatewaySide, &text)
	}
	for _, cell := range []string{"130509690008", strings.ToUpper(table[1][0]), table[1][0][1:], table[1][0] + "0"} {
		row := append([]string{cell}, table[1][1:]...)
		if got := try([][]string{table[0], row}); got.reader == nil || got.reader.Refused() != 1 || !strings.Contains(strings.Join(got.problem, " "), "child_iin:IDENTIFIER_FORM") {
			t.Errorf("%d characters: %v %v", len(cell), got.problem, got.err)
		}
	}
	named := try([][]string{append(table[0], "family_name"), append(table[1], "Каирова")})
	if !errors.Is(named.err, gateway.Invalid) || !strings.Contains(named.err.Error(), "family_name") {
		t.Error(named.err)
	}
	// Without a way to ask the key server a file in clear is not hashed in another way.
	if got := readFile(t, o, good()); !errors.Is(got.err, gateway.Conflict) {
		t.Error(got.err)
	}
	failing := o
	failing.Inner = func(context.Context, [][]byte) ([][16]byte, error) {
		return nil, gateway.Errorf(gateway.Overloaded, "no key server answers")
	}
	if got := readFile(t, failing, good()); !errors.Is(got.err, gateway.Overloaded) || len(got.rows) > 0 {
		t.Error(got.err)
	}
}
