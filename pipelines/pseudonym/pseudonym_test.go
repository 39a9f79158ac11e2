package pseudonym

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"golang.org/x/mod/sumdb/note"
)

const iin = "080229690004"

// variant returns the vectors' keyring with some keys replaced.
func variant(t *testing.T, change func(f *file)) *Keyring {
	t.Helper()
	f := vectorKeyring(t).file()
	change(f)
	changed, err := Parse(f.encode())
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

func TestGenerateSealOpen(t *testing.T) {
	operator, officer := identity(t), identity(t)
	opened, err := Generate(rand.Reader, "kz-1")
	if err != nil {
		t.Fatal(err)
	}
	var once, twice bytes.Buffer
	if err := Seal(&once, opened, operator.Recipient()); err != nil {
		t.Fatal(err)
	}
	if err := Seal(&twice, once.Bytes(), officer.Recipient()); err != nil {
		t.Fatal(err)
	}
	k, err := Parse(opened)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(opened, make([]byte, len(opened))) {
		t.Error("Parse left its argument as it was")
	}
	a, err := Open(bytes.NewReader(once.Bytes()), operator)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Open(bytes.NewReader(twice.Bytes()), operator, officer)
	if err != nil {
		t.Fatal(err)
	}
	if k.KCV() != a.KCV() || k.KCV() != b.KCV() || k.VerifierKey() != b.VerifierKey() {
		t.Error("a keyring changed by being sealed")
	}
	for _, ids := range [][]age.Identity{{operator}, {officer}, {identity(t)}} {
		if _, err := Open(bytes.NewReader(twice.Bytes()), ids...); err == nil {
			t.Error("a keyring sealed twice opened with one identity")
		}
	}
}

func identity(t *testing.T) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// Trust.md B81: wrong passphrase, cut off, one bit flipped, scrypt 2^30.
func TestOpenRefuses(t *testing.T) {
	id := identity(t)
	opened, err := Generate(rand.Reader, "kz-1")
	if err != nil {
		t.Fatal(err)
	}
	var sealed bytes.Buffer
	if err := Seal(&sealed, opened, id.Recipient()); err != nil {
		t.Fatal(err)
	}
	refuses := func(what string, content []byte, ids ...age.Identity) {
		t.Helper()
		start := time.Now()
		if _, err := Open(bytes.NewReader(content), ids...); err == nil {
			t.Errorf("%s: opened", what)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%s: took %v", what, took)
		}
	}
	for n := range sealed.Len() {
		if n%7 == 0 {
			refuses("cut off", sealed.Bytes()[:n], id)
			flipped := bytes.Clone(sealed.Bytes())
			flipped[n] ^= 1
			refuses("one bit flipped", flipped, id)
		}
	}
	refuses("nothing", nil, id)
	refuses("plaintext", opened, id)

	passphrase, err := age.NewScryptRecipient("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	passphrase.SetWorkFactor(10)
	var locked bytes.Buffer
	if err := Seal(&locked, opened, passphrase); err != nil {
		t.Fatal(err)
	}
	right, wrong := scrypt(t, "correct horse"), scrypt(t, "battery staple")
	if _, err := Open(bytes.NewReader(locked.Bytes()), right); err != nil {
		t.Errorf("the right passphrase does not open: %v", err)
	}
	refuses("wrong passphrase", locked.Bytes(), wrong)
	for _, factor := range []string{" 21\n", " 30\n"} {
		refuses("too much work", bytes.Replace(locked.Bytes(), []byte(" 10\n"), []byte(factor), 1), right)
	}
}

func scrypt(t *testing.T, passphrase string) *age.ScryptIdentity {
	t.Helper()
	id, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestParseRefuses(t *testing.T) {
	content, err := os.ReadFile("testdata/keyring.json")
	if err != nil {
		t.Fatal(err)
	}
	good := string(content)
	zero := base64.StdEncoding.EncodeToString(make([]byte, keyBytes))
	root := good[strings.Index(good, `"root":"`)+8:][:44]
	inner := good[strings.Index(good, `"pid_inner":"`)+13:][:44]
	for what, bad := range map[string]string{
		"empty":           "",
		"not JSON":        "age-encryption.org/v1",
		"unknown field":   strings.Replace(good, `"epoch":1`, `"epoch":1,"secret-canary":1`, 1),
		"unknown key":     strings.Replace(good, `"root":`, `"canary":"`+inner+`","root":`, 1),
		"doubled field":   strings.Replace(good, `"epoch":1`, `"epoch":1,"epoch":1`, 1),
		"other case":      strings.Replace(good, `"epoch"`, `"Epoch"`, 1),
		"missing key":     strings.Replace(good, `"root":"`+root+`",`, ``, 1),
		"short key":       strings.Replace(good, root, root[:40], 1),
		"key of zeros":    strings.Replace(good, root, zero, 1),
		"equal keys":      strings.Replace(good, root, inner, 1),
		"other format":    strings.Replace(good, "keyring/2", "keyring/1", 1),
		"epoch 0":         strings.Replace(good, `"epoch":1`, `"epoch":0`, 1),
		"trailing bytes":  good + "{}",
		"installation":    strings.Replace(good, "test-vectors", "Test+Vectors", 1),
		"spelt otherwise": strings.Replace(good, `,`, `, `, 1),
	} {
		if _, err := Parse([]byte(bad)); err == nil {
			t.Errorf("%s: accepted", what)
		} else if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), root) {
			t.Errorf("%s: the error holds what was read", what)
		}
	}
	for _, name := range []string{"", "A", "a b", "a+b", "a/b", strings.Repeat("a", 64)} {
		if _, err := Generate(rand.Reader, name); err == nil {
			t.Errorf("Generate accepted the installation %q", name)
		}
	}
	if _, err := Generate(bytes.NewReader(make([]byte, 1000)), "a"); err == nil {
		t.Error("Generate accepted randomness of zeros")
	}
	if _, err := Generate(bytes.NewReader(nil), "a"); err == nil {
		t.Error("Generate accepted no randomness")
	}
}

// Anything that parses is in its one spelling and works.
func FuzzParse(f *testing.F) {
	content, err := os.ReadFile("testdata/keyring.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(content)
	f.Add([]byte(`{"format":"pana-keyring/2","epoch":1,"made":1,"pid_outer":{"1":null},"keys":{"root":null}}`))
	f.Fuzz(func(t *testing.T, opened []byte) {
		before := bytes.Clone(opened)
		k, err := Parse(opened)
		if !bytes.Equal(opened, make([]byte, len(opened))) {
			t.Fatal("the argument was not zeroed")
		}
		if err != nil {
			return
		}
		again := k.file()
		if !bytes.Equal(bytes.TrimSuffix(before, []byte("\n")), bytes.TrimSuffix(again.encode(), []byte("\n"))) {
			t.Fatal("accepted in another spelling")
		}
	})
}

// Normalising is idempotent, blind to white space at the ends, and never panics.
func FuzzNormalise(f *testing.F) {
	for _, seed := range []string{"", " x ", "И\u0306", "\u2000x\u00a0", "\xff\xfe", "e\u0301\u0323"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		normal := normaliser()
		once := bytes.Clone(normal(text))
		if twice := normal(once); !bytes.Equal(once, twice) {
			t.Errorf("n(n(x)) = %q, n(x) = %q", twice, once)
		}
		if padded := normal([]byte("\u00a0 " + string(once) + "\t")); !bytes.Equal(once, padded) {
			t.Errorf("n(padded) = %q, n(x) = %q", padded, once)
		}
	})
}

// Different domains, agencies, epochs and keyrings share no value; what must be
// shared is.
func TestSeparation(t *testing.T) {
	k := vectorKeyring(t)
	rotated := variant(t, func(f *file) { f.Epoch, f.Made, f.Outer[2] = 2, 2, bytes.Repeat([]byte{7}, keyBytes) })
	renamed := variant(t, func(f *file) { f.Domain = "child2" })
	other, err := Ephemeral(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[[16]byte]string{}
	add := func(what string, value [16]byte) {
		t.Helper()
		if value == ([16]byte{}) {
			t.Errorf("%s: zero stands for no pid", what)
		}
		if before, ok := seen[value]; ok {
			t.Errorf("%s equals %s", what, before)
		}
		seen[value] = what
	}
	for name, ring := range map[string]*Keyring{"one": k, "rotated": rotated, "renamed": renamed, "other": other} {
		for i := range 100 {
			id := fmt.Appendf(nil, "0802296%05d", i)
			h, err := ring.NewHasher(ring.Domain(), "agency-a")
			if err != nil {
				t.Fatal(err)
			}
			var v [16]byte
			h.PID(&v, id)
			add(fmt.Sprintf("pid %d of %s", i, name), v)
			if name == "one" || name == "other" {
				h.RecordKey(&v, id)
				add(fmt.Sprintf("record %d of %s", i, name), v)
				for _, domain := range []string{"referral", "case", "record"} {
					h.Key(&v, domain, id)
					add(fmt.Sprintf("%s %d of %s", domain, i, name), v)
				}
				hb := hasher(t, ring, "agency-b")
				hb.RecordKey(&v, id)
				add(fmt.Sprintf("record %d of b of %s", i, name), v)
			}
		}
	}
}

func TestWhatAgenciesShare(t *testing.T) {
	k := vectorKeyring(t)
	a, b := hasher(t, k, "agency-a"), hasher(t, k, "agency-b")
	var x, y [16]byte
	if a.PID(&x, []byte(iin)) != b.PID(&y, []byte(iin)) || x != y {
		t.Error("two agencies have two pids of one child")
	}
	a.Key(&x, "referral", []byte("K-1"))
	b.Key(&y, "referral", []byte("K-1"))
	if x != y {
		t.Error("two agencies have two keys of one referral")
	}
	if a.RowMAC([]byte("row")) != b.RowMAC([]byte("row")) {
		t.Error("a row has two check sums")
	}
	if a.RowMAC([]byte("row")) == a.RowMAC([]byte("rox")) {
		t.Error("two rows have one check sum")
	}
	if _, err := k.NewHasher("adult", "agency-a"); err == nil {
		t.Error("a hasher of a domain without keys")
	}
	if _, err := k.NewHasher(ChildDomain, ""); err == nil {
		t.Error("a hasher without an agency")
	}
}

// Rotation of the outer layer changes every pid, no shift and no subject key.
func TestRotationKeepsShiftAndSubjectKey(t *testing.T) {
	k := vectorKeyring(t)
	rotated := variant(t, func(f *file) { f.Epoch, f.Made, f.Outer[2] = 2, 2, bytes.Repeat([]byte{7}, keyBytes) })
	var before, after [16]byte
	s1 := hasher(t, k, "a").PID(&before, []byte(iin))
	s2 := hasher(t, rotated, "a").PID(&after, []byte(iin))
	if before == after || s1 != s2 || k.SubjectKey("demo")(before) != rotated.SubjectKey("demo")(after) {
		t.Error("rotation changed what it must keep, or kept what it must change")
	}
	if k.SubjectKey("demo")(before) == k.SubjectKey("other")(before) {
		t.Error("two lineages share a subject key")
	}
}

// The check value changes with every key on which rows depend, and with no
// other; each key's own changes with it alone.
func TestCheckValues(t *testing.T) {
	k := vectorKeyring(t)
	if len(k.KCV()) != 32 {
		t.Errorf("KCV is %d characters", len(k.KCV()))
	}
	for _, s := range slots {
		changed := variant(t, func(f *file) { f.put(s, bytes.Repeat([]byte{9}, keyBytes)) })
		if want := s != slotDigest && s != slotNoise && s != slotCheckpoint; (changed.KCV() != k.KCV()) != want {
			t.Errorf("%s: KCV changed: %v", s, !want)
		}
		for name, value := range changed.CheckValues() {
			if (value != k.CheckValues()[name]) != (name == string(s)) {
				t.Errorf("changing %s: check value of %s", s, name)
			}
		}
	}
	if variant(t, func(f *file) { f.Epoch, f.Made, f.Outer = 2, 2, map[int][]byte{2: f.Outer[1]} }).KCV() == k.KCV() {
		t.Error("KCV does not depend on the epoch")
	}
}

func TestSignerSignsNotes(t *testing.T) {
	k := vectorKeyring(t)
	signed, err := note.Sign(&note.Note{Text: k.Origin() + "\n1\nabc\n"}, k.Signer())
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(k.VerifierKey())
	if err != nil {
		t.Fatal(err)
	}
	for _, verifier := range []note.Verifier{v, k.Verifier()} {
		if _, err := note.Open(signed, note.VerifierList(verifier)); err != nil {
			t.Error(err)
		}
	}
	if v.Name() != "pana/test-vectors" {
		t.Errorf("origin %q", v.Name())
	}
	other := variant(t, func(f *file) { f.Keys[slotCheckpoint] = bytes.Repeat([]byte{9}, keyBytes) })
	if _, err := note.Open(signed, note.VerifierList(other.Verifier())); err == nil {
		t.Error("another key verifies")
	}
}

// A PRF is used by many goroutines at once.
func TestPRFIsConcurrent(t *testing.T) {
	random := vectorKeyring(t).PRF("demo")
	want := random("label", []byte("part"))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 500 {
				random("other", fmt.Appendf(nil, "%d", i))
				if random("label", []byte("part")) != want {
					t.Error("a PRF changed its mind")
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestHasherAllocatesNothing(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	h := hasher(t, vectorKeyring(t), "agency-a")
	dst, id, text, row := new([16]byte), []byte(iin), []byte("Қ-5/2025"), make([]byte, 200)
	many, shifts, ids, sums := make([][16]byte, 40), make([]uint16, 40), make([]Span, 40), make([]uint64, 40)
	for i := range ids {
		ids[i].End = int32(len(text) - i%2)
	}
	if n := testing.AllocsPerRun(100, func() {
		h.PID(dst, id)
		h.RecordKey(dst, text)
		h.Key(dst, "referral", text)
		h.Key(dst, "case", text)
		h.RowMAC(row)
		h.PIDs(many, shifts, text, ids)
		h.RecordKeys(many, text, ids)
		h.Keys(many, "case", text, ids)
		h.RowMACs(sums, row)
	}); n != 0 {
		t.Errorf("%v allocations a row", n)
	}
}

func BenchmarkSubjectKey(b *testing.B) {
	subject := vectorKeyring(b).SubjectKey("demo")
	b.ReportAllocs()
	for b.Loop() {
		subject([16]byte{1})
	}
}
