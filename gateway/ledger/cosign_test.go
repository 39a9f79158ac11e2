package ledger

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// A cosigner is a witness made from a seed, whose clock stands still.
type cosigner struct {
	*Cosigner
	private ed25519.PrivateKey
	at      time.Time
}

func newCosigner(tb testing.TB, name, seed string) *cosigner {
	tb.Helper()
	sum := sha256.Sum256([]byte(seed))
	private := ed25519.NewKeyFromSeed(sum[:])
	key := append([]byte{cosignatureV1}, private.Public().(ed25519.PublicKey)...)
	parsed, err := ParseCosigner(fmt.Sprintf("%s+%08x+%s", name, keyHash(name, key), base64.StdEncoding.EncodeToString(key)))
	if err != nil {
		tb.Fatal(err)
	}
	return &cosigner{parsed, private, time.Date(2026, 7, 1, 9, 0, 0, 0, time.UTC)}
}

func (c *cosigner) Sign(msg []byte) ([]byte, error) {
	sig := binary.BigEndian.AppendUint64(nil, uint64(c.at.Unix()))
	return append(sig, ed25519.Sign(c.private, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", c.at.Unix(), msg))...), nil
}

// line is the witness's signature line on a checkpoint.
func (c *cosigner) line(tb testing.TB, checkpoint string) string {
	tb.Helper()
	text, _, _ := strings.Cut(checkpoint, "\n\n")
	signed, err := note.Sign(&note.Note{Text: text + "\n"}, c)
	if err != nil {
		tb.Fatal(err)
	}
	_, line, _ := strings.Cut(string(signed), "\n\n")
	return line
}

func (c *cosigner) cosign(tb testing.TB, checkpoint string) string {
	tb.Helper()
	return checkpoint + c.line(tb, checkpoint)
}

func (c *cosigner) policy(tb testing.TB) *Policy {
	tb.Helper()
	p, err := ParsePolicy([]byte("witness w " + c.String() + "\nquorum w\n"))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// The key of a log, such as that of the Go checksum database, is not one of a witness.
func TestParseCosigner(t *testing.T) {
	const vkey = "rgdd.se/poc-witness+2cf0da2d+BGbqVIRCqTkUiFqbvYHNBhmnCJ6Uu4CqfvGJ5R5EnwUd"
	if _, err := ParseCosigner(vkey); err == nil {
		t.Error("a key id that is not the key's passes")
	}
	w := newCosigner(t, "witness.example/w", "2")
	for _, vkey := range []string{
		"", "w", "w+", "+", strings.Replace(w.String(), "w+", "v+", 1), w.String() + "=", strings.ToUpper(w.String()),
		strings.Replace(w.String(), "witness", "wit ness", 1), "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
	} {
		if _, err := ParseCosigner(vkey); err == nil {
			t.Errorf("%q is a witness's key", vkey)
		}
	}
}

func TestCosignatures(t *testing.T) {
	k := newKey(t, "pana/a", "1")
	a, b := newCosigner(t, "witness.example/a", "2"), newCosigner(t, "witness.example/b", "3")
	checkpoint, err := SignCheckpoint(filled(t, 5).tree(t, 5), k)
	if err != nil {
		t.Fatal(err)
	}
	other, err := SignCheckpoint(filled(t, 4).tree(t, 4), k)
	if err != nil {
		t.Fatal(err)
	}
	got, err := OpenCosignatures(checkpoint, b.line(t, checkpoint)+a.line(t, checkpoint), a.Cosigner)
	want := []Cosignature{{"witness.example/a", a.KeyHash(), a.at, a.line(t, checkpoint)}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	for name, answer := range map[string]string{
		"nothing": "", "of another": b.line(t, checkpoint), "on another checkpoint": a.line(t, other), "no line": "thanks\n",
		"much": strings.Repeat(a.line(t, checkpoint), 200),
	} {
		if _, err := OpenCosignatures(checkpoint, answer, a.Cosigner); err == nil {
			t.Errorf("%s is a cosignature", name)
		}
	}
	tree, signed, err := a.policy(t).Open(a.cosign(t, checkpoint), k)
	if err != nil || tree.N != 5 || len(signed) != 1 {
		t.Errorf("%v, %v, %v", tree, signed, err)
	}
	for name, text := range map[string]string{
		"no witness": checkpoint, "another witness": b.cosign(t, checkpoint), "an unknown line more": b.cosign(t, a.cosign(t, checkpoint)),
		"no log": a.line(t, checkpoint),
	} {
		if _, _, err := a.policy(t).Open(text, k); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

func TestPolicy(t *testing.T) {
	k := newKey(t, "pana/a", "1")
	var w []*cosigner
	for i := range 5 {
		w = append(w, newCosigner(t, fmt.Sprint("witness.example/", i), fmt.Sprint("w", i)))
	}
	// The example of C2SP tlog-policy, with three and two witnesses.
	text := fmt.Sprintf(`# Whom we trust.
witness X1 %s https://x1.example/prefix/
witness X2 %s
	witness X3 %s
group X-witnesses 2 X1 X2 X3

witness Y1 %s
witness Y2 %s
group Y-witnesses any Y1 Y2

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
`, w[0], w[1], w[2], w[3], w[4])
	p, err := ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Witnesses) != 5 || p.Witnesses[0].URL != "https://x1.example/prefix" || len(p.Keys()) != 5 {
		t.Errorf("%+v", p)
	}
	checkpoint, err := SignCheckpoint(filled(t, 5).tree(t, 5), k)
	if err != nil {
		t.Fatal(err)
	}
	for set := range 32 {
		var answer strings.Builder
		x, y := 0, 0
		for i := range 5 {
			if set>>i&1 == 1 {
				answer.WriteString(w[i].line(t, checkpoint))
				if i < 3 {
					x++
				} else {
					y++
				}
			}
		}
		_, _, err := p.Open(checkpoint+answer.String(), k)
		if met := x >= 2 && y >= 1; met != (err == nil) {
			t.Errorf("%05b: %v", set, err)
		}
	}
	one := "witness a " + w[0].String() + "\n"
	for name, text := range map[string]string{
		"nothing": "", "no quorum": one, "two quorums": one + "quorum a\nquorum a\n", "a quorum of nobody": one + "quorum b\n",
		"a name twice": one + "witness a " + w[1].String() + "\nquorum a\n", "a key twice": one + "witness b " + w[0].String() + "\nquorum a\n",
		"no key": "witness a b\nquorum a\n", "too many": one + "group g 2 a\nquorum g\n", "none of": one + "group g 0 a\nquorum g\n",
		"a member of two": one + "group g any a\ngroup h any a\nquorum h\n", "a member of later": "group g any a\n" + one + "quorum g\n",
		"another word": one + "quorum a\nallow b\n", "a carriage return": one + "quorum a\r\n", "a member called none": one + "group g any none\nquorum g\n",
		"a URL of files": "witness a " + w[0].String() + " file:///etc\nquorum a\n", "a URL with a secret": "witness a " + w[0].String() + " https://u:p@h/\nquorum a\n",
		"much": one + "quorum a\n" + strings.Repeat("#\n", maxPolicy),
	} {
		if _, err := ParsePolicy([]byte(text)); err == nil {
			t.Errorf("%s: a policy", name)
		}
	}
	if p, err := ParsePolicy([]byte("quorum none\n")); err != nil || !p.Met(nil) {
		t.Error(err)
	}
}

// Z9 of trust.md 6.3: whatever a witness answers and whatever a policy says is refused
// or means one thing; nothing makes a cosignature but a key.
func FuzzOpenCosignatures(f *testing.F) {
	w := newCosigner(f, "witness.example/w", "2")
	checkpoint, err := SignCheckpoint(filled(f, 5).tree(f, 5), newKey(f, "pana/a", "1"))
	if err != nil {
		f.Fatal(err)
	}
	line := w.line(f, checkpoint)
	f.Add(line)
	f.Add("— witness.example/w AAAA\n")
	f.Add("— pana/a " + strings.Repeat("A", 100) + "\n")
	f.Fuzz(func(t *testing.T, answer string) {
		got, err := OpenCosignatures(checkpoint, answer, w.Cosigner)
		if err == nil && (len(got) != 1 || got[0].Line != line || !strings.Contains(answer, line)) {
			t.Fatalf("%q is a cosignature: %v", answer, got)
		}
	})
}

func FuzzParsePolicy(f *testing.F) {
	w := newCosigner(f, "witness.example/w", "2")
	f.Add("witness a " + w.String() + " https://w.example\ngroup g any a\nquorum g\n")
	f.Add("log x\nquorum none\n")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePolicy([]byte(text))
		if err != nil {
			return
		}
		if p.quorum != "none" && p.Met(nil) {
			t.Fatalf("%q is met by nobody", text)
		}
	})
}
